"""A running app, and how a stranger talks to it: plain HTTP."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import playwright

ROOT = Path(__file__).parent.parent
NODE = Path(playwright.__file__).parent / "driver" / "node"
RENDERED = {"GRADIO_SSR_MODE": "true", "GRADIO_NODE_PATH": str(NODE)}
"""With these a Space asks for pages rendered on the server; the Node is Playwright's."""


class Refused(Exception):
    """The app's answer is an error; the message is what the user is told."""


@dataclass
class RunningApp:
    """The app on a port of its own."""

    url: str
    client: httpx.Client
    pid: int

    def upload(self, content: bytes, name: str = "picture.png") -> str:
        """Uploads a file; returns its path on the server."""
        answer = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        if answer.status_code != 200:
            raise Refused(answer.text)
        path: str = answer.json()[0]
        return path

    def call(self, *data: Any, endpoint: str = "classify") -> Any:
        """Calls an endpoint with its arguments and returns its answer."""
        called = self.client.post(f"/gradio_api/call/{endpoint}", json={"data": list(data)})
        if called.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Refused(called.json()["detail"])
        event = called.raise_for_status().json()["event_id"]
        told = self.client.get(f"/gradio_api/call/{endpoint}/{event}").text
        *_, kind, line = told.strip().splitlines()  # heartbeats come first where a call waits
        answer = json.loads(line.removeprefix("data: "))
        if kind != "event: complete":
            raise Refused(answer["error"] if isinstance(answer, dict) else str(answer))
        return answer[0]

    def classify(self, content: bytes, crop: str = "centre", name: str = "picture.png") -> Any:
        """Uploads a picture and has it classified."""
        return self.call(as_file(self.upload(content, name)), crop)


def as_file(path: str) -> dict[str, Any]:
    """A file as Gradio's API takes it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@contextlib.contextmanager
def running_app(
    checkpoints: Path | None = None,
    folder: Path = ROOT,
    python: Path | str = sys.executable,
    variables: Mapping[str, str] | None = None,
    user: int | None = None,
) -> Iterator[RunningApp]:
    """Runs `python app.py` until the block ends.

    Args:
        folder: with the app in it.
        variables: further ones of its environment.
        user: whose process it is; default: one's own.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(variables or {})}
    if checkpoints:
        environment["QUARTET_CHECKPOINTS"] = str(checkpoints)
    with subprocess.Popen(
        [python, "app.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
        user=user, group=user, extra_groups=None if user is None else [],
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            addresses = (
                re.search(r"Running on local URL: +(\S+)", line) for line in process.stdout
            )
            address = next(filter(None, addresses), None)
            assert address, "the app ended before it was ready"
            with httpx.Client(base_url=address[1], timeout=180) as client:
                yield RunningApp(address[1], client, process.pid)
        finally:
            process.terminate()
