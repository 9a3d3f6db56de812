"""Pictures that a command is given as files."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import PictureError

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.picture import Crop


def read_pictures(paths: Iterable[Path], crop: "Crop") -> "tuple[dict[Path, Tensor], int]":
    """Reads files; one that cannot be read is told on standard error and left out.

    Returns:
        Path to what the models see, `(1, 3, S, S)` uint8; and the exit status, 1 where one is left
        out.
    """
    from trainer.predict import read_picture

    pictures, status = {}, 0
    for path in paths:
        try:
            pictures[path] = read_picture(path, crop)
        except (PictureError, OSError) as error:
            print(f"error: {path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            status = 1
    return pictures, status
