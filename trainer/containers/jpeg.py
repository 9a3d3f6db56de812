"""JPEG: segments and scans (ITU-T T.81, annex B; JFIF: ITU-T T.871)."""

import re

from trainer.containers.limits import MAX_MEGAPIXELS, MAX_SCANS, check_size, not_whole
from trainer.containers.walk import Contents, Walk
from trainer.errors import PictureError

_FRAMES = {*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, SOF0 to SOF15 and DHP."""
_ALONE = {0x00, 0x01, *range(0xD0, 0xD9)}
"""No length follows: a stuffed byte, TEM, RST0 to RST7, SOI."""
_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_COLOURS = {_APP0: b"JFIF\0", _APP14: b"Adobe"}
"""Segments that tell a decoder whether the components are YCbCr, RGB or CMYK."""
_AFTER_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""Ends the coded data of a scan, in which FF is followed by 00 or a restart marker alone."""
_FILL = re.compile(rb"\xff+")


def read_jpeg(content: bytes) -> Contents:
    """Keeps what decodes, to the end of the first image; drops the other APP segments, comments,
    fill bytes and junk between segments.

    Raises:
        PictureError: truncated before its data, or beyond a limit.
    """
    walk = Walk("JPEG", content)
    walk.keep(0, 2)
    position, scans, framed, in_scan = 2, 0, False, False
    while True:
        start = _find_marker(content, position, in_scan)
        if start < 0:
            if not in_scan:
                raise not_whole()
            walk.keep(position, len(content))  # the decoder knows whether it is whole
            return walk.finish()
        code_at = _FILL.match(content, start).end()  # type: ignore[union-attr]
        marker = code_at - 1
        if in_scan:
            walk.keep(position, start)
            walk.leave_out(marker - start)
        else:
            walk.leave_out(marker - position)
        walk.count_block()
        walk.check_end(code_at + 1)
        code = content[code_at]
        position = code_at + 1
        if code == _EOI:
            if not scans:
                raise not_whole()
            walk.keep(marker, position)
            return walk.finish()
        if code in _ALONE:
            if in_scan:
                walk.keep(marker, position)
            continue
        position += max(2, walk.number(position, 2, "big"))
        walk.check_end(position)
        in_scan = code == _SOS
        if in_scan:
            scans += 1
            if scans > MAX_SCANS:
                raise PictureError("picture_too_many_scans", most_scans=MAX_SCANS)
            if not framed:
                raise not_whole()
        elif code in _FRAMES:
            if framed:
                raise not_whole()
            framed = True
            height, width = walk.number(code_at + 4, 2, "big"), walk.number(code_at + 6, 2, "big")
            check_size(width, height, MAX_MEGAPIXELS["JPEG"])
        if code == _COM or _APP0 <= code < 0xF0:
            _read_application(walk, code, marker, position)
        else:
            walk.keep(marker, position)


def _find_marker(content: bytes, position: int, in_scan: bool) -> int:
    """Where the next FF that is no data begins, or -1."""
    if not in_scan:
        return content.find(b"\xff", position)
    found = _AFTER_DATA.search(content, position)
    return found.start() if found else -1


def _read_application(walk: Walk, code: int, start: int, end: int) -> None:
    """Keeps a segment about colours, counts another, and looks into EXIF for the orientation."""
    body = walk.content[start + 4 : start + 18]
    if code in _COLOURS and body.startswith(_COLOURS[code]):
        walk.keep(start, end)
    elif not (code == _APP2 and body.startswith(b"ICC_PROFILE\0")):
        walk.leave_out(end - start)
        if code == _APP1 and body.startswith(b"Exif\0\0"):
            walk.turn(start + 4, end)
