"""An ASGI app asked without a socket, from any address."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.server.gate import Front, Gate

PATIENCE_S = 60


class Local:
    """Runs an app in an event loop of its own; tests ask it from their thread."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine returns in the app's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    def ask(self, method: str, path: str, sender: str = "192.0.2.1", **options: Any) -> Any:
        """An answer, `httpx.Response`, to a request from an address."""
        return self.run(self.ask_async(method, path, sender, **options))

    async def ask_async(
        self, method: str, path: str, sender: str = "192.0.2.1", **options: Any
    ) -> httpx.Response:
        """As `ask`, inside the loop."""
        transport = httpx.ASGITransport(self.app, client=(sender, 1), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.request(method, path, timeout=PATIENCE_S, **options)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


def run_apart(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns, in a loop and a thread of its own.

    Gradio makes a loop for every app that it draws outside of one, and closes none.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result(PATIENCE_S)


@contextlib.contextmanager
def local(app: ASGIApp) -> Iterator[Local]:
    """Asks an app within the block."""
    running = Local(app)
    try:
        yield running
    finally:
        running.close()


class Echo:
    """An app behind a gate: it answers with how much it was sent, or as it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.headers = [(b"content-type", b"text/html"), (b"x-of", b"echo")]
        self.body = b""
        self.addresses: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        self.addresses.append(scope["client"][0])
        size = 0
        while True:
            message: Message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body or str(size).encode()})


@contextlib.contextmanager
def gated(front: Front) -> Iterator[tuple[Local, Echo]]:
    """An app that echoes, behind a gate."""
    echo = Echo()
    with local(Gate(echo, front)) as running:
        yield running, echo
