"""The process in which a stranger's picture is decoded: it owns nothing, and may be killed.

Its limits hold from before it reads the first byte of a picture. It is started with an empty
environment and one socket as its standard input, imports Pillow alone, and ends when the other
side of the socket does. Spoken there: `REQUEST` and the file, then `ANSWER` and the pixels.
"""

import contextlib
import io
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path

from PIL import Image, WebPImagePlugin

from trainer.containers import Contents
from trainer.containers.limits import FORMATS
from trainer.errors import PictureError
from trainer.picture import Crop, cut_square, render_picture

TIMEOUT_S = 10
"""A picture's decoding may take this long."""
MEMORY_BYTES = 512 * 2**20
"""What decoding one picture may add to the process. A progressive CMYK JPEG of 48 megapixels
without subsampling adds 381 MB, the worst of what the limits of pixels allow."""
NICENESS = 3
"""Between the app (0) and its jobs (5): a picture built to cost leaves the app the processor."""
OPEN_FILES = 3
"""Standard input, output and error."""

REQUEST = struct.Struct("<BBBHI")
"""Index in `FORMATS`, orientation, index in `CROPS`, side in pixels, bytes of the file."""
ANSWER = struct.Struct("<BH")
"""Index in `CODES`, side of the square, 0 without one. Its `side * side * 3` bytes follow, rows of
RGB."""
READY = b"\x01"
CROPS: tuple[Crop, ...] = ("centre", "fit")
CODES = (
    "", "picture_not_whole", "picture_too_many_pixels", "picture_too_long",
    "picture_too_much_memory",
)  # fmt: skip
"""What became of a picture; the first: it is decoded."""


def serve(timeout_s: float, memory_bytes: int) -> None:
    """Answers requests until the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    with (
        contextlib.suppress(ConnectionError),  # who asked is gone, with something unread
        socket.socket(fileno=0) as channel,
        channel.makefile("rb") as requests,
    ):
        _warm_up()
        _limit(memory_bytes)
        channel.sendall(READY)
        while header := requests.read(REQUEST.size):
            kind, orientation, crop, side, count = REQUEST.unpack(header)
            # Should nobody wait any more, the kernel ends what never ends.
            signal.setitimer(signal.ITIMER_REAL, 2 * timeout_s)
            code, side, pixels = _decode(
                FORMATS[kind], orientation, requests.read(count), crop, side
            )
            signal.setitimer(signal.ITIMER_REAL, 0)
            channel.sendall(ANSWER.pack(CODES.index(code), side) + pixels)


def _decode(
    kind: str, orientation: int, file: bytes, crop: int, side: int
) -> tuple[str, int, bytes]:
    """The answer's code, side and pixels."""
    contents, cut = Contents(kind, orientation, [file]), CROPS[crop]
    try:
        square = cut_square(render_picture(contents, side), cut, side)
        return "", square.width, square.tobytes()
    except PictureError as error:
        return error.code, 0, b""
    except MemoryError:
        return "picture_too_much_memory", 0, b""


def _warm_up() -> None:
    """Decodes a picture of every format, so that no module is left to import afterwards."""
    assert WebPImagePlugin.SUPPORTED
    picture = Image.new("RGBA", (2, 2), "red")
    for kind in FORMATS:
        content = io.BytesIO()
        picture.convert("RGB" if kind in ("JPEG", "BMP") else "RGBA").save(content, kind)
        for crop in range(len(CROPS)):
            _decode(kind, 1, content.getvalue(), crop, 1)


def _limit(memory_bytes: int) -> None:
    """Takes from this process what decoding a picture does not need."""
    os.nice(NICENESS)
    limits = {
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory_bytes
    for limit, most in limits.items():
        with contextlib.suppress(ValueError):  # one above a limit that is already lower
            resource.setrlimit(limit, (most, most))
