"""From an uploaded file to a safe picture. The rules are `trainer.picture`'s; one place reads."""

from pathlib import Path

from PIL import Image

from trainer.picture import MAX_BYTES, PictureError, decode_picture


def read_picture(path: str) -> Image.Image:
    """Decodes an uploaded file.

    Raises:
        PictureError: it is gone, too large, or not a picture we take.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureError("The file is no longer on the server: upload it again.") from error
    return decode_picture(content)
