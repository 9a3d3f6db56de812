"""Decodes strangers' pictures in standing child processes, with a fair share for each client.

A picture that costs too much time or memory costs its child: that one is ended and replaced, its
sender is refused, and the others wait for one decoding at most. A child that the system ends costs
nobody their picture: another is asked.

The children are a few lines over `subprocess`, not a library's pool over `multiprocessing` (such as
pebble's): there a child runs the program's main module, which builds the app, and inherits its
environment and so its tokens; it shares locks with the others that it may take along when it is
killed; and its answers are unpickled, so that a picture which takes over a child owns the app.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainer.containers import Contents, inspect_file
from trainer.containers.limits import FORMATS, MAX_ASPECT, MAX_MEGAPIXELS, not_whole
from trainer.decoding_child import (
    ANSWER,
    CODES,
    CROPS,
    MEMORY_BYTES,
    READY,
    REQUEST,
    TIMEOUT_S,
)
from trainer.errors import PictureError
from trainer.picture import NATIVE_PX, SQUARE_PX, Crop
from trainer.turns import NoTurn, Turns

if TYPE_CHECKING:
    import numpy as np

CHILDREN = 2
QUEUE_S = TIMEOUT_S
"""A client's own pictures may keep its next one waiting so long."""
PATIENCE_S = 2 * TIMEOUT_S
"""A picture waits so long for its turn."""
START_S = 30
"""A child has this long to start."""
SLOW_S = 1.0
"""Once a decoding takes so long, the replacement of its child is started."""
KEPT_BYTES = 8 * 2**20
"""What a child may keep of its memory from one picture to the next."""
REMEMBERED_S = 120
REMEMBERED = 1000
"""What cost a child is refused unseen for so long, so many of them."""
_RUN = """import sys
sys.path[:] = sys.argv[3:]
from trainer.decoding_child import serve
serve(float(sys.argv[1]), int(sys.argv[2]))
"""


class Decoder:
    """Children that decode, started when they are needed. Threads may share it."""

    def __init__(
        self,
        children: int = CHILDREN,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """Starts nothing yet.

        Args:
            children: how many pictures are decoded at once.
            timeout_s: how long a picture may take.
            memory_bytes: how much it may add to its child.
        """
        self._limits = timeout_s, memory_bytes
        self._turns = Turns(children, QUEUE_S, PATIENCE_S)
        self._idle: list[_Child] = []
        self._spares: list[_Child] = []
        self._costly: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        """Hash of a file that cost a child, to its error's code and the time."""
        self._closed = False

    def decode(
        self, content: bytes, crop: Crop = "centre", client: str = "", side: int = SQUARE_PX
    ) -> "np.ndarray":
        """Decodes a file to the square that the models see.

        Args:
            crop: as `picture.cut_square` takes it.
            client: who sent it; pictures of one client are decoded one after the other.
            side: of the square in pixels, as `picture.cut_square` takes it.

        Returns:
            Pixels `(3, side, side)` uint8, of a picture of CIFAR-10's size or less 32 a side.

        Raises:
            PictureError: it is not a picture we take, costs too much, or found no turn.
        """
        import numpy as np

        if crop not in CROPS:
            raise PictureError("picture_crop", allowed=" or ".join(CROPS))
        contents = inspect_file(content)
        key = hashlib.sha256(content).digest()
        try:
            with self._turns.take(client, key):
                self._refuse_costly(key)
                side, pixels = self._ask(contents, key, crop, side)
        except NoTurn:
            raise PictureError("picture_waited") from None
        rows = np.frombuffer(pixels, np.uint8).reshape(side, side, 3)
        return np.ascontiguousarray(rows.transpose(2, 0, 1))

    @property
    def waiting(self) -> int:
        """How many pictures wait for their turn."""
        return self._turns.waiting

    def close(self) -> None:
        """Ends the children; pictures are refused from now on."""
        self._closed = True
        for children in (self._idle, self._spares):
            while children:
                children.pop().end()

    def _ask(
        self, contents: Contents, key: bytes, crop: Crop, side: int, again: bool = True
    ) -> tuple[int, bytes]:
        """Has a child decode, and replaces one that did not come back whole.

        Args:
            again: whether to ask another where a child is lost: the system may have ended it, which
                is no fault of the picture. Time is never given twice.
        """
        child = self._take_child()
        try:
            code, given, pixels = child.ask(contents, crop, side, self._start_spare)
        except BaseException as error:
            child.end()
            if not isinstance(error, _Lost):
                raise
            if again and error.code != "picture_too_slow":
                return self._ask(contents, key, crop, side, again=False)
            self._remember(key, error.code)
            raise _word(error.code, contents.kind) from None
        if code == "picture_too_much_memory" or self._closed:
            child.end()
        else:
            self._idle.append(child)
        if code:
            raise _word(code, contents.kind)
        return given, pixels

    def _take_child(self) -> "_Child":
        if self._closed:
            raise PictureError("picture_no_decoder")
        for children in (self._idle, self._spares):
            with contextlib.suppress(IndexError):
                while not (child := children.pop()).is_there():
                    child.end()
                return child
        return _Child(*self._limits)

    def _start_spare(self) -> None:
        if not self._spares and not self._closed:
            with contextlib.suppress(PictureError):
                self._spares.append(_Child(*self._limits))

    def _refuse_costly(self, key: bytes) -> None:
        code, then = self._costly.get(key, ("", 0.0))
        if code and time.monotonic() - then < REMEMBERED_S:
            raise _word(code, "")

    def _remember(self, key: bytes, code: str) -> None:
        if code != "picture_no_decoder":
            self._costly[key] = code, time.monotonic()
            while len(self._costly) > REMEMBERED:
                self._costly.popitem(last=False)


class _Lost(Exception):
    """A child that gave no answer; `code` says what its picture is told."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Child:
    """One process of `decoding_child`, and the socket to it. What it says is not trusted."""

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        """Starts it and does not wait for it.

        Raises:
            PictureError: the system starts no process.
        """
        self._socket, theirs = socket.socketpair()
        self._timeout_s, self._ready = timeout_s, False
        # Nothing of ours is inherited, but where an interpreter finds its own library. What a large
        # picture took goes back to the system, what an ordinary one takes is kept (mallopt(3)).
        environment = {f"MALLOC_{name}_THRESHOLD_": str(KEPT_BYTES) for name in ("MMAP", "TRIM")}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _RUN]
        values = [str(timeout_s), str(memory_bytes), *map(os.path.abspath, sys.path)]
        try:
            self._process = subprocess.Popen(
                [*command, *values],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
            )
        except OSError as error:
            self._socket.close()
            raise PictureError("picture_no_decoder") from error
        finally:
            theirs.close()

    def ask(
        self, contents: Contents, crop: Crop, side: int, on_slow: Callable[[], None]
    ) -> tuple[str, int, bytes]:
        """The code of `CODES` and, where that is empty, the square's side and its pixels.

        Args:
            on_slow: called once where the answer takes longer than `SLOW_S`.

        Raises:
            _Lost: no answer in time, or the child is gone.
        """
        if not self._ready:
            if self._receive(1, time.monotonic() + START_S, "picture_no_decoder") != READY:
                raise _Lost("picture_no_decoder")
            self._ready = True
        deadline = time.monotonic() + self._timeout_s
        count = sum(map(len, contents.parts))
        kind, cut = FORMATS.index(contents.kind), CROPS.index(crop)
        header = REQUEST.pack(kind, contents.orientation, cut, side, count)
        for part in (header, *contents.parts):
            self._wait(self._socket.sendall, part, deadline, "picture_not_whole")
        self._socket.settimeout(min(SLOW_S, self._timeout_s))
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            on_slow()
        except OSError as error:
            raise _Lost("picture_not_whole") from error
        index, given = ANSWER.unpack(self._receive(ANSWER.size, deadline, "picture_not_whole"))
        if index >= len(CODES) or given not in ((0,) if index else (side, min(side, NATIVE_PX))):
            raise _Lost("picture_not_whole")
        pixels = self._receive(given * given * 3, deadline, "picture_not_whole")
        return CODES[index], given, pixels

    def is_there(self) -> bool:
        """False where the process has ended, whoever ended it."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kills the process."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, count: int, deadline: float, gone: str) -> bytes:
        received = b""
        while len(received) < count:
            part = self._wait(self._socket.recv, count - len(received), deadline, gone)
            if not part:
                raise _Lost(gone)
            received += part
        return received

    def _wait(self, act: Callable[[Any], Any], value: Any, deadline: float, gone: str) -> Any:
        """What `act(value)` on the socket returns before the deadline."""
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            return act(value)
        except TimeoutError as error:
            raise _Lost("picture_too_slow") from error
        except OSError as error:
            raise _Lost(gone) from error


def _word(code: str, kind: str) -> PictureError:
    """The error of a code, for a picture of that format."""
    errors = (
        not_whole(),
        PictureError("picture_too_many_pixels", most_megapixels=MAX_MEGAPIXELS.get(kind)),
        PictureError("picture_too_long", most_aspect=MAX_ASPECT),
        PictureError("picture_too_slow", most_s=TIMEOUT_S),
        PictureError("picture_too_much_memory"),
        PictureError("picture_no_decoder"),
    )
    return next(error for error in errors if error.code == code)


@functools.cache
def _create_shared() -> Decoder:
    decoder = Decoder()
    atexit.register(decoder.close)
    return decoder


_creating = threading.Lock()


def shared_decoder() -> Decoder:
    """The decoder of this process. Its children start when they are needed and end with it."""
    with _creating:
        return _create_shared()
