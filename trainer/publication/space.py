"""The folder of a Space: the app as it stands here, its front-matter pointing to the models."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import RepoCard

from trainer.errors import HubError
from trainer.hub import Sdk

ROOT = Path(__file__).parents[2]
"""The repository."""
README = "README.md"
THUMBNAIL = "docs/images/compare.png"
PARTS = (
    "app.py", "requirements.txt", "pre-requirements.txt", README, "LICENSE", "CHANGELOG.md",
    "CONTRIBUTING.md", "SECURITY.md", "checkpoints", "demo", "docs", "trainer", "Dockerfile",
    ".dockerignore", "compose.yaml", "pillow-override.txt", "Makefile", "pyproject.toml", "bench",
)  # fmt: skip
"""Of the repository, what a Space gets where it is there: what runs, and what its README names."""
PUBLISHING_SCOPE = "contribute-repos"
"""What a visitor allows who signs in: to make repositories, and to open those alone."""
LEFT_OUT = ("__pycache__", "*.pyc", ".*")


def write_space(
    folder: Path,
    repo: str,
    models: str | None = None,
    sdk: Sdk = "gradio",
    signin: bool = False,
    root: Path = ROOT,
) -> None:
    """Writes the folder of the Space `repo`.

    Args:
        models: the repository of the four models, for the Space's page; default: as README says.
        sdk: what builds it there: the Space's own image with Gradio, or our Dockerfile.
        signin: visitors may sign in with Hugging Face, and publish the models of their jobs.
        root: the repository to take it from.

    Raises:
        HubError: there is no app.
        OSError: the folder cannot be written.
    """
    if not (root / "app.py").is_file():
        raise HubError("hub_no_app", folder=root)
    folder.mkdir(parents=True, exist_ok=True)
    for path in _list_parts(root):
        place = folder / path.name
        if path.is_dir():
            ignored = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(path, place, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, place)
    card = RepoCard((root / README).read_text())
    if models is not None:
        card.data["models"] = [models]
    card.data["sdk"] = sdk
    if signin:
        card.data["hf_oauth"] = True
        card.data["hf_oauth_scopes"] = [PUBLISHING_SCOPE]
    card.data["thumbnail"] = f"https://huggingface.co/spaces/{repo}/resolve/main/{THUMBNAIL}"
    (folder / README).write_text(str(card))


def _list_parts(root: Path) -> Iterator[Path]:
    return (root / name for name in PARTS if (root / name).exists())
