"""What the server answers beside Gradio: files to take along, and the card of a shared link."""

import re
from typing import Any
from urllib.parse import parse_qsl

from markupsafe import escape
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.exports import Exports, NoSuchFile
from demo.server.routes import CARD as PICTURE
from demo.server.routes import EXPORTS
from demo.words import common as words

_CARD = re.compile(rb'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*/>')


class ExportFiles:
    """ASGI middleware: the files of `demo.exports`."""

    def __init__(self, app: ASGIApp, exports: Exports) -> None:
        self.app, self._exports = app, exports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(EXPORTS):
            await self.app(scope, receive, send)
            return
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        name = path.removeprefix(EXPORTS)
        try:
            file = await run_in_threadpool(self._exports.make, name, query)
        except NoSuchFile:
            await PlainTextResponse(words.NO_SUCH_EXPORT, 404)(scope, receive, send)
            return
        headers = {"Content-Disposition": f'attachment; filename="quartet-{name}"'}
        await Response(file.content, 200, headers, file.kind)(scope, receive, send)


class ShareCard:
    """ASGI middleware: a link to the page shows Quartet where it is shared, not Gradio."""

    def __init__(self, app: ASGIApp, picture: bytes) -> None:
        """
        Args:
            picture: of the card, a PNG file.
        """
        self.app, self._picture = app, picture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path == PICTURE:
            await Response(self._picture, media_type="image/png")(scope, receive, send)
        elif scope["type"] == "http" and path in ("", "/"):
            await self.app(scope, receive, _Rewriting(scope, send))
        else:
            await self.app(scope, receive, send)


class _Rewriting:
    """Holds a page back until it is whole, and sends it with our card."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send, self._body = send, b""
        self._start: Message = {}
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"x-forwarded-host") or headers.get(b"host", "")
        scheme = headers.get(b"x-forwarded-proto") or str(scope.get("scheme", "http"))
        self._origin = f"{scheme.split(',')[0]}://{host}"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = dict(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = _CARD.sub(b"", self._body)
        body = body.replace(b"<head>", b"<head>" + draw_card(self._origin).encode(), 1)
        kept = [one for one in self._start["headers"] if one[0].lower() != b"content-length"]
        length = (b"content-length", str(len(body)).encode())
        await self._send({**self._start, "headers": [*kept, length]})
        await self._send({"type": "http.response.body", "body": body})


def draw_card(origin: str) -> str:
    """The tags that say what a shared link shows.

    Args:
        origin: where the app is, as the visitor named it.
    """
    picture = f"{origin}{PICTURE}"
    tags: list[tuple[str, str, Any]] = [
        ("property", "og:type", "website"),
        ("property", "og:title", words.TITLE),
        ("property", "og:description", words.TAGLINE),
        ("property", "og:image", picture),
        ("property", "og:image:alt", words.CARD_ALT),
        ("name", "twitter:card", "summary_large_image"),
        ("name", "twitter:title", words.TITLE),
        ("name", "twitter:description", words.TAGLINE),
        ("name", "twitter:image", picture),
    ]
    return "".join(
        f'\n<meta {kind}="{name}" content="{escape(value)}" />' for kind, name, value in tags
    )
