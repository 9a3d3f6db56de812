"""Reads what a request sends, within limits of size, depth and time."""

import asyncio
import re

from starlette.types import Message, Receive

from demo.rates import Hold, Rate
from demo.server import limits
from demo.server.refusal import Declined, busy, too_large
from demo.server.room import Room
from demo.words import server as words

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or what begins as one and never ends: so that each byte is looked at once."""
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_AS_ROUND = bytes.maketrans(b"[]{}", b"()()")


class Gone(Exception):
    """The client left before its request was whole."""


async def read_body(
    receive: Receive, most_bytes: int, hold: Hold, seconds: float = limits.BODY_S
) -> bytes:
    """A request's whole body.

    Args:
        hold: of the memory that all bodies share.

    Raises:
        Declined: it is too large, too slow, or there is no memory for it.
        Gone: the client left.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                part = message.get("body", b"")
                size += len(part)
                if size > most_bytes:
                    raise too_large(most_bytes)
                if not hold.take(len(part)):
                    raise busy()
                parts.append(part)
                if not message.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise Declined(408, words.TOO_SLOW, "too_slow") from None


def check_json(body: bytes) -> None:
    """Looks at the brackets of a JSON text, in time linear in its length, without parsing it.

    Raises:
        Declined: they are nested too deeply, or are too many.
    """
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKET)
    too_many = len(brackets) > 2 * limits.JSON_BRACKETS
    brackets = brackets.translate(_AS_ROUND)
    # Each round takes away the innermost pairs, so one level of depth.
    for _ in range(0 if too_many else limits.JSON_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"()", b"") if b"((" in brackets else b""
    if too_many or brackets:
        raise Declined(413, words.TOO_DEEP, "too_deep")


def replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read to whoever comes next."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


class Upload:
    """A body that is passed on as it comes, and counted."""

    def __init__(
        self, receive: Receive, most_bytes: int, boundary: bytes, sender: str, rate: Rate,
        room: Room, seconds: float = limits.UPLOAD_S,
    ) -> None:  # fmt: skip
        """
        Args:
            boundary: of the form; each file stands between two.
            rate: of bytes a sender.
            room: on the disk.
        """
        self._receive, self._most, self._sender = receive, most_bytes, sender
        self._rate, self._room = rate, room
        self._mark = b"--" + boundary if boundary else b""
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._end = b""
        self._size = self._parts = 0
        self.declined: Declined | None = None
        """Why it was cut off, if it was: whoever reads the body may word that otherwise."""

    async def __call__(self) -> Message:
        """The next part of the body.

        Raises:
            Declined: too much of something.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
            if message["type"] == "http.request":
                self._count(message.get("body", b""))
            return message
        except TimeoutError:
            self.declined = Declined(408, words.TOO_SLOW, "too_slow")
        except Declined as declined:
            self.declined = declined
        raise self.declined

    def _count(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            raise too_large(self._most)
        if not self._rate.take(self._sender, len(part)):
            raise Declined(429, words.TOO_MUCH_UPLOADED, "uploads", 3600)
        self._room.add(len(part))
        if self._mark:
            seen = self._end + part
            self._parts += seen.count(self._mark)
            self._end = seen[max(0, len(seen) - len(self._mark) + 1) :]
            if self._parts > limits.UPLOAD_FILES + 1:  # one more ends the form
                most = limits.UPLOAD_FILES
                raise Declined(413, words.describe_too_many_files(most), "too_many_files")
