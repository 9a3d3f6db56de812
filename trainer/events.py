"""What a run says while it goes: typed events, and JSON Lines out and in.

Training knows no screen and no file. It hands each event to a callable; the terminal's
table, `events.jsonl` and the app are such callables or readers of that file.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from trainer.errors import QuartetError, SettingError
from trainer.recipe import Recipe
from trainer.record import Epoch, Hardware, Matrix, Part


class Event(Part):
    """Something that happened in one recipe's run."""

    recipe: str
    """Its name."""
    time_s: float = Field(default_factory=time.time)
    """Seconds since the Unix epoch."""


class RunStarted(Event):
    """A run begins, or continues after `step` steps."""

    kind: Literal["run_started"] = "run_started"
    settings: Recipe
    data: str
    train_count: int
    validation_count: int
    test_count: int
    backbone: str
    hardware: Hardware
    total_steps: int
    step: int = 0
    damaged_states: int = 0
    """Newer states of a resumed run that were damaged and are passed over."""


class StepSummary(Event):
    """Progress within an epoch, a few times a minute."""

    kind: Literal["step_summary"] = "step_summary"
    step: int
    total_steps: int
    train_loss: float
    """Mean over the epoch so far."""
    learning_rate: float
    images_per_s: float
    remaining_s: float
    """Estimated training time left in this run, at the present rate."""


class StartEvaluated(Event):
    """What the weights do before the first step, on the validation split."""

    kind: Literal["start_evaluated"] = "start_evaluated"
    validation_loss: float
    validation_accuracy: float


class EpochFinished(Event, Epoch):
    """One pass over the training images is done."""

    kind: Literal["epoch"] = "epoch"
    epochs: int
    """Of the whole run."""
    validation_confusion: Matrix | None = None
    """`(10, 10)` images of the validation split."""


class ResourceSample(Event):
    """What the machine was doing. None where there is nothing to read."""

    kind: Literal["resource_sample"] = "resource_sample"
    cpu_percent: float
    """This process, summed over cores: 200 is two busy cores."""
    memory_bytes: int
    """Resident memory of this process."""
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None


class RunFinished(Event):
    """The checkpoint is on disk and verified."""

    kind: Literal["run_finished"] = "run_finished"
    test_accuracy: float
    test_loss: float
    train_s: float
    """Seconds of training steps over the whole run."""
    seconds: float
    """Wall seconds of the run, pauses between resumed parts left out."""
    checkpoint: str
    """File name, relative to the run's folder."""


class RunFailed(Event):
    """The run stopped before its end, by a fault or because it was told to."""

    kind: Literal["run_failed"] = "run_failed"
    reason: str
    """For a terminal, without a path of the machine where it was none of ours."""
    code: str | None = None
    """Of the `QuartetError`, where it was one."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Its facts, as JSON values."""
    step: int

    @classmethod
    def tell(cls, recipe: str, error: BaseException, step: int) -> Self:
        """What ended a run."""
        if isinstance(error, QuartetError):
            facts = {
                name: fact if isinstance(fact, (int, float)) else str(fact)
                for name, fact in error.facts.items()
            }
            return cls(recipe=recipe, reason=str(error), code=error.code, facts=facts, step=step)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return cls(recipe=recipe, reason=reason, step=step)

    @property
    def error(self) -> QuartetError | None:
        """The `QuartetError` it was, where it was one."""
        return QuartetError.restore(self.code, self.facts)


OnEvent = Callable[[Event], None]

_ANY: TypeAdapter[Event] = TypeAdapter(
    Annotated[
        RunStarted
        | StartEvaluated
        | StepSummary
        | EpochFinished
        | ResourceSample
        | RunFinished
        | RunFailed,
        Field(discriminator="kind"),
    ]
)


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
        os.write(self._descriptor, f"{event.model_dump_json()}\n".encode())

    def close(self) -> None:
        os.close(self._descriptor)


def read_events(path: Path) -> Iterator[Event]:
    """Yields the events of a JSON Lines file in order; of one that is not there, none."""
    if path.exists():
        with path.open("rb") as lines:
            yield from parse_events(lines)


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yields the events of whole lines.

    A line that is not an event of ours is passed over: a killed run may have left part of
    one, and a newer version may have added kinds.
    """
    for line in lines:
        try:
            yield _ANY.validate_json(line)
        except (ValidationError, SettingError):
            continue
