"""A local stand-in for the endpoints of Hugging Face that `demo.jobs.hub` and `trainer.hub` use,
over HTTP.

A job that it is asked to run is run: the command, as a child process. Files of one repository, a
model's or a Space's, lie in memory.
"""

import base64
import contextlib
import datetime
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from tests.conftest import ROOT
from tests.standin import COMMIT, StandIn, hash_content, serving


class FakeHub:
    """What the server knows."""

    url = ""

    def __init__(self, repo: str, environment: dict[str, str]) -> None:
        """
        Args:
            environment: further variables of every job.
        """
        self.repo = repo
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.objects: dict[str, bytes] = {}
        """What was put into its store of large files, by SHA-256."""
        self.large = ""
        """End of the names of files that it wants there; nothing for none."""
        self.denied = False
        """True where nobody may write."""
        self.taken = False
        """True where a repository of that name is there already."""
        self.tokens: set[str] = set()
        """Those that anything was sent with."""
        self.specs: list[dict[str, Any]] = []
        self.jobs: dict[str, FakeJob] = {}
        self.environment = environment

    def run(self, spec: dict[str, Any], namespace: str) -> dict[str, Any]:
        self.specs.append({**spec, "namespace": namespace})
        job = FakeJob(
            f"{len(self.specs):024d}", spec, {**self.environment, "HF_ENDPOINT": self.url}
        )
        self.jobs[job.id] = job
        return job.describe()

    def commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.files[line["value"]["path"]] = content
            elif line["key"] == "lfsFile":
                self.files[line["value"]["path"]] = self.objects[line["value"]["oid"]]

    def choose_mode(self, name: str) -> str:
        """How a file is to be sent."""
        return "lfs" if self.large and name.endswith(self.large) else "regular"


class FakeJob:
    """A child process and its log."""

    def __init__(self, job_id: str, spec: dict[str, Any], environment: dict[str, str]) -> None:
        self.id = job_id
        self.spec = spec
        self.lines: list[str] = []
        self.cancelled = False
        command = [sys.executable, *spec["command"][1:]]
        self.process = subprocess.Popen(
            command,
            cwd="/",
            env={
                "PATH": os.environ["PATH"], **spec["environment"], **spec["secrets"], **environment,
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as log:
            for line in log:
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()
        self.process.wait()
        with self.changed:
            self.changed.notify_all()

    def cancel(self) -> None:
        self.cancelled = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)

    def describe(self) -> dict[str, Any]:
        stage, message = "RUNNING", None
        if self.process.returncode is not None:
            stage = "COMPLETED" if self.process.returncode == 0 else "ERROR"
            message = None if stage == "COMPLETED" else "Job failed with exit code: 1"
        if self.cancelled:
            stage = "CANCELED"
        return {
            "id": self.id,
            "status": {"stage": stage, "message": message},
            "owner": {"id": "1", "name": "someone", "type": "user"},
            **{key: self.spec[key] for key in ("command", "flavor", "environment")},
        }

    def follow(self) -> Iterator[str]:
        """The log's lines, as they come."""
        sent = 0
        while True:
            with self.changed:
                while len(self.lines) == sent and self.process.returncode is None:
                    self.changed.wait()
                fresh, ended = self.lines[sent:], self.process.returncode is not None
            yield from fresh
            sent += len(fresh)
            if ended and sent == len(self.lines):
                return


class Handler(StandIn):
    """The endpoints."""

    hub: FakeHub

    def do_POST(self) -> None:
        content = self._read_body()
        path = self.path.split("?")[0]
        repo = rf"/(?:models|spaces)/{self.hub.repo}"
        self.hub.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.hub.denied:
            self.send_error(403)
        elif path == "/api/repos/create" and self.hub.taken:
            self.send_error(409)
        elif path == "/api/repos/create":
            self.hub.created.append(json.loads(content))
            self.answer({"url": f"{self.hub.url}/{self.hub.repo}"})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif path.endswith(f"{self.hub.repo}.git/info/lfs/objects/batch"):
            self.answer({"transfer": "basic", "objects": self._offer(json.loads(content))})
        elif match := re.fullmatch(r"/api/jobs/([a-z]+)", path):
            self.answer(self.hub.run(json.loads(content), match[1]))
        elif match := re.fullmatch(r"/api/jobs/[a-z]+/(\d+)/cancel", path):
            self.hub.jobs[match[1]].cancel()
            self.answer({})
        elif re.fullmatch(f"/api{repo}/preupload/main", path):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": self.hub.choose_mode(file["path"]),
                    "shouldIgnore": False,
                }
                for file in json.loads(content)["files"]
            ]
            self.answer({"files": files})
        elif re.fullmatch(f"/api{repo}/commit/main", path):
            self.hub.commit([json.loads(line) for line in content.splitlines()])
            url = f"{self.hub.url}/{self.hub.repo}/commit/{COMMIT}"
            self.answer({"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        self.hub.objects[self.path.rpartition("/")[2]] = self._read_body()
        self.answer({})

    def _offer(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Where large files are to be put."""
        return [
            {**file, "actions": {"upload": {"href": f"{self.hub.url}/objects/{file['oid']}"}}}
            for file in batch["objects"]
        ]

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api/jobs/hardware":
            self.answer([HARDWARE])
        elif match := re.fullmatch(r"/api/jobs/[a-z]+/(\d+)", path):
            self.answer(self.hub.jobs[match[1]].describe())
        elif match := re.fullmatch(r"/api/jobs/[a-z]+/(\d+)/logs", path):
            self._stream(self.hub.jobs[match[1]])
        elif path.startswith(f"/api/models/{self.hub.repo}/revision/"):
            siblings = [{"rfilename": name} for name in self.hub.files]
            self.answer({"id": self.hub.repo, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"/api/models/{self.hub.repo}/tree/"):
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hash_content(content)}
                for name, content in self.hub.files.items()
            ]
            self.answer(entries)
        elif match := re.fullmatch(rf"/{self.hub.repo}/resolve/[^/]+/(.+)", path):
            self.send_file(self.hub.files.get(match[1]))
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _stream(self, job: FakeJob) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for line in job.follow():
            now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            self.wfile.write(f"data: {json.dumps({'data': line, 'timestamp': now})}\n\n".encode())
            self.wfile.flush()


HARDWARE = {
    "name": "t4-small", "prettyName": "T4", "cpu": "4 vCPU", "ram": "15 GB",
    "ephemeralStorage": "50 GB", "accelerator": None, "unitCostMicroUSD": 6_000,
    "unitCostUSD": 0.006, "unitLabel": "minute",
}  # fmt: skip


@contextlib.contextmanager
def running_hub(repo: str, environment: dict[str, str]) -> Iterator[FakeHub]:
    """The stand-in, until the end of the block."""
    hub = FakeHub(repo, environment)
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    with serving(handler) as port:
        hub.url = f"http://127.0.0.1:{port}"
        try:
            yield hub
        finally:
            for job in hub.jobs.values():
                job.cancel()
