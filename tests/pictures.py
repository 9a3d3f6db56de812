"""Makes pictures for tests: whole ones, broken ones, and files built to cost."""

import io
import struct
import zlib
from collections.abc import Callable

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


def claim_png(
    width: int, height: int, extra: bytes = b"", depth: int = 8, colour: int = 2, laced: int = 0
) -> bytes:
    """A PNG's signature and header, claiming a size without holding it.

    Args:
        depth: bits a sample.
        colour: 0 grey, 2 RGB, 6 RGBA.
        laced: 1 for Adam7.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, laced)
    pixels = _chunk(b"IDAT", zlib.compress(b"\x00" * 10))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + pixels + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with a note that unpacks to 80 MB."""
    return claim_png(32, 32, _chunk(b"zTXt", b"note\x00\x00" + zlib.compress(bytes(80_000_000))))


def add_png_chunks(content: bytes, kind: bytes, body: bytes, count: int = 1) -> bytes:
    """The PNG with chunks after its header."""
    return content[:33] + _chunk(kind, body) * count + content[33:]


def add_jpeg_bytes(content: bytes, extra: bytes) -> bytes:
    """The JPEG with something after its first two bytes."""
    return content[:2] + extra + content[2:]


def make_segment(marker: int, body: bytes) -> bytes:
    """A JPEG's segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def make_overlapping_exif(count: int) -> bytes:
    """EXIF of 24 bytes an entry: half a directory, whose entries each cover the other half."""
    start = 8 + 2 + 12 * count + 4
    size = 12 * count
    entries = b"".join(struct.pack("<HHII", 0x9000 + n, 7, size, start) for n in range(count))
    return struct.pack("<2sHIH", b"II", 42, 8, count) + entries + bytes(4) + bytes(size)


def add_webp_exif(content: bytes, exif: bytes) -> bytes:
    """The plain WebP in the extended format, with EXIF."""
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = _riff(b"VP8X", bytes([8, 0, 0, 0]) + canvas) + content[12:] + _riff(b"EXIF", exif)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def add_gif_comment(content: bytes, count: int) -> bytes:
    """The GIF with a comment of so many sub-blocks of one byte, before its image."""
    start = 13 + (3 << (1 + (content[10] & 7)) if content[10] & 0x80 else 0)
    return content[:start] + b"!\xfe" + b"\x01x" * count + b"\x00" + content[start:]


def add_empty_scans(content: bytes, count: int) -> bytes:
    """The progressive JPEG with further scans that hold no coefficient, before its end."""
    table = make_segment(0xC4, bytes([0x10, 1, *bytes(15), 0x70]))  # one code: 32768 empty blocks
    scan = make_segment(0xDA, bytes([1, 1, 0, 63, 63, 0])) + b"\x00"
    return content[:-2] + table + scan * count + content[-2:]


def make_rle_bmp(width: int, height: int) -> bytes:
    """A run-length coded BMP that leaves each row to be filled after one pixel."""
    rows = b"\x01\x01\x00\x00" * height + b"\x00\x01"
    offset = 14 + 40 + 4 * 256
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    palette = b"".join(bytes([n, 255 - n, n, 0]) for n in range(256))
    head = b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
    return head + header + palette + rows


def make_flat_webp(width: int, height: int) -> bytes:
    """A lossless WebP of a few dozen bytes: one colour, whatever its size."""
    content = encode(Image.new("RGB", (16, 16), "red"), "WEBP", lossless=True)
    bits = int.from_bytes(content[21:25], "little") & ~0xFFFFFFF
    size = (width - 1) | (height - 1) << 14 | bits
    return content[:21] + size.to_bytes(4, "little") + content[25:]


def claim_gif(width: int, height: int, screen: tuple[int, int] = (1, 1)) -> bytes:
    """A GIF of a few dozen bytes whose frame claims more than its screen."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return head + frame + b"\x02\x02\x44\x01\x00;"


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


HUGE = (10_000, 5_000)
EXIF = b"Exif\0\0"
BOMBS: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "EXIF directory, entries over each other, PNG": (
        "64 kB",
        lambda picture: add_png_chunks(
            encode(picture, "PNG"), b"eXIf", make_overlapping_exif(7_000)
        ),
    ),
    "EXIF directory, entries over each other, below 64 kB": (
        "64 kB",
        lambda picture: add_jpeg_bytes(
            encode(picture, "JPEG"),
            make_segment(0xE1, EXIF + make_overlapping_exif(2_500)),
        ),
    ),
    "EXIF again and again, PNG": (
        "64 kB",
        lambda picture: add_png_chunks(encode(picture, "PNG"), b"eXIf", EXIF * 333_000),
    ),
    "EXIF again and again, WebP": (
        "64 kB",
        lambda picture: add_webp_exif(encode(picture, "WEBP"), EXIF * 333_000),
    ),
    "EXIF again and again, JPEG": (
        "64 kB",
        lambda picture: add_jpeg_bytes(
            encode(picture, "JPEG"), make_segment(0xE1, EXIF * 10_900) * 31
        ),
    ),
    "EXIF of 1 MB": (
        "64 kB",
        lambda picture: add_png_chunks(
            encode(picture, "PNG"), b"eXIf", b"II*\0" + bytes(1_000_000)
        ),
    ),
    "GIF comment byte by byte": (
        "64 kB",
        lambda picture: add_gif_comment(encode(picture, "GIF"), 1_000_000),
    ),
    "JPEG of 1,000 empty scans": (
        "50 passes",
        lambda _: add_empty_scans(
            encode(Image.new("RGB", (800, 600)), "JPEG", progressive=True), 1_000
        ),
    ),
    "JPEG of padding": (
        "64 kB",
        lambda picture: add_jpeg_bytes(encode(picture, "JPEG"), b"\xff" * 19_000_000),
    ),
    "JPEG of padding after its data": (
        "64 kB",
        lambda picture: encode(picture, "JPEG")[:-2] + b"\xff" * 19_000_000 + b"\xd9",
    ),
    "JPEG of empty segments": (
        "64 kB",
        lambda picture: add_jpeg_bytes(
            encode(picture, "JPEG"), make_segment(0xE5, b"") * 4_700_000
        ),
    ),
    "PNG of empty chunks": (
        "64 kB",
        lambda picture: add_png_chunks(encode(picture, "PNG"), b"abCd", b"", 1_580_000),
    ),
    "PNG of empty pixel chunks": (
        "64 kB",
        lambda picture: add_png_chunks(encode(picture, "PNG"), b"IDAT", b"", 1_580_000),
    ),
    "BMP of run lengths": ("megapixels", lambda _: make_rle_bmp(9_999, 5_000)),
    "WebP of 36 bytes": ("megapixels", lambda _: make_flat_webp(*HUGE)),
    "GIF frame larger than its screen": ("megapixels", lambda _: claim_gif(*HUGE)),
    "GIF screen": ("megapixels", lambda _: claim_gif(1, 1, HUGE)),
    "PNG with transparency": ("megapixels", lambda _: claim_png(*HUGE, colour=6)),
    "PNG of 16 bits": (
        "megapixels",
        lambda _: claim_png(*HUGE, depth=16, colour=0),
    ),
    "PNG interlaced": ("megapixels", lambda _: claim_png(*HUGE, laced=1)),
    "PNG of two headers": (
        "not a whole picture",
        lambda picture: add_png_chunks(encode(picture, "PNG"), b"IHDR", claim_png(*HUGE)[16:29]),
    ),
    "JPEG of two frames": (
        "not a whole picture",
        lambda picture: add_jpeg_bytes(
            encode(picture, "JPEG"),
            make_segment(0xC0, b"\x08\x00\x01\x00\x01\x01\x01\x11\x00"),
        ),
    ),
}
"""Name to what its refusal says, and what makes it of a small picture."""
