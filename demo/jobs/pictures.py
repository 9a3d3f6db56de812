"""Pictures that visitors teach, on disk by owner until a job takes a copy or their time is over.

Nothing of them is in a session of the page: Gradio keeps so many of those and drops the oldest.
"""

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from demo.jobs.limits import DAY_S, Limits
from demo.jobs.refusal import Refused, give_reason
from demo.jobs.store import hash_token
from demo.jobs.sweep import Ages, sweep_files
from demo.rates import Rate
from trainer.files import hash_bytes, write_file
from trainer.recipe import CLASSES, MAX_OWN_PICTURES


@dataclass(frozen=True)
class TaughtPicture:
    """A picture and what its owner says it shows."""

    id: str
    """By its content: unique among its owner's."""
    label: str
    """One of `CLASSES`."""
    path: Path
    """A PNG file."""


class TaughtPictures:
    """Those of all visitors. Safe between threads."""

    def __init__(self, home: Path, limits: Limits) -> None:
        self._folder = home / "pictures"
        self._limits = limits
        self._lock = threading.Lock()
        self._taught = Rate(limits.pictures_of_sender, DAY_S)

    def add(self, token: str, label: str, png: bytes, sender: str = "") -> bool:
        """Keeps a picture; one that is here with another class changes its class.

        Args:
            label: one of `CLASSES`.
            png: what the models see of it, as a PNG file.
            sender: where it comes from, as the limits count; tokens cost nothing.

        Returns:
            False where it is already here with that class.

        Raises:
            Refused: the owner has as many as can be taught, or it cannot be stored.
            ValueError: `label` is no class.
        """
        if label not in CLASSES:
            raise ValueError(f"{label!r} is no class")
        picture_id = hash_bytes(png)[:16]
        with self._lock:
            mine = self.of_owner(token)
            known = next((picture for picture in mine if picture.id == picture_id), None)
            if known is not None and known.label == label:
                return False
            if known is None and len(mine) >= MAX_OWN_PICTURES:
                raise Refused("own_full", most=MAX_OWN_PICTURES)
            if known is None and self._count() >= self._limits.pictures:
                raise Refused("pictures_full")
            if known is None and sender and not self._taught.take(sender):
                raise Refused("pictures_of_sender", pictures=self._limits.pictures_of_sender)
            number = 1 + max((_parse(picture.path)[0] for picture in mine), default=0)
            path = self._owned(token) / f"{number:06d}-{picture_id}-{label}.png"
            try:
                write_file(path, png)
                if known is not None:
                    known.path.unlink(missing_ok=True)
            except OSError as error:
                raise Refused("picture_not_stored", reason=give_reason(error)) from error
        return True

    def of_owner(self, token: str) -> list[TaughtPicture]:
        """The owner's pictures, in the order they were added."""
        paths = sorted(self._owned(token).glob("[0-9]*.png")) if token else []
        return [TaughtPicture(*_parse(path)[1:], path) for path in paths]

    def remove(self, token: str, picture_id: str) -> None:
        """Removes one; an id that is not the owner's changes nothing."""
        with self._lock:
            for picture in self.of_owner(token):
                if picture.id == picture_id:
                    picture.path.unlink(missing_ok=True)

    def clear(self, token: str) -> None:
        """Removes all of an owner."""
        with self._lock:
            for picture in self.of_owner(token):
                picture.path.unlink(missing_ok=True)

    def sweep(self, ages: Ages) -> None:
        """Removes what has been kept long enough."""
        with self._lock, contextlib.suppress(OSError):
            sweep_files(self._folder, self._limits.pictures_kept_s, ages)

    def _owned(self, token: str) -> Path:
        return self._folder / hash_token(token)

    def _count(self) -> int:
        return sum(1 for _ in self._folder.glob("*/[0-9]*.png"))


def _parse(path: Path) -> tuple[int, str, str]:
    """Number, id and class of a file's name."""
    number, picture_id, label = path.stem.split("-")
    return int(number), picture_id, label
