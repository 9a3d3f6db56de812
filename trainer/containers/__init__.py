"""What a picture's file holds, told from its bytes before anything decodes them.

Every format is walked once, in time linear in its length. What is no part of the pixels (EXIF,
comments, profiles, thumbnails, further frames) is left out of what is handed on, so that no
decoder parses it; of EXIF the orientation alone is read. Files built to cost are refused here.
"""

from collections.abc import Callable

from trainer.containers.jpeg import read_jpeg
from trainer.containers.limits import check_length, not_whole
from trainer.containers.others import read_bmp, read_gif, read_png, read_webp
from trainer.containers.walk import Contents
from trainer.errors import PictureError

__all__ = ["Contents", "inspect_file"]

_READERS: dict[bytes, Callable[[bytes], Contents]] = {
    b"\xff\xd8\xff": read_jpeg,
    b"\x89PNG\r\n\x1a\n": read_png,
    b"RIFF": read_webp,
    b"GIF87a": read_gif,
    b"GIF89a": read_gif,
    b"BM": read_bmp,
}
"""A file's first bytes to the function that reads it."""


def inspect_file(content: bytes) -> Contents:
    """Tells format, orientation and the parts that hold the pixels.

    Raises:
        PictureError: empty, too large, of another format, truncated, or built to cost.
    """
    if not content:
        raise PictureError("picture_empty")
    check_length(len(content))
    for magic, read in _READERS.items():
        if content.startswith(magic):
            return read(content)
    raise not_whole()
