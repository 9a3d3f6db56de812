"""What a run says while it goes: typed events, and JSON Lines out and in.

Training knows no screen and no file. It hands each event to a callable; the terminal's
table, `events.jsonl` and, later, the app are such callables or readers of that file.
"""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Something that happened in one recipe's run."""

    kind: ClassVar[str]
    recipe: str
    time_s: float = field(default_factory=time.time, kw_only=True)
    """Seconds since the Unix epoch."""

    def as_dict(self) -> dict[str, Any]:
        """Returns the event as plain JSON values, `kind` first."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class RunStarted(Event):
    """A run begins, or continues after `step` steps."""

    kind = "run_started"
    settings: dict[str, Any]
    """`Recipe.as_dict()`."""
    data: str
    train_count: int
    validation_count: int
    test_count: int
    backbone: str
    hardware: dict[str, Any]
    total_steps: int
    step: int = 0


@dataclass(frozen=True)
class StepSummary(Event):
    """Progress within an epoch, a few times a minute."""

    kind = "step_summary"
    step: int
    total_steps: int
    train_loss: float
    """Mean over the epoch so far."""
    learning_rate: float
    images_per_s: float
    remaining_s: float
    """Estimated training time left in this run, at the present rate."""


@dataclass(frozen=True)
class StartEvaluated(Event):
    """What the weights do before the first step, on the validation split."""

    kind = "start_evaluated"
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class EpochFinished(Event):
    """One pass over the training images is done. Fractions lie in 0..1, losses are mean
    cross-entropies in nats. Training figures are means over the epoch, on augmented images."""

    kind = "epoch"
    epoch: int
    """Counted from 1."""
    epochs: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    test_loss: float
    test_accuracy: float
    learning_rate: float
    """At the epoch's last step."""
    train_s: float
    """Seconds spent on the epoch's steps, evaluation and saving left out."""
    seconds: float
    """Wall seconds of the epoch, evaluation included; in the first, preparation too."""
    validation_confusion: list[list[int]] | None = None
    """`(10, 10)` images of the validation split, rows the true class."""


@dataclass(frozen=True)
class ResourceSample(Event):
    """What the machine was doing. None where there is nothing to read."""

    kind = "resource_sample"
    cpu_percent: float
    """This process, summed over cores: 200 is two busy cores."""
    memory_bytes: int
    """Resident memory of this process."""
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True)
class RunFinished(Event):
    """The checkpoint is on disk and verified."""

    kind = "run_finished"
    test_accuracy: float
    test_loss: float
    train_s: float
    """Seconds of training steps over the whole run."""
    seconds: float
    """Wall seconds of the run, pauses between resumed parts left out."""
    checkpoint: str
    """File name, relative to the run's folder."""


@dataclass(frozen=True)
class RunFailed(Event):
    """The run stopped before its end, by a fault or because it was told to."""

    kind = "run_failed"
    reason: str
    step: int


OnEvent = Callable[[Event], None]

EVENT_TYPES: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        RunStarted,
        StartEvaluated,
        StepSummary,
        EpochFinished,
        ResourceSample,
        RunFinished,
        RunFailed,
    )
}


class EventLog:
    """Appends events to a JSON Lines file, a whole line at a time, safe between threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # a killed run left part of a line

    def __call__(self, event: Event) -> None:
        # One write call with O_APPEND: a killed process leaves at most one partial last line.
        line = json.dumps(event.as_dict(), allow_nan=False) + "\n"
        os.write(self._descriptor, line.encode())

    def close(self) -> None:
        os.close(self._descriptor)


def read_events(path: Path) -> Iterator[Event]:
    """Yields the events of a JSON Lines file in order.

    A line that is not an event of ours is passed over: a killed run may have left part of
    one, and a newer version may have added kinds.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                values = json.loads(line)
                yield EVENT_TYPES[values.pop("kind")](**values)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
