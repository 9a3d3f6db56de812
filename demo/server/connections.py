"""Connections that say nothing, or take nothing, do not stay.

uvicorn waits without end for a request's headers; everything later has limits in the `gate`.
"""

import asyncio
import contextlib
import socket
import sys
from typing import Any

import uvicorn

from demo.server.limits import CONNECTIONS, HEADERS_S, KEEP_ALIVE_S, STALLED_S

with contextlib.suppress(ImportError):  # not on Windows
    import resource


def guard_connections(
    config: uvicorn.Config, headers_s: float = HEADERS_S, most: int = CONNECTIONS
) -> None:
    """Gives the connections that a server takes from now on a limit of time and number."""
    config.timeout_keep_alive = KEEP_ALIVE_S
    config.timeout_graceful_shutdown = 3
    theirs: Any = config.http_protocol_class
    options = {"headers_s": headers_s, "most": most}
    config.http_protocol_class = type("GuardedConnection", (_Guard, theirs), options)


def raise_open_files() -> None:
    """Lets the process hold as many files as its connections and their uploads may need."""
    if "resource" in sys.modules:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        least = 4 * CONNECTIONS
        wanted = least if hard == resource.RLIM_INFINITY else min(least, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Guard:
    """Before one of uvicorn's protocols: cuts a connection whose headers do not come."""

    headers_s: float
    most: int
    cycle: Any
    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    timeout_keep_alive_task: asyncio.TimerHandle | None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        if len(self.connections) > self.most and not self._make_room():
            transport.abort()
            return
        taken = transport.get_extra_info("socket")
        if taken is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):  # a Unix socket has no such thing
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * STALLED_S)
        self._deadline = self.loop.call_later(self.headers_s, self._cut)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        if not self._is_idle():
            self._stop_clock()
        elif self._deadline is None and self.timeout_keep_alive_task is None:
            # The first bytes of a next request, whose headers are not whole.
            self._deadline = self.loop.call_later(self.headers_s, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)  # type: ignore[misc]

    def _is_idle(self) -> bool:
        """True where no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _cut(self) -> None:
        self._deadline = None
        if self._is_idle():
            self.transport.abort()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _make_room(self) -> bool:
        """Cuts a connection on which nothing is asked; False where there is none."""
        for other in self.connections:
            if other is not self and isinstance(other, _Guard) and other._is_idle():
                self.connections.discard(other)
                other.transport.abort()
                return True
        return False
