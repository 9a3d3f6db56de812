"""`publish`: the command that puts things on the Hub."""

import tempfile
from pathlib import Path
from typing import Annotated

import tyro

from trainer.commands.flags import Checkpoints, Switch

Text = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]


def publish(
    repo: Annotated[str, tyro.conf.arg(metavar="USER/NAME")],
    checkpoints: Checkpoints = Path("checkpoints"),
    space: Switch = False,
    docker: Switch = False,
    models: Annotated[str | None, tyro.conf.arg(metavar="USER/NAME", help_behavior_hint="")] = None,
    hardware: Text = None,
    private: Switch = False,
    signin: Switch = False,
    dry_run: Switch = False,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/publish"),
) -> int:
    """Put the four models on the Hugging Face Hub, or the app as a Space.

    It needs a token that may write there: run 'hf auth login' once, or set HF_TOKEN.

    Example: python -m trainer publish --repo USER/NAME --dry-run

    Args:
        repo: The repository; it is made where there is none yet.
        space: The app, as the Space of that name, instead of the models.
        docker: The Space is built from our Dockerfile.
        models: The repository of the models that the Space's page links to.
        hardware: Of a new Space: cpu-basic, zero-a10g (ZeroGPU) or what else the Hub has.
        private: A new repository is private.
        signin: Visitors of the Space may sign in and publish the models of their jobs.
        dry_run: Only write what would be pushed into the folder of --out.
        out: Folder of a dry run.
    """
    from trainer.hub import Sdk, check_repo, push_folder
    from trainer.publication.models import write_models
    from trainer.publication.space import write_space

    check_repo(repo)

    sdk: Sdk = "docker" if docker else "gradio"

    def write(folder: Path) -> None:
        if space:
            write_space(folder, repo, models, sdk, signin)
        else:
            write_models(checkpoints, folder, repo)

    if dry_run:
        write(out)
        print(f"wrote {out}; nothing was pushed")
        return 0
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        write(Path(folder))
        address = push_folder(Path(folder), repo, sdk if space else None, hardware, private)
    print(f"published {address}")
    return 0
