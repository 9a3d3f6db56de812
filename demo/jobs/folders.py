"""What a job's folder holds before it starts."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from demo.jobs.backend import GPU, NAME, OWN, PAID, START
from demo.jobs.pictures import TaughtPicture
from demo.jobs.refusal import Refused


def fill_folder(
    folder: Path,
    start: Path | None,
    taught: Sequence[TaughtPicture],
    gpu_s: float | None,
    paid: bool,
) -> None:
    """Makes it, and gives the job what it needs of its own, so that what is deleted meanwhile is no
    matter.

    Args:
        start: folder of the earlier job that it starts from.
        gpu_s: for how long it asks for a GPU.
        paid: its visitor pays for it.

    Raises:
        Refused: a picture is gone.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True)
    for index, picture in enumerate(taught):
        path = folder / OWN / picture.label / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(picture.path.read_bytes())
        except FileNotFoundError as error:
            raise Refused("picture_gone") from error
    if start is not None:
        (folder / START).mkdir()
        for suffix in (".safetensors", ".json"):
            _link(start / f"{NAME}{suffix}", folder / START / f"{NAME}{suffix}")
    if gpu_s is not None:
        (folder / GPU).write_text(str(gpu_s))
    if paid:
        (folder / PAID).touch()


def _link(path: Path, place: Path) -> None:
    """The file at another place, on the same disk without a second copy."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
