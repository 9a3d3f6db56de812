"""Stands before every route: who may ask what, how often, how much, and what an answer carries."""

import asyncio
import errno
import itertools
import os
import re
import time
from pathlib import Path
from typing import Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.rates import Hold, Rate, Share, holding
from demo.server import limits
from demo.server.addresses import find_address, name_sender
from demo.server.bodies import Gone, Upload, check_json, read_body, replay
from demo.server.figures import Figures
from demo.server.log import Log
from demo.server.refusal import Declined, busy, too_large
from demo.server.room import Room
from demo.server.routes import RESULT, STREAM, Body, Route, Routes
from demo.words import server as words

REASON = "quartet_declined"
"""In a request's scope: why a route of ours declined it, in one word."""
ALWAYS = [(b"x-content-type-options", b"nosniff")]
SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'")
"""Of a file that no page has to show: a browser runs nothing of it."""
KEPT = (b"content-disposition", b"attachment")
PICTURES = frozenset(
    f"image/{kind}".encode() for kind in ("png", "jpeg", "webp", "gif", "bmp", "x-ms-bmp")
)
"""Files that are shown. SVG is none of them: it may hold scripts."""
CLOSING = b'data: {"msg": "close_stream", "event_id": null}\n\n'
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Why nothing can be written, whatever the room looked like: a disk or a share of it is full."""
SESSION_LOOK_S = 0.05
"""Between two looks whether a session has calls."""
LONG_JSON_BYTES = 64 * 1024
"""What is longer is measured in another thread."""
_BOUNDARY = re.compile(rb'boundary="?([^";,\s]{1,200})', re.IGNORECASE)


class Results(Protocol):
    """The answers of Gradio's queue that wait to be fetched."""

    def is_awaited(self, event_id: str) -> bool:
        """True for a call whose answer nobody has fetched or is fetching."""

    def has_session(self, session: str) -> bool:
        """True for a page that waits for an answer."""

    def hold(self, event_id: str) -> None:
        """Somebody fetches it."""

    def drop(self, event_id: str) -> None:
        """It was fetched, or its client left."""


class Front:
    """What the gate knows and counts; one a server."""

    def __init__(self, settings: limits.Settings, uploads: Path) -> None:
        """
        Args:
            uploads: the folder where uploads lie.
        """
        self.settings = settings
        self.routes = Routes(settings.metrics_path)
        self.requests = Rate(settings.requests_a_minute, 60.0)
        self.uploaded = Rate(limits.SENDER_UPLOAD_BYTES, limits.UPLOADS_S)
        self.buffered = Share(limits.BUFFERED_BYTES, limits.BUFFERED_BYTES // 2)
        self.open = Share(limits.OPEN, limits.SENDER_OPEN)
        self.room = Room(uploads)
        self.figures = Figures()
        self.log = Log(settings.logging)
        self.results: Results | None = None
        """Once the queue is there."""
        self.own: ASGIApp | None = None
        """Answers at the addresses that are not Gradio's."""
        self.ending = False
        """Whether no more work is taken."""
        self.working = 0
        """Requests that are being answered and that an end waits for."""
        self._number = itertools.count()
        self._start = os.urandom(4).hex()

    def name_request(self) -> str:
        """A new request's id."""
        return f"{self._start}-{next(self._number):x}"


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front = app, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the app answer."""
        if scope["type"] == "http":
            await Visit(self._app, self._front, scope, send).answer(receive)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)


class Visit:
    """One request."""

    def __init__(self, app: ASGIApp, front: Front, scope: Scope, send: Send) -> None:
        self._app, self._front, self._scope, self._send = app, front, scope, send
        self._route: Route | None = front.routes.find(scope["path"])
        if self._route is not None and self._route.own and front.own is not None:
            self._app = front.own
        self._status = 0
        self._upload: Upload | None = None
        peer = scope.get("client") or ("", 0)
        address = find_address(scope["headers"], peer[0], front.settings.proxies)
        scope["client"] = (address, peer[1])  # whoever looks from here on sees the visitor
        self._sender = name_sender(address)
        self._id = front.name_request()

    async def answer(self, receive: Receive) -> None:
        """Answers it, and counts it."""
        front, route = self._front, self._route
        start, reason = time.perf_counter(), ""
        counted = route is not None and (route.work or route in (RESULT, STREAM))
        front.working += counted
        try:
            with holding(front.open, self._sender) as place:
                self._check_rate(place)
                await self._admit(receive)
            reason = self._scope.get(REASON, "")
        except Declined as declined:
            reason = declined.reason
            self._upload = None  # from here on the words are ours
            if not self._status:
                plain = route is not None and (route.file or route.body is Body.UPLOAD)
                await declined.respond(plain)(self._scope, receive, self._pass_on)
        except Gone:
            reason = "gone"
        except Exception:
            self._status = self._status or 500
            raise
        finally:
            front.working -= counted
            seconds, name = time.perf_counter() - start, route.name if route else "none"
            front.figures.count(name, self._status, seconds, reason)
            front.log.write_request(
                self._id, self._sender, name, self._scope["method"], self._status, seconds, reason,
                route is not None and route.logged,
            )  # fmt: skip

    async def _admit(self, receive: Receive) -> None:
        front, route, path = self._front, self._route, self._scope["path"]
        if route is None:
            raise Declined(404, words.NOT_OPEN, "closed")
        if self._scope["method"] not in route.methods:
            raise Declined(405, words.WRONG_METHOD, "method")
        if front.ending and route.work:
            raise Declined(503, words.ENDING, "ending", 60)
        if route.file and ":/" in path.partition("/file=")[2]:
            raise Declined(403, words.NOT_UPLOADED, "foreign")
        if route.stored and self._scope["method"] == "POST":
            await self._check_room()
        if route is RESULT:
            await self._fetch(path.rpartition("/")[2], receive)
        elif route is STREAM:
            await self._stream(receive)
        elif route.most_s:
            await self._run_for(route.most_s, receive)
        elif route.body is Body.NONE or self._scope["method"] != "POST":
            await self._app(self._scope, receive, self._pass_on)
        elif route.body is Body.UPLOAD:
            await self._take_upload(route, receive)
        else:
            with holding(front.buffered, self._sender) as hold:
                await self._take_body(route, receive, hold)

    def _check_rate(self, place: Hold) -> None:
        cost = self._route.cost if self._route is not None else 1
        if not self._front.requests.take(self._sender, cost):
            raise Declined(429, words.TOO_OFTEN, "requests", 60)
        if not place.take(1):
            raise busy()

    async def _run_for(self, seconds: float, receive: Receive) -> None:
        """An answer that Gradio might never end."""
        try:
            async with asyncio.timeout(seconds):
                await self._app(self._scope, receive, self._pass_on)
        except TimeoutError:
            if self._status:
                await self._send({"type": "http.response.body", "body": b""})

    async def _take_body(self, route: Route, receive: Receive, hold: Hold) -> None:
        self._check_length(route)
        body = await read_body(receive, route.most_bytes, hold)
        if route.body is Body.JSON:
            if len(body) > LONG_JSON_BYTES:
                await asyncio.to_thread(check_json, body)
            else:
                check_json(body)
        if route.stored:
            self._front.room.add(len(body))
            if not self._front.uploaded.take(self._sender, len(body)):
                raise Declined(429, words.TOO_MUCH_UPLOADED, "uploads", 3600)
        await self._app(self._scope, replay(body, receive), self._pass_on)

    async def _take_upload(self, route: Route, receive: Receive) -> None:
        self._check_length(route)
        front, found = self._front, _BOUNDARY.search(self._header(b"content-type"))
        boundary = found[1] if found else b""
        upload = self._upload = Upload(
            receive, route.most_bytes, boundary, self._sender, front.uploaded, front.room
        )
        try:
            await self._app(self._scope, upload, self._pass_on)
        except OSError as fault:
            if fault.errno not in FULL:
                raise
            raise _no_room() from fault
        if upload.declined is not None:
            raise upload.declined

    async def _fetch(self, event_id: str, receive: Receive) -> None:
        """An answer is fetched once; Gradio would wait for ever for a second one."""
        results = self._front.results
        if results is not None:
            if not results.is_awaited(event_id):
                raise Declined(404, words.READ_ALREADY, "read")
            results.hold(event_id)
        try:
            await self._app(self._scope, receive, self._pass_on)
        finally:
            if results is not None:
                results.drop(event_id)

    async def _stream(self, receive: Receive) -> None:
        results, query = self._front.results, self._scope["query_string"].decode("latin-1")
        session = re.search(r"(?:^|&)session_hash=([^&]*)", query)
        if results is not None:
            if session is None:
                raise Declined(404, words.READ_ALREADY, "read")
            if not await _wait_for_session(results, session[1]):
                # As Gradio tells a page that nothing is to come: it opens another when it asks.
                closing = Response(CLOSING, media_type="text/event-stream")
                await closing(self._scope, receive, self._pass_on)
                return
        await self._app(self._scope, receive, self._pass_on)

    async def _check_room(self) -> None:
        room = self._front.room
        if not (await asyncio.to_thread(room.has_room) if room.is_stale() else room.has_room()):
            raise _no_room()

    def _check_length(self, route: Route) -> None:
        """Declines what is too large by its own word, before a byte of it is read."""
        told = self._header(b"content-length")
        if told.isdigit() and int(told) > route.most_bytes:
            raise too_large(route.most_bytes)

    def _header(self, name: bytes) -> bytes:
        return next((value for key, value in self._scope["headers"] if key == name), b"")

    async def _pass_on(self, message: Message) -> None:
        """Sends a part of an answer, the first with headers that no answer lacks."""
        if message["type"] == "http.response.start":
            if self._upload is not None and self._upload.declined is not None:
                raise self._upload.declined  # the app's own words for it are not sent
            self._status = message["status"]
            headers = [*message.get("headers", ()), *ALWAYS, (b"x-request-id", self._id.encode())]
            if self._route is not None and self._route.file and self._status < 300:
                headers = fix_type(headers)
            message = {**message, "headers": headers}
        await self._send(message)


def _no_room() -> Declined:
    return Declined(507, words.DISK_FULL, "disk", 3600)


async def _wait_for_session(results: Results, session: str) -> bool:
    """True once a session has calls, False where it has none in time.

    A page opens its stream when its first call is taken. That may have been answered over an
    earlier stream by then, and the page's next call, of which we do not know yet, waits on this
    one: were it declined, the page would never hear of anything again.
    """
    deadline = time.monotonic() + limits.SESSION_S
    while not results.has_session(session):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(SESSION_LOOK_S)
    return True


def fix_type(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a file, after which a browser shows it as a picture or not at all."""
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    kind = kinds[0].partition(b";")[0].strip().lower() if kinds else b""
    if kind in PICTURES:
        return headers
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in (b"content-type", b"content-disposition")
    ]
    named = [pair for pair in headers if pair[0].lower() == b"content-disposition"]
    named = [pair for pair in named if pair[1].lower().startswith(b"attachment")] or [KEPT]
    return [*kept, (b"content-type", b"application/octet-stream"), SANDBOX, *named]
