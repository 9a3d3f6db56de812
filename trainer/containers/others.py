"""PNG, WebP, GIF and BMP."""

from trainer.containers.limits import (
    MAX_BLOCKS,
    MAX_MEGAPIXELS,
    MAX_RLE_MEGAPIXELS,
    check_size,
    not_whole,
    too_much_metadata,
)
from trainer.containers.walk import Contents, Walk

_ANIMATION, _ALPHA = 0x02, 0x10
"""Flags of a WebP's VP8X chunk."""


def read_png(content: bytes) -> Contents:
    """Keeps header, palette, transparency and pixels; drops other chunks and APNG's frames.

    Chunks: length, type, body, checksum (PNG, third edition, section 5.3).

    Raises:
        PictureError: truncated, or beyond a limit.
    """
    walk = Walk("PNG", content)
    walk.keep(0, 8)
    position, pixels = 8, False
    while True:
        walk.count_block()
        body, kind = position + 8, content[position + 4 : position + 8]
        end = body + walk.number(position, 4, "big") + 4
        walk.check_end(end)
        if (position == 8) != (kind == b"IHDR"):
            raise not_whole()
        if kind == b"IHDR":
            width, height = walk.number(body, 4, "big"), walk.number(body + 4, 4, "big")
            check_size(width, height, MAX_MEGAPIXELS["PNG"])
        pixels = pixels or kind == b"IDAT"
        small = end - position <= 12 + 3 * 256
        if kind in (b"IDAT", b"IEND") or (kind in (b"IHDR", b"PLTE", b"tRNS") and small):
            walk.keep(position, end)
        elif kind not in (b"iCCP", b"fcTL", b"fdAT"):
            walk.leave_out(end - position)
        if kind == b"eXIf":
            walk.turn(body, end - 4)
        if kind == b"IEND":
            if not pixels:
                raise not_whole()
            return walk.finish()
        position = end


def read_webp(content: bytes) -> Contents:
    """Keeps the image, or an animation's first frame, under a header of its own.

    RIFF chunks: type, length, body, and a byte of padding where the length is odd (RFC 9649,
    section 2). A frame larger than the canvas of VP8X is refused by libwebp itself.

    Raises:
        PictureError: truncated, or beyond a limit.
    """
    walk = Walk("WEBP", content)
    stop = 8 + walk.number(4, 4, "little")
    walk.check_end(stop)
    if content[8:12] != b"WEBP":
        raise not_whole()
    view, kept = memoryview(content), list[bytes | memoryview]()
    position, complete = 12, False
    while position + 8 <= stop:
        walk.count_block()
        kind, body = content[position : position + 4], position + 8
        end = body + walk.number(position + 4, 4, "little")
        walk.check_end(end)
        if position == 12:
            check_size(*_read_canvas(walk, kind, body), MAX_MEGAPIXELS["WEBP"])
        if kind == b"VP8X" and position == 12:
            flags = content[body] & (_ANIMATION | _ALPHA)
            kept += [view[position:body], bytes([flags]), view[body + 1 : end]]
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            if not complete:
                kept += [view[position:end], bytes((end - position) % 2)]
            complete = complete or kind in (b"VP8 ", b"VP8L", b"ANMF")
        elif kind != b"ICCP":
            walk.leave_out(end - position)
            if kind == b"EXIF":
                walk.turn(body, end)
        position = end + (end - position) % 2
    if not complete:
        raise not_whole()
    length = len(b"WEBP") + sum(map(len, kept))
    walk.contents.parts = [b"RIFF" + length.to_bytes(4, "little") + b"WEBP", *kept]
    return walk.finish()


def _read_canvas(walk: Walk, kind: bytes, body: int) -> tuple[int, int]:
    """Width and height in the first chunk of a WebP (RFC 9649, sections 2.5 to 2.7 and 3.4; VP8:
    RFC 6386, section 9.1)."""
    if kind == b"VP8X":
        return 1 + walk.number(body + 4, 3, "little"), 1 + walk.number(body + 7, 3, "little")
    if kind == b"VP8 ":
        width, height = walk.number(body + 6, 2, "little"), walk.number(body + 8, 2, "little")
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = walk.number(body + 1, 4, "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise not_whole()


def read_gif(content: bytes) -> Contents:
    """Keeps the palette, the first frame, and what tells its transparent colour.

    Blocks: 2C an image, 21 an extension, 3B the end; data in sub-blocks of a length's byte and as
    many bytes, the last one empty (GIF89a, sections 15 to 27).

    Raises:
        PictureError: truncated, or beyond a limit.
    """
    walk = Walk("GIF", content)
    width, height = walk.number(6, 2, "little"), walk.number(8, 2, "little")
    position = 13 + _palette_size(walk.number(10, 1, "little"))
    walk.keep(0, position)
    while True:
        walk.count_block()
        kind = walk.number(position, 1, "little")
        if kind == 0x21:
            end = _skip_blocks(content, position + 2)
            if content[position + 1] == 0xF9 and end == position + 8:
                walk.keep(position, end)
            else:
                walk.leave_out(end - position)
            position = end
            continue
        if kind != 0x2C:
            raise not_whole()
        left, top, wide, high = (
            walk.number(position + offset, 2, "little") for offset in (1, 3, 5, 7)
        )
        check_size(max(width, left + wide), max(height, top + high), MAX_MEGAPIXELS["GIF"])
        palette = _palette_size(walk.number(position + 9, 1, "little"))
        walk.keep(position, _skip_blocks(content, position + 11 + palette))
        walk.add(b";")
        return walk.finish()


def _palette_size(flags: int) -> int:
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _skip_blocks(content: bytes, position: int) -> int:
    """Where the sub-blocks that begin at `position` end."""
    for _ in range(MAX_BLOCKS):
        if position >= len(content):
            raise not_whole()
        size = content[position]
        position += 1 + size
        if not size:
            return position
    raise too_much_metadata()


def read_bmp(content: bytes) -> Contents:
    """Checks the size; a BMP holds nothing beside its pixels that costs.

    Width, height and compression stand in the header at 14, whose own length comes first
    (BITMAPCOREHEADER, BITMAPINFOHEADER and what grew from it).

    Raises:
        PictureError: truncated, or beyond a limit.
    """
    walk = Walk("BMP", content)
    compression = 0
    if walk.number(14, 4, "little") == 12:
        width, height = walk.number(18, 2, "little"), walk.number(20, 2, "little")
    else:
        width, height = walk.number(18, 4, "little"), walk.number(22, 4, "little")
        height = min(height, 2**32 - height)  # negative: from top to bottom
        compression = walk.number(30, 4, "little")
    run_lengths = compression in (1, 2)
    check_size(width, height, MAX_RLE_MEGAPIXELS if run_lengths else MAX_MEGAPIXELS["BMP"])
    walk.keep(0, len(content))
    return walk.finish()
