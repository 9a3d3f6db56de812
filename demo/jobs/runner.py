"""Runs one job to its end, and says how it ended."""

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from time import monotonic

from demo.faults import explain
from demo.jobs import words
from demo.jobs.backend import EVENTS, LOG, NAME, Backend, Order, Process
from demo.jobs.failures import hide_paths
from demo.jobs.limits import Limits
from demo.jobs.progress import Reader
from demo.jobs.store import DONE, FAILED, STOPPED, TIMED_OUT
from trainer.checkpoint import load_checkpoint
from trainer.errors import QuartetError

WATCH_S = 0.2
"""Between two looks at a running process."""


class Wish(enum.Enum):
    """Why a job must end before its time."""

    STOP = enum.auto()
    """Its owner wants the model as it is."""
    DELETE = enum.auto()
    """Its owner wants nothing of it."""
    CLOSE = enum.auto()
    """The app ends."""
    TIME = enum.auto()
    """It has had its time, but for what it takes to write its model."""
    MEMORY = enum.auto()
    """It has taken too much."""


@dataclass(frozen=True)
class Verdict:
    """How a job ended."""

    state: str
    reason: str = ""


class Runner:
    """Of one job."""

    def __init__(
        self, order: Order, backend: Backend, limits: Limits, wish: Callable[[], Wish | None]
    ) -> None:
        """
        Args:
            wish: asked again and again whether the job must end.
        """
        self._order = order
        self._backend = backend
        self._limits = limits
        self._wish = wish
        # Half of a short time is for learning.
        self._saving_s = min(backend.saving_s, limits.wall_s / 2)

    def run(self, on_started: Callable[[str], None]) -> Verdict:
        """Runs the job.

        Args:
            on_started: gets the process's identity.

        Raises:
            OSError: it could not be started.
        """
        process = self._backend.start(self._order)
        try:
            on_started(process.identity)
            wish = self._watch(process)
        finally:
            process.end()
        return self._judge(process.status, wish)

    def _watch(self, process: Process) -> Wish | None:
        """Waits for the process; returns why it was asked or made to end, if it was."""
        deadline = monotonic() + self._limits.wall_s + self._backend.waiting_s
        asked: Wish | None = None
        while not process.wait(WATCH_S):
            wish, now = self._wish(), monotonic()
            if wish in (Wish.DELETE, Wish.CLOSE):
                return wish
            if process.memory_bytes() > self._limits.memory_bytes:
                return Wish.MEMORY
            if asked is not None:
                if now > deadline:
                    return asked
            elif wish is Wish.STOP or now > deadline - self._saving_s:
                asked = wish or Wish.TIME
                process.ask_to_end()
                deadline = now + self._saving_s
        return asked

    def _judge(self, status: int, wish: Wish | None) -> Verdict:
        """What a process's exit status and its files say."""
        if wish is Wish.MEMORY:
            return Verdict(FAILED, words.describe_memory_cap(self._limits.memory_bytes))
        if status == 0:
            return self._read_result(wish)
        if wish is Wish.CLOSE:
            return Verdict(FAILED, words.RESTARTED)
        if wish is None:
            return Verdict(FAILED, find_reason(self._order.folder, status))
        state, reason = STOPPED, words.NOT_SAVED
        if wish is Wish.TIME:
            state, reason = TIMED_OUT, words.describe_timeout(self._limits.wall_s)
        # Signals are ours; with an exit status the process has its own word on why.
        return Verdict(state, reason if status < 0 else find_reason(self._order.folder, status))

    def _read_result(self, wish: Wish | None) -> Verdict:
        try:
            origin = load_checkpoint(self._order.folder, NAME).record.origin
        except QuartetError as error:
            return Verdict(FAILED, explain(error))
        if origin is None or not origin.ended_early:
            return Verdict(DONE)
        if wish is Wish.CLOSE:
            return Verdict(STOPPED, words.RESTARTED_KEPT)
        if wish in (Wish.STOP, Wish.DELETE):
            return Verdict(STOPPED)
        return Verdict(TIMED_OUT, words.describe_timeout_kept(self._limits.wall_s))


def has_model(folder: Path) -> bool:
    """True where a job left a whole checkpoint: the record is written last."""
    return (folder / f"{NAME}.json").exists()


def tidy(folder: Path) -> None:
    """Removes what a job that was killed left half-written, and states nobody resumes from."""
    for pattern in (f"{NAME}.*.state", ".*"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()


def find_reason(folder: Path, status: int) -> str:
    """Why a process failed: its own word, or what its exit status tells."""
    failure = Reader(folder / EVENTS).read().failure
    if failure is not None:
        return failure.reason
    if status == -SIGKILL:
        return words.KILLED
    with contextlib.suppress(OSError):
        for line in (folder / LOG).read_text(errors="replace").splitlines():
            if line.startswith("error: "):
                return hide_paths(line.removeprefix("error: "))
    return words.describe_status(status)
