"""How far a job is, from the events it writes, at a cost that does not grow with it.

A job's file is read on from where the last look ended, whoever looked, and what a look gets is
bounded: a curve of a thousand epochs is thinned.
"""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from demo.jobs.failures import word_failure
from trainer.events import (
    EpochFinished,
    Event,
    RunFailed,
    RunFinished,
    StartEvaluated,
    StepSummary,
    parse_events,
)
from trainer.record import Matrix

SAID = 6
POINTS = 200
MATRICES = 12
READERS = 64
"""Jobs whose place in the file is remembered; another is read from its beginning."""
BLOCK = 1 << 20


class Measured(NamedTuple):
    """What a job's weights did when an epoch had ended."""

    epoch: int
    """0 is the start, before the first step."""
    step: int
    """Taken by then."""
    train_loss: float | None
    """Mean over the epoch; none of the start."""
    validation_loss: float
    validation_accuracy: float
    """0..1."""


@dataclass(frozen=True)
class Progress:
    """A job as far as it is."""

    last: tuple[Event, ...] = ()
    """The last `SAID` events at most."""
    summary: StepSummary | None = None
    """The last."""
    train_loss: tuple[tuple[int, float], ...] = ()
    """`POINTS` steps at most, with the mean loss of their epoch so far."""
    measured: tuple[Measured, ...] = ()
    """`POINTS` epochs at most, the start among them."""
    confusions: tuple[Matrix, ...] = ()
    """`MATRICES` epochs at most, the last among them."""
    epochs: int = 0
    """Finished."""
    evaluation_s: float = 0.0
    """From the last step of the last epoch to its figures."""
    finished: RunFinished | None = None
    failure: RunFailed | None = None
    """Its reason in a visitor's words."""


T = TypeVar("T")


class Thinned(Generic[T]):
    """A series of any length, of which at most `limit` items are kept, evenly, and the last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[T] = []
        self._every = 1
        self._count = 0
        self._last: T | None = None

    def add(self, item: T) -> None:
        if self._count % self._every == 0:
            if len(self._kept) == self._limit - 1:
                self._kept = self._kept[::2]
                self._every *= 2
            if self._count % self._every == 0:
                self._kept.append(item)
        self._count += 1
        self._last = item

    def items(self) -> tuple[T, ...]:
        if self._last is None or (self._count - 1) % self._every == 0:
            return tuple(self._kept)
        return (*self._kept, self._last)


class Reader:
    """One job's file and what it has said so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._offset = 0
        self._rest = b""
        self._last: deque[Event] = deque(maxlen=SAID)
        self._summary: StepSummary | None = None
        self._loss: Thinned[tuple[int, float]] = Thinned(POINTS)
        self._measured: Thinned[Measured] = Thinned(POINTS)
        self._confusions: Thinned[Matrix] = Thinned(MATRICES)
        self._epochs = 0
        self._evaluation_s = 0.0
        self._finished: RunFinished | None = None
        self._failure: RunFailed | None = None
        self._progress = Progress()

    def read(self) -> Progress:
        """What the file says by now; a file that is not there says nothing."""
        with self._lock:
            if self._read_on():
                self._progress = Progress(
                    tuple(self._last),
                    self._summary,
                    self._loss.items(),
                    self._measured.items(),
                    self._confusions.items(),
                    self._epochs,
                    self._evaluation_s,
                    self._finished,
                    self._failure,
                )
            return self._progress

    def _read_on(self) -> bool:
        """Takes in the whole lines that came since; True where there were any."""
        came = False
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while block := file.read(BLOCK):
                    self._offset += len(block)
                    *lines, self._rest = (self._rest + block).split(b"\n")
                    for event in parse_events(lines):
                        self._take(event)
                        came = True
        except OSError:
            return came
        return came

    def _take(self, event: Event) -> None:
        if isinstance(event, RunFailed):
            event = self._failure = event.model_copy(update={"reason": word_failure(event)})
        self._last.append(event)
        if isinstance(event, StepSummary):
            self._summary = event
            self._loss.add((event.step, event.train_loss))
        elif isinstance(event, StartEvaluated):
            self._measured.add(
                Measured(0, 0, None, event.validation_loss, event.validation_accuracy)
            )
        elif isinstance(event, EpochFinished):
            self._epochs = event.epoch
            # An epoch's last summary comes before its figures (`Trainer._train`).
            step = self._summary.step if self._summary is not None else 0
            figures = event.train_loss, event.validation_loss, event.validation_accuracy
            self._measured.add(Measured(event.epoch, step, *figures))
            if event.validation_confusion is not None:
                self._confusions.add(event.validation_confusion)
            if self._summary is not None:
                # The first epoch's seconds hold more; but a clock that jumps is not trusted.
                between_s = max(0.0, event.time_s - self._summary.time_s)
                self._evaluation_s = min(between_s, max(0.0, event.seconds - event.train_s))
        elif isinstance(event, RunFinished):
            self._finished = event


class Readers:
    """Of all jobs that are looked at."""

    def __init__(self) -> None:
        self._readers: OrderedDict[Path, Reader] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> Progress:
        """What a job's file of events says by now."""
        with self._lock:
            reader = self._readers.setdefault(path, Reader(path))
            self._readers.move_to_end(path)
            if len(self._readers) > READERS:
                self._readers.popitem(last=False)
        return reader.read()

    def forget(self, path: Path) -> None:
        """For a file that is removed."""
        with self._lock:
            self._readers.pop(path, None)
