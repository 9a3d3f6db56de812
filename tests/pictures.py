"""Makes pictures, whole and broken ones, for tests."""

import io
import struct
import zlib

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The file's content in one of Pillow's formats."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def turn(picture: Image.Image, orientation: int, kind: str = "PNG", **options: object) -> bytes:
    """A file that stores the picture turned, and an EXIF orientation 1..8 that sets it upright."""
    stored = picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(stored, kind, exif=exif, **options)


def claim_png(width: int, height: int, extra: bytes = b"") -> bytes:
    """A PNG's signature and header, claiming a size without holding it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\x00" * 10))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + pixels + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with a note that unpacks to 80 MB."""
    return claim_png(32, 32, _chunk(b"zTXt", b"note\x00\x00" + zlib.compress(bytes(80_000_000))))


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum
