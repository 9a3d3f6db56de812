"""The test images at hand: all of them, or the embedded sample."""

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data import Dataset, Split, load_cached_dataset, load_dataset, load_sample_rows
from trainer.errors import DataError
from trainer.picture import decode_picture, to_pixels
from trainer.recipe import CLASSES

EXAMPLES_DIR = Path(__file__).parent / "examples"
THUMBNAIL_PX = 160


@dataclass(frozen=True)
class Example:
    """A picture to try. Its file is named `<class>-<what>.<suffix>`."""

    path: Path
    label: int

    @property
    def large(self) -> bool:
        """True for an image enlarged to a photograph, False for a test image as it is."""
        return self.path.suffix == ".jpg"

    @property
    def thumbnail(self) -> tuple[bytes, str]:
        """A small version: its file's content and kind."""
        if not self.large:
            return self.path.read_bytes(), "png"
        content = io.BytesIO()
        with Image.open(self.path) as image:
            image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
            image.save(content, "JPEG")
        return content.getvalue(), "jpeg"


class Gallery:
    """Test images that can be shown, and which rows of the test split they are."""

    def __init__(self, digest: str, total: int) -> None:
        """Takes the full split where `QUARTET_DATA` names it or a training run has left it
        decoded on this machine, else the sample. Fetches nothing.

        Args:
            digest: of the data set the models were measured on.
            total: its number of test images.
        """
        sample = load_dataset(sample=True)
        full = sample if digest == sample.digest else _load_full(digest)
        test = (full or sample).test
        # Copied, so that the training images mapped with them are let go.
        self.split = Split(test.images.clone(), test.labels.clone())
        self.total = total
        self.rows: Tensor = load_sample_rows() if full is None else torch.arange(total)
        """Row in the full test split of every image at hand, `(M,)` int64, ascending."""
        self._labels = {_key(image): label for image, label in self._known_images()}

    @property
    def whole(self) -> bool:
        """True where every test image is at hand."""
        return len(self.split) == self.total

    def find_truth(self, pixels: np.ndarray) -> int | None:
        """The label of `pixels (3, S, S)` where they are a known image to the bit."""
        return self._labels.get(_key(pixels))

    def at_hand(self, rows: Tensor) -> Tensor:
        """Those of `rows (N,)` of the full split whose image is here."""
        return rows[torch.isin(rows, self.rows)]

    def image(self, row: int) -> np.ndarray:
        """The image `(3, 32, 32)` uint8 of a row of the full split that is at hand."""
        index = int(torch.searchsorted(self.rows, row))
        return self.split.images[index].numpy()

    def find_image(self, row: int) -> np.ndarray | None:
        """The image of a row of the full split, or None where it is not at hand."""
        return self.image(row) if bool((self.rows == row).any()) else None

    def _known_images(self) -> Iterator[tuple[np.ndarray, int]]:
        yield from zip(self.split.images.numpy(), self.split.labels.tolist(), strict=True)
        for example in list_examples():
            picture = decode_picture(example.path.read_bytes())
            yield to_pixels(picture, "centre"), example.label
            yield to_pixels(picture, "fit"), example.label


def list_examples() -> list[Example]:
    """The pictures in `demo/examples/`, written by `python -m demo.make_examples`."""
    return [
        Example(path, CLASSES.index(path.stem.split("-")[0]))
        for path in sorted(EXAMPLES_DIR.iterdir())
    ]


def _load_full(digest: str) -> Dataset | None:
    cached = load_cached_dataset(digest)
    if cached is None and os.environ.get("QUARTET_DATA"):
        try:
            named = load_dataset(Path(os.environ["QUARTET_DATA"]))
        except DataError:
            return None
        return named if named.digest == digest else None
    return cached


def _key(pixels: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()
