"""One way from bytes to a safe RGB picture, and from there to the square the models see.

What is not our own is decoded by `trainer.decoding`, in a child process that runs `render_square`.
For that process this module imports nothing but Pillow and `trainer.containers`.
"""

import io
import warnings
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageOps

from trainer.containers import Contents, inspect_file
from trainer.containers.limits import MAX_MEGAPIXELS, check_size, not_whole
from trainer.errors import PictureError

if TYPE_CHECKING:
    import numpy as np

SQUARE_PX = 48
"""Side of the square that the models are handed of a photograph, chosen by `bench.photographs`."""
NATIVE_PX = 32
"""Side of a CIFAR-10 image, `recipe.NATIVE_PX`, whose module the child process has no need of. What
is no larger than that is not enlarged, so that such an image reaches the models as it is."""
DRAFT_FACTOR = 4
"""A JPEG is decoded at the smallest of its 1/1, 1/2, 1/4 and 1/8 scales whose sides reach this many
times the square's. Four decoded pixels a side of each pixel the models see leave the resize its own
filter, and a phone's picture decodes several times faster."""

Crop = Literal["centre", "fit"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what sets the picture upright (Exif 2.32, tag 0112)."""


def decode_picture(content: bytes, side: int = SQUARE_PX) -> Image.Image:
    """Decodes a picture of our own, in this process, to upright 8-bit RGB.

    Transparency is composited on white. The format is told by content. A large JPEG comes at a
    reduced scale (`DRAFT_FACTOR`). EXIF's orientation is applied, a broken EXIF ignored; of an
    animation the first frame is taken; 16-bit grey is scaled to 8.

    Args:
        side: of the square that will be cut, in pixels.

    Raises:
        PictureError: empty, too large, of another format, truncated, damaged, or built to cost.
    """
    return render_picture(inspect_file(content), side)


def render_picture(contents: Contents, side: int = SQUARE_PX) -> Image.Image:
    """Decodes what `containers.inspect_file` left of a file, as `decode_picture` does.

    Args:
        side: of the square that will be cut, in pixels.

    Raises:
        PictureError: truncated or damaged, or not what the file's header said.
        MemoryError: as it says.
    """
    kind = contents.kind
    try:
        with warnings.catch_warnings():
            # Our own pixel limit is stricter than Pillow's warning.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(contents.join()), formats=[kind]) as image:
                check_size(image.width, image.height, MAX_MEGAPIXELS[kind])
                image.draft(None, (DRAFT_FACTOR * side, DRAFT_FACTOR * side))
                image.load()
                turn = _TURNS.get(contents.orientation)
                return _to_rgb(image if turn is None else image.transpose(turn))
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError and others
        raise not_whole() from error


def cut_square(picture: Image.Image, crop: Crop = "centre", side: int = SQUARE_PX) -> Image.Image:
    """The square that the models see.

    Args:
        picture: RGB of any size.
        crop: `centre` cuts the largest centred square; `fit` keeps the whole picture, on white.
        side: in pixels; at most `NATIVE_PX` where what it shows has no more.
    """
    shown_px = min(picture.size) if crop == "centre" else max(picture.size)
    if shown_px <= NATIVE_PX:
        side = min(side, NATIVE_PX)
    if picture.size == (side, side):
        return picture
    resample = Image.Resampling.BICUBIC
    if crop == "centre":
        return ImageOps.fit(picture, (side, side), resample)
    return ImageOps.pad(picture, (side, side), resample, color="white")


def to_pixels(picture: Image.Image, crop: Crop = "centre", side: int = SQUARE_PX) -> "np.ndarray":
    """The pixels of `cut_square`, `(3, side, side)` uint8."""
    import numpy as np

    return np.asarray(cut_square(picture, crop, side)).transpose(2, 0, 1).copy()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 where it should scale; 257 = 65535 / 255.
        grey = image.convert("I").point(lambda value: value * (1 / 257) + 0.5)
        return grey.convert("L").convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(layer, mask=layer)
        return white
    return image.convert("RGB")
