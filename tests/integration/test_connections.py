"""Sockets that say nothing, and an app that is asked to end."""

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest
import uvicorn

from demo.server.connections import guard_connections
from tests.app import RENDERED, running_app
from tests.integration.test_jobs import wait_until
from tests.pictures import make_flat_webp
from tests.server import Echo

PATIENCE_S = 60
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.contextmanager
def listening(headers_s: float, most: int) -> Iterator[int]:
    """A guarded server; yields its port."""
    config = uvicorn.Config(Echo(), port=0, log_level="error", lifespan="off")
    config.load()
    guard_connections(config, headers_s, most)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, PATIENCE_S)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def is_cut(connection: socket.socket) -> bool:
    """Waits for an end, or for an answer; True for an end."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", REQUEST[:-2], REQUEST[:-2] + b"a: b\r\n"], ids=["nothing", *"abc"]
)
def test_connection_without_whole_headers_is_cut(said: bytes) -> None:
    with listening(0.05, 100) as port, connect(port) as connection:
        connection.sendall(said)
        assert is_cut(connection)


def test_next_request_has_its_time_too() -> None:
    with listening(0.05, 100) as port, connect(port) as connection:
        connection.sendall(REQUEST)
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"0")
        connection.sendall(b"GET /")
        assert is_cut(connection)


def test_who_asks_gets_a_place_from_who_does_not() -> None:
    with listening(PATIENCE_S, 3) as port, contextlib.ExitStack() as open_ones:
        silent = [open_ones.enter_context(connect(port)) for _ in range(6)]
        with connect(port) as asking:
            asking.sendall(REQUEST)
            assert not is_cut(asking)
        wait_until(lambda: len(select.select(silent, [], [], 0)[0]) >= 4, PATIENCE_S)


def test_app_that_is_asked_to_end_finishes_what_it_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment asks for Node, which would take its signals and its addresses."""
    monkeypatch.setenv("QUARTET_HOME", str(tmp_path))
    monkeypatch.setenv("QUARTET_METRICS", "/metrics")
    with running_app(variables=RENDERED) as app, ThreadPoolExecutor() as pool:
        process = psutil.Process(app.pid)

        def inside() -> bool:
            return "\nquartet_classify_inside 1\n" in app.client.get("/metrics").text

        asked = pool.submit(app.client.post, "/v1/classify", content=make_flat_webp(4_000, 4_000))
        wait_until(lambda: inside() or asked.done(), PATIENCE_S)
        os.kill(app.pid, signal.SIGTERM)
        assert asked.result(PATIENCE_S).status_code == 200
        assert process.wait(PATIENCE_S) in (0, None)
