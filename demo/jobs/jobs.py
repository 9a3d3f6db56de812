"""Starts, watches and stops fine-tuning jobs, one child process a job. No Gradio in it.

A job is `python -m trainer finetune` in a process group of its own. The app reads what it writes
into its folder, `events.jsonl` above all, and never trains itself. Jobs belong to the server: they
go on when the visitor leaves, and are found again by id and token.
"""

import dataclasses
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo import text
from demo.backend import EVENTS, LOG, NAME, OWN, Backend, Order, Process
from demo.local import LocalBackend
from demo.store import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    STOPPED,
    TIMED_OUT,
    Job,
    JobStore,
)
from trainer.checkpoint import CheckpointError, load_checkpoint
from trainer.events import Event, RunFailed, StepSummary, read_events
from trainer.recipe import RECIPE_NAMES
from trainer.settings import PLAIN_BACKBONE, Settings, join_command

EARLIER = "job:"
"""Before the id of an earlier job that another starts from."""
DAY_S = 24 * 3600.0
WATCH_S = 0.2
"""Between two looks at a running process."""


@dataclass(frozen=True)
class Limits:
    """What a job may use, and how many there may be."""

    wall_s: float = 300.0
    memory_bytes: int = 6 * 2**30
    running: int = 1
    queued_of_owner: int = 3
    queued: int = 30
    kept_s: float = DAY_S
    """After its end a job and its files are swept."""


class Refused(Exception):
    """A job was not accepted. The message says why, in a sentence for the visitor."""


class Jobs:
    """All jobs of one app."""

    def __init__(
        self,
        home: Path,
        checkpoints: Path,
        limits: Limits | None = None,
        backend: Backend | None = None,
    ) -> None:
        """Opens the store in `home`, ends what an earlier app left running, and goes on with what
        it left waiting.

        Args:
            checkpoints: folder of the four; only read.
            backend: default: this machine.
        """
        self.limits = limits or Limits()
        self.backend = backend or LocalBackend(checkpoints)
        self._home = home.resolve()
        self._store = JobStore(home / "jobs.sqlite3")
        self._changed = threading.Condition()
        self._stops: set[str] = set()
        self._closed = False
        self._recover()
        self._threads = [
            threading.Thread(target=self._work, name=f"job {index}", daemon=True)
            for index in range(self.limits.running)
        ]
        for thread in self._threads:
            thread.start()

    def start(
        self, settings: Settings, token: str, own: dict[str, list[bytes]] | None = None
    ) -> Job:
        """Queues a job.

        Args:
            own: class to the visitor's pictures, as PNG files.

        Raises:
            Refused: a cap is reached, the server cannot write, or the start is not theirs to take.
        """
        with self._changed:
            self._find_start(settings, token)
            mine = [job for job in self._store.of_owner(token) if not job.ended]
            if len(mine) >= self.limits.queued_of_owner:
                raise Refused(text.describe_own_cap(self.limits.queued_of_owner))
            if len(self._store.in_state(QUEUED)) >= self.limits.queued:
                raise Refused(text.FULL)
            try:
                if self._seconds_left() < self.limits.wall_s:
                    raise Refused(text.BUDGET)
                job = self._store.add(settings.as_dict(), token)
                for label, pictures in (own or {}).items():
                    for index, content in enumerate(pictures):
                        path = self.folder(job) / OWN / label / f"{index:03d}.png"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(content)
            except (OSError, sqlite3.Error) as error:
                # Not the whole message, which may name a path of the server.
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise Refused(text.describe_not_stored(reason)) from error
            self._changed.notify_all()
        return job

    def prepare(self) -> None:
        """Makes the next start quick."""
        self.backend.prepare()

    def find(self, job_id: str, secret: str) -> Job | None:
        """The job, or None, as for one that does not exist.

        Args:
            secret: its owner's token, or its own key.
        """
        return self._store.find(job_id, secret)

    def of_owner(self, token: str) -> list[Job]:
        """The owner's jobs, newest first."""
        return self._store.of_owner(token)

    def newest_done(self, token: str) -> Job | None:
        """The owner's newest job that has a model, or None."""
        return next((job for job in self.of_owner(token) if job.state == DONE), None)

    def position(self, job: Job) -> int:
        """Jobs ahead of a queued one."""
        return sum(
            other.created_s < job.created_s for other in self._store.in_state(QUEUED, RUNNING)
        )

    def stop(self, job_id: str, secret: str) -> None:
        """Stops a job; one that has ended, or that `secret` does not open, is left as it is."""
        with self._changed:
            job = self._store.find(job_id, secret)
            if job is None or job.ended:
                return
            if job.state == QUEUED:
                self._end(job, STOPPED, "")
            else:
                self._stops.add(job.id)

    def events(self, job: Job) -> list[Event]:
        """What the job has said so far."""
        return list(read_events(self.folder(job) / EVENTS))

    def images_per_s(self, trained: str) -> float | None:
        """The rate last measured on this machine for what is trained, or None."""
        for job in reversed(self._store.in_state(DONE)):
            if job.settings["trained"] == trained:
                rates = [e.images_per_s for e in self.events(job) if isinstance(e, StepSummary)]
                if rates:
                    return rates[-1]
        return None

    def folder(self, job: Job) -> Path:
        """The job's files."""
        return self._home / "jobs" / job.id

    def start_folder(self, job: Job) -> Path | None:
        """Where the checkpoint lies of the earlier job that this one started from, if one."""
        start: str = job.settings["start"]
        if not start.startswith(EARLIER):
            return None
        return self._home / "jobs" / start.removeprefix(EARLIER)

    def command(self, job: Job) -> str:
        """The command line that repeats the job offline."""
        settings = Settings.from_dict(job.settings)
        if self.start_folder(job) is not None:
            settings = dataclasses.replace(settings, start=f"{NAME}.safetensors")
        arguments = settings.arguments()
        if not self.backend.full_data:
            arguments.append("--sample")
        if self._order(job).own:
            arguments += ["--own", "PICTURES"]
        threads = self.backend.threads
        prefix = f"OMP_NUM_THREADS={threads} " if threads else ""
        return f"{prefix}{join_command(arguments)}"

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until `condition` holds, looking whenever a job changes its state."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def close(self) -> None:
        """Ends what runs; it is marked failed, and what waits stays queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self.backend.close()
        self._store.close()

    def _find_start(self, settings: Settings, token: str) -> None:
        """Refuses a start that is neither one of the four, nor the backbone, nor an earlier job of
        the owner's that has a model. Above all it is no path."""
        if settings.start in (*RECIPE_NAMES, PLAIN_BACKBONE):
            return
        job = self._store.find(settings.start.removeprefix(EARLIER), token)
        if job is None or job.state != DONE or settings.start != f"{EARLIER}{job.id}":
            raise Refused(text.NO_SUCH_START)

    def _seconds_left(self) -> float:
        """Of the backend's day, when all that waits and runs takes all its time."""
        waiting = len(self._store.in_state(QUEUED, RUNNING)) * self.limits.wall_s
        used = self._store.seconds_since(time.time() - DAY_S)
        return self.backend.seconds_a_day - used - waiting

    def _order(self, job: Job) -> Order:
        start_folder = self.start_folder(job)
        start = None if start_folder is None else start_folder / f"{NAME}.safetensors"
        return Order(Settings.from_dict(job.settings), self.folder(job), start)

    def _recover(self) -> None:
        for job in self._store.in_state(RUNNING):
            if job.process is not None:
                self.backend.end_orphan(job.process)
            self._end(job, FAILED, text.RESTARTED)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._store.in_state(QUEUED))
                if self._closed:
                    return
                self._sweep()
                job = self._store.in_state(QUEUED)[0]
                self._store.update(job.id, state=RUNNING, started_s=time.time())
                self._changed.notify_all()
            try:
                state, reason = self._run(job)
            except OSError as error:
                state, reason = FAILED, f"{text.NOT_STARTED} ({error.strerror})."
            with self._changed:
                self._stops.discard(job.id)
                self._end(job, state, reason)

    def _run(self, job: Job) -> tuple[str, str]:
        """Runs a job to its end; returns its state and the reason of a failure."""
        folder = self.folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        process = self.backend.start(self._order(job))
        self._store.update(job.id, process=process.identity)
        verdict = self._watch(job, process)
        process.end()
        self.backend.prepare()
        if verdict is not None:
            return verdict
        if process.status == 0:
            try:
                load_checkpoint(folder, NAME)
                return DONE, ""
            except CheckpointError as error:
                return FAILED, str(error)
        return FAILED, self._reason(job, process.status)

    def _watch(self, job: Job, process: Process) -> tuple[str, str] | None:
        """Waits for the process; returns a verdict where it must be ended before its time."""
        deadline = time.monotonic() + self.limits.wall_s + self.backend.waiting_s
        while not process.wait(WATCH_S):
            if job.id in self._stops:
                return STOPPED, ""
            if self._closed:
                return FAILED, text.RESTARTED
            if time.monotonic() > deadline:
                return TIMED_OUT, text.describe_timeout(self.limits.wall_s)
            if process.memory_bytes() > self.limits.memory_bytes:
                return FAILED, text.describe_memory_cap(self.limits.memory_bytes)
        return None

    def _reason(self, job: Job, status: int) -> str:
        """Why a process failed: its own word, or what its exit status tells."""
        for event in reversed(self.events(job)):
            if isinstance(event, RunFailed):
                return event.reason
        if status == -signal.SIGKILL:
            return text.KILLED
        log = (self.folder(job) / LOG).read_text(errors="replace").splitlines()
        said = [line.removeprefix("error: ") for line in log if line.startswith("error: ")]
        return said[0] if said else text.describe_status(status)

    def _end(self, job: Job, state: str, reason: str) -> None:
        with self._changed:
            self._store.update(
                job.id, state=state, reason=reason, ended_s=time.time(), process=None
            )
            if state == STOPPED:
                shutil.rmtree(self.folder(job), ignore_errors=True)
            self._changed.notify_all()

    def _sweep(self) -> None:
        for job in self._store.ended_before(time.time() - self.limits.kept_s):
            shutil.rmtree(self.folder(job), ignore_errors=True)
            self._store.remove(job.id)
