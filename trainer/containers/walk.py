"""A walk through a picture's file: what is kept, what is left out, and how much of each."""

from dataclasses import dataclass, field
from typing import Literal

from trainer.containers.limits import MAX_BLOCKS, MAX_METADATA, not_whole, too_much_metadata

_ORIENTATION = 0x0112
_TYPE_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)
"""Bytes of each of TIFF's field types, BYTE = 1 to DOUBLE = 12 (TIFF 6.0, section 2)."""


@dataclass
class Contents:
    """What of a file is handed to its decoder."""

    kind: str
    """One of `limits.FORMATS`."""
    orientation: int = 1
    """EXIF's, 1 to 8; 1 is upright."""
    parts: list[bytes | memoryview] = field(default_factory=list)
    """Together a whole file of the same pixels."""

    def join(self) -> bytes:
        """The parts in one piece."""
        return b"".join(self.parts)


class Walk:
    """Collects `Contents` from front to back, within `MAX_METADATA` and `MAX_BLOCKS`."""

    def __init__(self, kind: str, content: bytes) -> None:
        self.contents = Contents(kind)
        self.content = content
        self._start = self._end = 0
        self._left_out = self._blocks = 0

    def keep(self, start: int, end: int) -> None:
        """Keeps a range, as one with the range before where they touch."""
        self.check_end(end)
        if start != self._end:
            self._flush()
            self._start = start
        self._end = end

    def add(self, part: bytes) -> None:
        """Adds bytes that differ from the file's."""
        self._flush()
        self.contents.parts.append(part)

    def leave_out(self, count: int) -> None:
        """Counts bytes of metadata."""
        self._left_out += count
        if self._left_out > MAX_METADATA:
            raise too_much_metadata()

    def count_block(self) -> None:
        """Counts a part of the file's structure."""
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise too_much_metadata()

    def number(self, start: int, count: int, order: Literal["big", "little"]) -> int:
        """The unsigned number in `count` bytes."""
        self.check_end(start + count)
        return int.from_bytes(self.content[start : start + count], order)

    def check_end(self, end: int) -> None:
        """Refuses a file that ends before `end`."""
        if end > len(self.content):
            raise not_whole()

    def turn(self, start: int, end: int) -> None:
        """Takes the orientation from the EXIF that lies there."""
        self.contents.orientation = read_orientation(self.content[start:end])

    def finish(self) -> Contents:
        """The contents, all parts in place."""
        self._flush()
        return self.contents

    def _flush(self) -> None:
        if self._end > self._start:
            self.contents.parts.append(memoryview(self.content)[self._start : self._end])
        self._start = self._end = 0


def read_orientation(exif: bytes) -> int:
    """The orientation 1 to 8 in EXIF; 1 where there is none, or it is broken.

    EXIF is a TIFF file without pixels: byte order, 42, and the offset of a directory of 12-byte
    entries: tag, type, count, and the value or, above 4 bytes, its offset (TIFF 6.0, section 2).

    Raises:
        PictureError: the entries claim more bytes than there are, so they overlap: whoever reads
            them all needs memory quadratic in the file.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    order: Literal["big", "little"] = "little" if exif.startswith(b"II") else "big"

    def number(start: int, count: int) -> int:
        return int.from_bytes(exif[start : start + count], order)

    directory = number(4, 4)
    entries = min(number(directory, 2), max(0, len(exif) - directory - 2) // 12)
    orientation, claimed = 1, 0
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)
        size = count * (_TYPE_SIZES[kind] if kind < len(_TYPE_SIZES) else 0)
        if size > 4 and number(entry + 8, 4) + size <= len(exif):
            claimed += size
        if (tag, kind, count) == (_ORIENTATION, 3, 1) and 1 <= number(entry + 8, 2) <= 8:
            orientation = number(entry + 8, 2)
    if claimed > len(exif):
        raise too_much_metadata()
    return orientation
