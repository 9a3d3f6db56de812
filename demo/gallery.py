"""The test images at hand: all of them, or the embedded sample and some of every error."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data import (
    HUB_DIGEST,
    Split,
    fetch_test_split,
    load_cached_dataset,
    load_dataset,
    load_sample_rows,
)
from trainer.errors import DataError, QuartetError
from trainer.files import read_cache, write_cache
from trainer.mistakes import load_mistakes
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


@dataclass(frozen=True)
class Held:
    """Images at hand."""

    split: Split
    rows: Tensor
    """Row in the full test split of each, `(M,)` int64, ascending."""


class Gallery:
    """Test images that can be shown, and which rows of the test split they are."""

    def __init__(self, digest: str, total: int, folder: Path) -> None:
        """Takes the full split where `QUARTET_DATA` names it or this machine has it decoded, else
        the sample and what comes with the checkpoints. Fetches nothing.

        Args:
            digest: of the data set the models were measured on.
            total: its number of test images.
            folder: of the checkpoints.
        """
        self._digest, self.total = digest, total
        self.fault: QuartetError | None = None
        """What is wrong with the images that come with the checkpoints, if anything."""
        self._fetching = threading.Lock()
        self._keep(self._find_images(folder))

    @property
    def split(self) -> Split:
        """The images at hand."""
        return self._held.split

    @property
    def rows(self) -> Tensor:
        """Row in the full test split of every image at hand, `(M,)` int64, ascending."""
        return self._held.rows

    @property
    def whole(self) -> bool:
        """True where every test image is at hand."""
        return len(self.rows) == self.total

    @property
    def fetchable(self) -> bool:
        """True where the Hub has the test images that are not at hand."""
        return not self.whole and self._digest == HUB_DIGEST

    def fetch(self, labels: Tensor) -> None:
        """Fetches the whole test split from the Hub, once however many ask, and keeps it in the
        cache for the next start.

        Args:
            labels: `(N,)` int64 of the whole test split, as the models' answers record them.

        Raises:
            DataError: it cannot be fetched, or is not the images that are known.
        """
        with self._fetching:
            if not self.fetchable:
                return
            test = fetch_test_split()
            same = len(test) == self.total and torch.equal(test.labels, labels)
            if not same or not torch.equal(test.images[self.rows], self.split.images):
                raise DataError("data_other_images")
            write_cache(_name_test(self._digest), {"images": test.images, "labels": test.labels}, 2)
            self._keep(Held(test, torch.arange(self.total)))

    def find_truth(self, pixels: np.ndarray) -> int | None:
        """The label of `pixels (3, S, S)` where they are a known image to the bit."""
        return self._labels.get(name_pixels(pixels))

    def at_hand(self, rows: Tensor) -> Tensor:
        """Those of `rows (N,)` of the full split whose image is here, in their order."""
        return rows[torch.isin(rows, self.rows)]

    def image(self, row: int) -> np.ndarray:
        """The image `(3, 32, 32)` uint8 of a row of the full split that is at hand."""
        held = self._held
        index = int(torch.searchsorted(held.rows, row))
        return held.split.images[index].numpy()

    def find_image(self, row: int) -> np.ndarray | None:
        """The image of a row of the full split, or None where it is not at hand."""
        return self.image(row) if bool((self.rows == row).any()) else None

    def _keep(self, held: Held) -> None:
        self._held = held
        self._labels = {name_pixels(image): label for image, label in self._known_images()}

    def _find_images(self, folder: Path) -> Held:
        sample = load_dataset(sample=True)
        full = sample.test if self._digest == sample.digest else _load_full(self._digest)
        if full is not None:
            # Copied, so that the training images mapped with them are let go.
            return Held(Split(full.images.clone(), full.labels.clone()), torch.arange(self.total))
        images, labels, rows = sample.test.images, sample.test.labels, load_sample_rows()
        try:
            mistakes = load_mistakes(folder, self._digest)
        except QuartetError as error:
            mistakes, self.fault = None, error
        if mistakes is not None:
            images = torch.cat([images, mistakes.split.images])
            labels = torch.cat([labels, mistakes.split.labels])
            rows = torch.cat([rows, mistakes.rows])
        # A set's files may hold what the sample holds too.
        ascending, first = np.unique(rows.numpy(), return_index=True)
        once = torch.from_numpy(first)
        return Held(Split(images[once], labels[once]), torch.from_numpy(ascending))

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


def _load_full(digest: str) -> Split | None:
    """The whole test split where this machine has it: fetched for the app, decoded for a training
    run, or named by `QUARTET_DATA`."""
    fetched = read_cache(_name_test(digest))
    if fetched is not None:
        return Split(fetched["images"], fetched["labels"])
    cached = load_cached_dataset(digest)
    if cached is None and os.environ.get("QUARTET_DATA"):
        try:
            named = load_dataset(Path(os.environ["QUARTET_DATA"]))
        except DataError:
            return None
        return named.test if named.digest == digest else None
    return None if cached is None else cached.test


def _name_test(digest: str) -> str:
    return f"test-{digest[:32]}"


def name_pixels(pixels: np.ndarray) -> str:
    """A name for a picture `(3, S, S)` uint8, which nobody can guess who has not seen it."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).hexdigest()
