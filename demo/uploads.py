"""From an uploaded file to the pixels the models see. The rules are `trainer.decoding`'s."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.containers.limits import MAX_BYTES
from trainer.decoding import shared_decoder
from trainer.errors import PictureError
from trainer.picture import Crop


def read_pixels(file: Any, folder: Path, crop: Crop = "centre", client: str = "") -> np.ndarray:
    """What the models see of an uploaded file.

    Args:
        file: as Gradio's API sends it, a dictionary with its `path` on the server; not trusted.
        folder: where uploads lie; nothing outside it is read.
        client: who sent it, as `Decoder.decode` takes it: their address, or else their session.

    Returns:
        Pixels `(3, S, S)` uint8, as `Decoder.decode` returns them.

    Raises:
        PictureError: it was not uploaded, is gone, too large, or not a picture we take.
    """
    path = file.get("path") if isinstance(file, dict) else None
    try:
        if not isinstance(path, str) or not _lies_in(folder, Path(path)):
            raise PictureError("picture_not_uploaded")
        with Path(path).open("rb") as upload:
            content = upload.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise PictureError("picture_gone") from error
    return shared_decoder().decode(content, crop, client)


def _lies_in(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def encode_pixels(pixels: np.ndarray) -> bytes:
    """A PNG file of `pixels (3, height, width)` uint8."""
    content = io.BytesIO()
    to_image(pixels).save(content, "PNG")
    return content.getvalue()


def to_image(pixels: np.ndarray) -> Image.Image:
    """The picture of `pixels (3, height, width)` uint8."""
    return Image.fromarray(pixels.transpose(1, 2, 0))
