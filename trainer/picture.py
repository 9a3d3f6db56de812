"""One way from bytes to a safe RGB picture, and from there to the square the models see."""

import io
import warnings
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from trainer.errors import PictureError
from trainer.recipe import NATIVE_PX

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""Above any phone's 48-megapixel picture; decoded that is 150 MB of RGB."""
MAX_ASPECT = 50
DRAFT_PX = 8 * NATIVE_PX
"""A JPEG is decoded at the smallest of its 1/1, 1/2, 1/4 and 1/8 scales whose sides reach this.
Eight decoded pixels a side of each pixel the models see leave the resize its own filter, and a
phone's picture decodes several times faster."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
FORMAT_NAMES = "JPEG, PNG, WebP, GIF or BMP"

Crop = Literal["centre", "fit"]


def decode_picture(content: bytes) -> Image.Image:
    """Decodes a picture to upright 8-bit RGB, transparency composited on white.

    The format is told by content. A large JPEG comes at a reduced scale (`DRAFT_PX`). EXIF
    orientation is applied, a broken EXIF ignored; of an animation the first frame is taken;
    16-bit grey is scaled to 8.

    Raises:
        PictureError: empty, too large, of another format, truncated or damaged.
    """
    if not content:
        raise PictureError("picture_empty")
    if len(content) > MAX_BYTES:
        raise PictureError("picture_too_large", most_mb=MAX_BYTES // 2**20)
    try:
        with warnings.catch_warnings():
            # Our own pixel limit below is stricter than Pillow's warning.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(
                        "picture_too_many_pixels", most_megapixels=MAX_PIXELS // 1_000_000
                    )
                if max(image.size) > MAX_ASPECT * min(image.size):
                    raise PictureError("picture_too_long", most_aspect=MAX_ASPECT)
                image.draft(None, (DRAFT_PX, DRAFT_PX))
                image.load()
                return _to_rgb(_upright(image))
    except PictureError:
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError and others
        raise PictureError("picture_not_whole", formats=FORMAT_NAMES) from error


def to_pixels(picture: Image.Image, crop: Crop = "centre") -> np.ndarray:
    """The square the models see, `(3, 32, 32)` uint8.

    Args:
        picture: RGB of any size.
        crop: `centre` cuts the largest centred square; `fit` keeps the whole picture, on white.
    """
    size = (NATIVE_PX, NATIVE_PX)
    if picture.size != size:
        resample = Image.Resampling.BICUBIC
        if crop == "centre":
            picture = ImageOps.fit(picture, size, resample)
        else:
            picture = ImageOps.pad(picture, size, resample, color="white")
    return np.asarray(picture).transpose(2, 0, 1).copy()


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF raises a wide range of types
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 where it should scale; 257 = 65535 / 255.
        grey = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
