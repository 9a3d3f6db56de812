"""Jobs on disk: a SQLite table that outlives the app.

While the app runs the jobs are in memory and the table follows: whatever befalls the file, every
job is found and every state is right until the next start. An id alone opens nothing: every
question about a job names its owner's token, and a job of another owner is answered like one that
does not exist.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.jobs import words
from trainer.errors import QuartetError
from trainer.recipe import JobSettings

QUEUED, RUNNING, DONE = "queued", "running", "done"
STOPPED, FAILED, TIMED_OUT = "stopped", "failed", "timed out"
ENDED = (DONE, STOPPED, FAILED, TIMED_OUT)

BUSY_S = 0.5
"""How long a change waits for a file that another program holds; it is written later then."""

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
CREATE TABLE IF NOT EXISTS used (ended_s REAL NOT NULL, ran_s REAL NOT NULL);
"""


@dataclass(frozen=True)
class Job:
    """One row."""

    id: str
    owner: str
    """SHA-256 of the owner's token: the token itself is kept nowhere on the server."""
    state: str
    settings: JobSettings | None
    """None for what another version of the app wrote and this one cannot read: such a job has
    failed."""
    created_s: float
    """Seconds since the Unix epoch, as all times here."""
    started_s: float | None
    ended_s: float | None
    process: str | None
    """Which process runs it, as its backend tells processes apart."""
    reason: str
    """Why it failed, or ended early, in a sentence, or nothing."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def key(self) -> str:
        """Opens this job alone to whoever has it: part of its link. As unguessable as the owner's
        token, whose hash never leaves the server."""
        return hash_token(f"{self.id} {self.owner}")[:32]


@dataclass(frozen=True)
class Use:
    """What a job that has ended took of the day's time; it outlives the job."""

    ended_s: float
    ran_s: float


def create_token() -> str:
    """An owner's secret, 256 bits."""
    return secrets.token_urlsafe(32)


def create_id() -> str:
    """A new job's."""
    return secrets.token_hex(8)


def load_secret(home: Path, name: str = "secret") -> str:
    """A secret of the server's, made on the first call and the same ever after. The one that is
    called `secret` goes into the page, where browsers hide what they keep with it."""
    path = home / name
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
    """The table. Safe between threads; one process has it at a time."""

    def __init__(self, path: Path) -> None:
        """Reads it. A damaged file is set aside and a new one begun; where none can be opened the
        jobs of this run are forgotten at its end. Both are said on standard error."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._unwritten: list[tuple[str, dict[str, Any]]] = []
        self._jobs: dict[str, Job] = {}
        """In the order they came, which no clock decides."""
        self._uses: list[Use] = []
        try:
            self._open(path)
        except sqlite3.Error as error:
            if _is_damage(error):
                _say(words.describe_damaged_store(_set_aside(path).name))
                self._open(path)
            else:
                _say(words.describe_no_store(str(error)))
                self._open(None)

    def _open(self, path: Path | None) -> None:
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_S, check_same_thread=False, isolation_level=None
        )
        try:
            self._connection.row_factory = sqlite3.Row
            # Needs no memory shared between processes, which not every mounted folder offers.
            self._connection.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._connection.executescript(_SCHEMA)
            names = ", ".join(field.name for field in dataclasses.fields(Job))
            rows = self._connection.execute(f"SELECT {names} FROM jobs ORDER BY rowid").fetchall()
            uses = self._connection.execute("SELECT ended_s, ran_s FROM used").fetchall()
        except sqlite3.Error:
            self._connection.close()
            raise
        self._jobs = {row["id"]: _read_job(dict(row)) for row in rows}
        self._uses = [Use(*row) for row in uses]

    def add(self, job_id: str, settings: JobSettings, token: str) -> Job:
        """Queues a job.

        Raises:
            sqlite3.Error: it could not be written, and is not there.
        """
        job = Job(
            id=job_id,
            owner=hash_token(token),
            state=QUEUED,
            settings=settings,
            created_s=time.time(),
            started_s=None,
            ended_s=None,
            process=None,
            reason="",
        )
        values = {**vars(job), "settings": json.dumps(settings.as_json())}
        names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        with self._lock:
            self._write_rest()
            self._connection.execute(f"INSERT INTO jobs ({names}) VALUES ({places})", values)
            self._jobs[job.id] = job
        return job

    def find(self, job_id: str, *keys: str) -> Job | None:
        """The job, or None: not there, or none of `keys` is its owner's token or its own key."""
        job = self._jobs.get(job_id)
        if job is not None:
            for key in keys:
                known = (job.owner, hash_token(key)), (job.key, key)
                if any(hmac.compare_digest(one.encode(), other.encode()) for one, other in known):
                    return job
        return None

    def has(self, job_id: str) -> bool:
        """True until the job is removed."""
        return job_id in self._jobs

    def of_owner(self, *tokens: str) -> list[Job]:
        """All jobs of an owner, who may have several tokens, newest first."""
        owners = set(map(hash_token, tokens))
        return [job for job in self._all() if job.owner in owners][::-1]

    def in_state(self, *states: str) -> list[Job]:
        """All jobs in these states, in the order they came."""
        return [job for job in self._all() if job.state in states]

    def uses(self) -> list[Use]:
        """What jobs took that have ended."""
        with self._lock:
            return list(self._uses)

    def update(self, job_id: str, **changes: Any) -> None:
        """Changes fields of a job, but not its settings. What cannot be written now is written
        later."""
        with self._lock:
            self._jobs[job_id] = dataclasses.replace(self._jobs[job_id], **changes)
            names = ", ".join(f"{name} = :{name}" for name in changes)
            self._write(f"UPDATE jobs SET {names} WHERE id = :id", {**changes, "id": job_id})

    def remove(self, job_id: str) -> None:
        """Forgets a job."""
        with self._lock:
            self._jobs.pop(job_id, None)
            self._write("DELETE FROM jobs WHERE id = :id", {"id": job_id})

    def add_use(self, use: Use) -> None:
        """Counts what a job took."""
        with self._lock:
            self._uses.append(use)
            self._write("INSERT INTO used (ended_s, ran_s) VALUES (:ended_s, :ran_s)", vars(use))

    def remove_use(self, use: Use) -> None:
        """No longer counts what a job took."""
        with self._lock:
            self._uses.remove(use)
            self._write(
                "DELETE FROM used WHERE ended_s = :ended_s AND ran_s = :ran_s", dict(vars(use))
            )

    def write_rest(self) -> None:
        """Writes what could not be written before, if it can be now."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._write_rest()

    def close(self) -> None:
        """Closes the file."""
        self.write_rest()
        with self._lock:
            self._connection.close()

    def _all(self) -> list[Job]:
        with self._lock:
            return list(self._jobs.values())

    def _write(self, statement: str, values: dict[str, Any]) -> None:
        before = len(self._unwritten)
        self._unwritten.append((statement, values))
        try:
            self._write_rest()
        except sqlite3.Error as error:
            if not before:
                _say(words.describe_unwritten(str(error)))

    def _write_rest(self) -> None:
        while self._unwritten:
            self._connection.execute(*self._unwritten[0])
            self._unwritten.pop(0)


def _read_job(row: dict[str, Any]) -> Job:
    try:
        return Job(**{**row, "settings": JobSettings.from_json(json.loads(row["settings"]))})
    except (QuartetError, ValueError, TypeError):
        ended_s = row["ended_s"] or row["created_s"]
        changes = {"state": FAILED, "ended_s": ended_s, "reason": words.OTHER_VERSION}
        return Job(**{**row, "settings": None, **changes})


def _is_damage(error: sqlite3.Error) -> bool:
    """Rather than a file that is held by another program, or a disk that is full."""
    return not isinstance(error, sqlite3.OperationalError) or "no such column" in str(error)


def _set_aside(path: Path) -> Path:
    """Renames a damaged file and what belongs to it, for whoever wants to repair it."""
    kept = path.with_name(f"damaged-{secrets.token_hex(4)}-{path.name}")
    for suffix in ("-shm", "-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    return kept


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # the log may be on the same full disk
        print(sentence, file=sys.stderr, flush=True)
