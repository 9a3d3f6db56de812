"""Jobs on disk: a SQLite table that outlives the app.

An id alone opens nothing: every question about a job names its owner's token, and a job of another
owner is answered like one that does not exist.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUEUED, RUNNING, DONE = "queued", "running", "done"
STOPPED, FAILED, TIMED_OUT = "stopped", "failed", "timed out"
ENDED = (DONE, STOPPED, FAILED, TIMED_OUT)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  settings TEXT NOT NULL,
  created_s REAL NOT NULL,
  started_s REAL,
  ended_s REAL,
  process TEXT,
  reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created_s);
"""


@dataclass(frozen=True)
class Job:
    """One row."""

    id: str
    owner: str
    """SHA-256 of the owner's token: the token itself is kept nowhere on the server."""
    state: str
    settings: dict[str, Any]
    created_s: float
    """Seconds since the Unix epoch, as all times here."""
    started_s: float | None
    ended_s: float | None
    process: str | None
    """Which process runs it, as its backend tells processes apart."""
    reason: str
    """Why it failed, in a sentence, or nothing."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def key(self) -> str:
        """Opens this job alone to whoever has it: part of its link. As unguessable as the owner's
        token, whose hash never leaves the server."""
        return hash_token(f"{self.id} {self.owner}")[:32]


def create_token() -> str:
    """An owner's secret, 256 bits."""
    return secrets.token_urlsafe(32)


def load_secret(home: Path) -> str:
    """The server's secret, made on the first call and the same ever after."""
    path = home / "secret"
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text()


def hash_token(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class JobStore:
    """The table. Safe between threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        with self._lock:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.executescript(_SCHEMA)

    def add(self, settings: dict[str, Any], token: str) -> Job:
        """Queues a job."""
        job = Job(
            id=secrets.token_hex(8),
            owner=hash_token(token),
            state=QUEUED,
            settings=settings,
            created_s=time.time(),
            started_s=None,
            ended_s=None,
            process=None,
            reason="",
        )
        values = {**dataclasses.asdict(job), "settings": json.dumps(settings)}
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        with self._lock:
            self._connection.execute(f"INSERT INTO jobs ({names}) VALUES ({places})", values)
        return job

    def find(self, job_id: str, secret: str) -> Job | None:
        """The job, or None: not there, or `secret` is neither its owner's token nor its key."""
        for job in self._select("id = ?", job_id):
            known = (job.owner, hash_token(secret)), (job.key, secret)
            if any(hmac.compare_digest(one.encode(), other.encode()) for one, other in known):
                return job
        return None

    def of_owner(self, token: str) -> list[Job]:
        """All jobs of an owner, newest first."""
        return self._select("owner = ?", hash_token(token))[::-1]

    def in_state(self, *states: str) -> list[Job]:
        """All jobs in these states, oldest first."""
        return self._select(f"state IN ({', '.join('?' * len(states))})", *states)

    def seconds_since(self, time_s: float) -> float:
        """What jobs have run since a time, in seconds, together."""
        now = time.time()
        return sum(
            max(0.0, (job.ended_s or now) - max(job.started_s, time_s))
            for job in self._select("started_s IS NOT NULL")
            if job.started_s is not None
        )

    def ended_before(self, time_s: float) -> list[Job]:
        """Jobs that ended before a time."""
        return self._select("ended_s < ?", time_s)

    def update(self, job_id: str, **changes: Any) -> None:
        """Changes columns of a job."""
        names = ", ".join(f"{name} = :{name}" for name in changes)
        with self._lock:
            self._connection.execute(
                f"UPDATE jobs SET {names} WHERE id = :id", {**changes, "id": job_id}
            )

    def remove(self, job_id: str) -> None:
        """Forgets a job."""
        with self._lock:
            self._connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _select(self, condition: str, *values: Any) -> list[Job]:
        with self._lock:
            rows = self._connection.execute(
                f"SELECT * FROM jobs WHERE {condition} ORDER BY created_s, rowid", values
            ).fetchall()
        return [Job(**{**dict(row), "settings": json.loads(row["settings"])}) for row in rows]
