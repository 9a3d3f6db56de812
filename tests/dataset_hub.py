"""A local stand-in for the Hub's endpoints of one data set, over HTTP."""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "1" * 40


@contextlib.contextmanager
def running_dataset_hub(repo: str, files: dict[str, bytes]) -> Iterator[str]:
    """Serves the files of a data set until the end of the block; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith(f"/api/datasets/{repo}/revision/"):
                siblings = [{"rfilename": name} for name in files]
                self._answer({"id": repo, "sha": COMMIT, "siblings": siblings})
            elif path.startswith(f"/api/datasets/{repo}/tree/"):
                self._answer(
                    [
                        {"type": "file", "path": name, "size": len(one), "oid": _hash(one)}
                        for name, one in files.items()
                    ]
                )
            elif match := re.fullmatch(rf"/datasets/{repo}/resolve/[^/]+/(.+)", path):
                self._send(files.get(match[1]), "application/octet-stream")
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def _answer(self, value: Any) -> None:
            self._send(json.dumps(value).encode(), "application/json")

        def _send(self, content: bytes | None, kind: str) -> None:
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{_hash(content)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _hash(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
