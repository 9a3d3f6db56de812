"""What a picture may cost: each limit once, and the refusals that name it."""

from trainer.errors import PictureError

MAX_BYTES = 20 * 1024 * 1024
MAX_MEGAPIXELS = {"JPEG": 50, "PNG": 20, "WEBP": 20, "GIF": 20, "BMP": 20}
"""50: above any phone's 48-megapixel picture. A JPEG is decoded at a reduced scale; the others
cannot be, and take 20 bytes a pixel and more while they are."""
MAX_RLE_MEGAPIXELS = 4
"""Pillow unfolds a run-length coded BMP byte by byte in Python, up to 0.2 s a megapixel."""
MAX_ASPECT = 50
MAX_METADATA = 64 * 1024
"""Bytes beside the pixels. Colour profiles do not count: those for print alone are larger."""
MAX_SCANS = 50
"""Encoders write a progressive JPEG in 10 to 20 scans; each costs a pass over all pixels."""
MAX_BLOCKS = 100_000
"""Segments, chunks and sub-blocks: a GIF of `MAX_BYTES` has 82,000 of 255 bytes."""
FORMATS = tuple(MAX_MEGAPIXELS)
FORMAT_NAMES = "JPEG, PNG, WebP, GIF or BMP"
LIMITS = (
    f"{FORMAT_NAMES}, up to {MAX_BYTES // 2**20} MB: JPEG up to {MAX_MEGAPIXELS['JPEG']} "
    f"megapixels, the others up to {MAX_MEGAPIXELS['PNG']}."
)
"""The limits as a person is told them."""


def check_length(count: int) -> None:
    """Refuses a file of too many bytes.

    Raises:
        PictureError: `picture_too_large`.
    """
    if count > MAX_BYTES:
        raise PictureError("picture_too_large", most_mb=MAX_BYTES // 2**20)


def check_size(width: int, height: int, most_megapixels: int) -> None:
    """Refuses a picture of too many pixels or none, or too long a one.

    Raises:
        PictureError: `picture_too_many_pixels`, `picture_too_long`, `picture_not_whole`.
    """
    if width < 1 or height < 1:
        raise not_whole()
    if width * height > most_megapixels * 1_000_000:
        raise PictureError("picture_too_many_pixels", most_megapixels=most_megapixels)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError("picture_too_long", most_aspect=MAX_ASPECT)


def not_whole() -> PictureError:
    """The error of what is no whole picture."""
    return PictureError("picture_not_whole", formats=FORMAT_NAMES)


def too_much_metadata() -> PictureError:
    """The error of a file that holds too much beside its pixels."""
    return PictureError("picture_too_much_metadata", most_kb=MAX_METADATA // 1024)
