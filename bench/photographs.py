"""Photographs that are not in the repository, to choose by and to measure on: a folder with one
Parquet file, columns `image{bytes}`, `class` (one of the ten, or null) and `what`."""

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet
import torch
from torch import Tensor

from trainer.picture import decode_picture, to_pixels
from trainer.recipe import CLASSES, NATIVE_PX

FOREIGN = -1
"""Label of a picture of none of the ten classes."""


@dataclass(frozen=True)
class Photographs:
    """Pictures with their classes."""

    images: Tensor
    """`(N, 3, 32, 32)` uint8, reduced to CIFAR-10's size."""
    sharp: Tensor
    """`(N, 3, S, S)` uint8, as they are."""
    labels: Tensor
    """`(N,)` int64, 0..9 or `FOREIGN`."""

    @property
    def familiar(self) -> Tensor:
        """Which are of the ten classes, `(N,)` bool."""
        return self.labels != FOREIGN


def load_photographs() -> Photographs | None:
    """Reads the folder named by `QUARTET_PHOTOS`; None where the variable is not set."""
    folder = os.environ.get("QUARTET_PHOTOS")
    if not folder:
        return None
    (path,) = Path(folder).glob("*.parquet")
    table = pyarrow.parquet.read_table(path)
    pictures = [decode_picture(row["bytes"]) for row in table["image"].to_pylist()]
    sides = {picture.size for picture in pictures}
    if len(sides) != 1:
        raise ValueError(f"{path} holds pictures of several sizes")
    sharp = torch.stack(
        [
            torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8)
            .view(p.height, p.width, 3)
            .permute(2, 0, 1)
            for p in pictures
        ]
    )
    return Photographs(
        torch.stack([torch.from_numpy(to_pixels(picture, side=NATIVE_PX)) for picture in pictures]),
        sharp.contiguous(),
        torch.tensor(
            [
                FOREIGN if name is None else CLASSES.index(name)
                for name in table["class"].to_pylist()
            ]
        ),
    )
