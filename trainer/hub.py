"""Model repositories and Spaces on the Hugging Face Hub: fetched from, and pushed to.

Tested against a local stand-in of the endpoints; has not met the real service.
"""

import re
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from trainer.checkpoint import SUFFIXES
from trainer.errors import HubError
from trainer.recipe import RECIPE_NAMES

Sdk = Literal["gradio", "docker"]
"""What builds a Space."""
MODEL_SUFFIXES = (".json", *SUFFIXES.values())
"""Of the files of one model; the last of them not every model has."""

_NAME = r"[\w-][\w.-]*/[\w-][\w.-]*"


def check_repo(repo: str) -> None:
    """Looks whether a repository's name is one.

    Raises:
        HubError: it is not `USER/NAME`.
    """
    if not re.fullmatch(_NAME, repo):
        raise HubError("hub_name", repo=repo)


def fetch_models(repo: str, revision: str | None = None) -> Path:
    """Downloads the four models of a repository into the Hub's cache, once.

    Returns:
        The folder they lie in.

    Raises:
        HubError: the name is none, or nothing could be fetched.
    """
    check_repo(repo)
    wanted = [f"{name}{suffix}" for name in RECIPE_NAMES for suffix in MODEL_SUFFIXES]
    try:
        return Path(
            huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=wanted)
        )
    except Exception as error:  # the client raises a dozen unrelated types
        raise HubError("hub_not_fetched", repo=repo, reason=_give_reason(error)) from error


def push_folder(
    folder: Path,
    repo: str,
    sdk: Sdk | None = None,
    hardware: str | None = None,
    private: bool = False,
) -> str:
    """Makes the repository where there is none yet, and puts a folder into it in one commit.

    Args:
        sdk: of a Space; None for a model repository.
        hardware: of a new Space, by its name on the Hub; None for the Hub's choice.
        private: of a new repository.

    Returns:
        Its address.

    Raises:
        HubError: the Hub refused, or could not be reached.
    """
    api, kind = huggingface_hub.HfApi(), "model" if sdk is None else "space"
    try:
        address = api.create_repo(
            repo,
            repo_type=kind,
            private=private,
            exist_ok=True,
            space_sdk=sdk,
            space_hardware=hardware,  # type: ignore[arg-type]  # the Hub knows its hardware best
        )
        _upload(api, folder, repo, kind)
    except Exception as error:  # the client raises a dozen unrelated types
        raise HubError("hub_not_pushed", repo=repo, reason=_give_reason(error)) from error
    return str(address)


def push_new(folder: Path, repo: str, token: str, private: bool = False) -> str:
    """Makes a model repository in somebody's name, and puts a folder into it in one commit. One
    that is there already is left as it is.

    Args:
        token: theirs; no other is used.

    Returns:
        Its address.

    Raises:
        HubError: the name is taken, the token may not write, or the Hub cannot be reached.
    """
    api = huggingface_hub.HfApi(token=token)
    try:
        address = api.create_repo(repo, private=private)
    except Exception as error:
        status = _read_status(error)
        denied = "hub_denied" if status in (401, 403) else "hub_not_pushed"
        code = "hub_taken" if status == 409 else denied
        raise HubError(code, repo=repo, reason=_give_reason(error)) from error
    try:
        _upload(api, folder, repo, "model")
    except Exception as error:
        raise HubError("hub_left_empty", repo=repo, reason=_give_reason(error)) from error
    return str(address)


def _upload(api: huggingface_hub.HfApi, folder: Path, repo: str, kind: str) -> None:
    api.upload_folder(
        repo_id=repo, repo_type=kind, folder_path=folder, commit_message="Publish Quartet"
    )


def _read_status(error: Exception) -> int:
    """The HTTP status that the Hub refused with; 0 where it gave none."""
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return int(error.response.status_code)
    return 0


def _give_reason(error: Exception) -> str:
    """The fault in a few words: the client's own fill a screen."""
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return error.server_message or f"the Hub answers {_read_status(error)}"
    return type(error).__name__
