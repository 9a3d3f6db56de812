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
    folder: Path, repo: str, sdk: Sdk | None, hardware: str | None, private: bool
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
        api.upload_folder(
            repo_id=repo, repo_type=kind, folder_path=folder, commit_message="Publish Quartet"
        )
    except Exception as error:  # the client raises a dozen unrelated types
        raise HubError("hub_not_pushed", repo=repo, reason=_give_reason(error)) from error
    return str(address)


def _give_reason(error: Exception) -> str:
    """The fault in a few words: the client's own fill a screen."""
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        return error.server_message or f"the Hub answers {status}"
    return type(error).__name__
