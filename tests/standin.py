"""What the local stand-ins of other servers share."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0" * 40


def hash_content(content: bytes) -> str:
    """As the Hub names a file's content."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class StandIn(BaseHTTPRequestHandler):
    """Answers as the Hub does, and logs nothing."""

    def answer(self, value: Any) -> None:
        """JSON."""
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send_file(self, content: bytes | None) -> None:
        """A file of a repository, or that there is none."""
        if content is None:
            self.send_error(404)
            return
        self._send(content, {"X-Repo-Commit": COMMIT, "ETag": f'"{hash_content(content)}"'})

    def _send(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serves until the end of the block; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
