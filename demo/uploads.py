"""From an uploaded file to a safe picture. The rules are `trainer.picture`'s; one place reads."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from demo import text
from trainer.picture import MAX_BYTES, PictureError, decode_picture, to_pixels


def read_own_picture(file: Any, folder: Path) -> bytes:
    """What the models see of an uploaded file, as a PNG file of 32 x 32 pixels.

    Raises:
        PictureError: as `read_picture`.
    """
    return encode_pixels(to_pixels(read_picture(file, folder)))


def encode_pixels(pixels: np.ndarray) -> bytes:
    """A PNG file of `pixels (3, 32, 32)` uint8."""
    content = io.BytesIO()
    to_image(pixels).save(content, "PNG")
    return content.getvalue()


def to_image(pixels: np.ndarray) -> Image.Image:
    """The picture of `pixels (3, 32, 32)` uint8."""
    return Image.fromarray(pixels.transpose(1, 2, 0))


def read_picture(file: Any, folder: Path) -> Image.Image:
    """Decodes an uploaded file.

    Args:
        file: as Gradio's API sends it, a dictionary with its `path` on the server; not trusted.
        folder: where uploads lie; nothing outside it is read.

    Raises:
        PictureError: it was not uploaded, is gone, too large, or not a picture we take.
    """
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder.resolve()):
        raise PictureError(text.NOT_UPLOADED)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureError(text.GONE) from error
    return decode_picture(content)
