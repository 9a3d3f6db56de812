"""What a person sees while training: a live table on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from trainer.events import (
    EpochFinished,
    Event,
    OnEvent,
    RunFailed,
    RunFinished,
    RunStarted,
    StepSummary,
)


@contextlib.contextmanager
def show_progress(recipes: list[str]) -> Iterator[OnEvent]:
    """Yields a callable that shows events as they come, until the block ends."""
    console = Console()
    if not console.is_terminal:
        yield _print_line
        return
    table = _LiveTable(recipes)
    with Live(get_renderable=table.render, console=console, refresh_per_second=4):
        yield table


def format_duration(seconds: float) -> str:
    """`9 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _print_line(event: Event) -> None:
    match event:
        case RunStarted(step=0):
            text = f"started on {event.train_count:,} images, backbone {event.backbone}"
        case RunStarted():
            text = f"continues after step {event.step} of {event.total_steps}"
        case EpochFinished():
            text = (
                f"epoch {event.epoch}/{event.epochs}: train loss {event.train_loss:.3f}, "
                f"validation {event.validation_accuracy:.2%}, test {event.test_accuracy:.2%}, "
                f"{format_duration(event.seconds)}"
            )
        case RunFinished():
            text = (
                f"finished: test accuracy {event.test_accuracy:.2%}, "
                f"{format_duration(event.seconds)}, {event.checkpoint} saved"
            )
        case RunFailed():
            text = f"ended early: {event.reason}"
        case _:
            return
    print(f"{event.recipe}: {text}", flush=True, file=sys.stdout)


class _LiveTable:
    """The newest event of each kind for each recipe, drawn as a table."""

    def __init__(self, recipes: list[str]) -> None:
        self._newest: dict[str, dict[type[Event], Event]] = {name: {} for name in recipes}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._newest[event.recipe][type(event)] = event

    def render(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("run", "progress", "epoch", "train loss", "validation", "test"):
            table.add_column(title, no_wrap=True)
        for title in ("images/s", "time left"):
            table.add_column(title, justify="right", no_wrap=True)
        with self._lock:
            for name, newest in self._newest.items():
                table.add_row(name, *self._cells(newest))
        return table

    @staticmethod
    def _cells(newest: dict[type[Event], Event]) -> list[str | ProgressBar]:
        started, step = newest.get(RunStarted), newest.get(StepSummary)
        epoch, failed = newest.get(EpochFinished), newest.get(RunFailed)
        total = started.total_steps if isinstance(started, RunStarted) else 1
        done = step.step if isinstance(step, StepSummary) else 0
        if isinstance(epoch, EpochFinished):
            done = max(done, total * epoch.epoch // epoch.epochs)
        cells: list[str | ProgressBar] = [ProgressBar(total, done, width=24)]
        if isinstance(epoch, EpochFinished):
            cells += [
                f"{epoch.epoch}/{epoch.epochs}",
                f"{epoch.train_loss:.3f}",
                f"{epoch.validation_accuracy:.2%}",
                f"{epoch.test_accuracy:.2%}",
            ]
        else:
            cells += [""] * 4
        cells.append(f"{step.images_per_s:,.0f}" if isinstance(step, StepSummary) else "")
        if isinstance(failed, RunFailed):
            cells.append("ended early")
        elif RunFinished in newest:
            cells.append("done")
        else:
            cells.append(format_duration(step.remaining_s) if isinstance(step, StepSummary) else "")
        return cells
