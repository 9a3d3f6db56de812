"""What a person sees while training: a live table on a terminal, plain lines elsewhere."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from trainer import wording
from trainer.events import (
    EpochFinished,
    Event,
    EventLog,
    OnEvent,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    StepSummary,
)
from trainer.files import lock_folder

BAR_WIDTH = 24


@contextlib.contextmanager
def listening(
    folder: Path, holder: str, names: list[str], writes: bool = True
) -> Iterator[tuple[OnEvent, OnEvent]]:
    """Locks the folder, and yields who takes events: log and screen, and the screen alone.

    Args:
        holder: what the lock says of who holds it.
        writes: False in a process whose events another one tells.
    """
    if not writes:
        yield _ignore, _ignore
        return
    with (
        lock_folder(folder, holder),
        contextlib.closing(EventLog(folder / "events.jsonl")) as log,
        show_progress(names) as screen,
    ):

        def on_event(event: Event) -> None:
            log(event)
            screen(event)

        yield on_event, screen


@contextlib.contextmanager
def show_progress(recipes: list[str], console: Console | None = None) -> Iterator[OnEvent]:
    """Yields a callable that shows events as they come, until the block ends."""
    console = console or Console()
    if not console.is_terminal:
        yield _print_line
        return
    table = LiveTable(recipes)

    def on_event(event: Event) -> None:
        table(event)
        if isinstance(event, RunStarted) and event.damaged_states:
            console.print(f"{event.recipe}: {wording.describe_event(event)}")

    with Live(get_renderable=table.render, console=console, refresh_per_second=4):
        yield on_event


def _ignore(_: Event) -> None:
    pass


def _print_line(event: Event) -> None:
    if not isinstance(event, (StepSummary, ResourceSample)):
        print(f"{event.recipe}: {wording.describe_event(event)}", flush=True)


class LiveTable:
    """The newest event of each kind for each recipe, drawn as a table."""

    def __init__(self, recipes: list[str]) -> None:
        self._newest: dict[str, dict[type[Event], Event]] = {name: {} for name in recipes}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._newest[event.recipe][type(event)] = event

    def render(self) -> Table:
        """The table as it is now. Where it is narrow, bars and names give way, never a figure."""
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("run", overflow="ellipsis")
        table.add_column("progress")
        for title in ("epoch", "loss", "validation", "test", "images/s", "time left"):
            table.add_column(title, justify="right", no_wrap=True)
        with self._lock:
            for name, newest in self._newest.items():
                bar = Constrain(_draw_bar(newest), BAR_WIDTH)
                table.add_row(name, bar, *_word_figures(newest))
        return table


def _draw_bar(newest: dict[type[Event], Event]) -> ProgressBar:
    started, step = newest.get(RunStarted), newest.get(StepSummary)
    epoch = newest.get(EpochFinished)
    total = started.total_steps if isinstance(started, RunStarted) else 1
    done = started.step if isinstance(started, RunStarted) else 0
    if isinstance(step, StepSummary):
        done = max(done, step.step)
    if isinstance(epoch, EpochFinished):
        done = max(done, total * epoch.epoch // epoch.epochs)
    return ProgressBar(total, total if RunFinished in newest else done)


def _word_figures(newest: dict[type[Event], Event]) -> list[str]:
    """Epoch, training loss, validation and test accuracy, images a second, and time left."""
    step, epoch, finished = (
        newest.get(StepSummary),
        newest.get(EpochFinished),
        newest.get(RunFinished),
    )
    cells = [""] * 6
    if isinstance(epoch, EpochFinished):
        cells[:4] = [
            f"{epoch.epoch}/{epoch.epochs}",
            f"{epoch.train_loss:.3f}",
            wording.percent(epoch.validation_accuracy, 2),
            wording.percent(epoch.test_accuracy, 2),
        ]
    if isinstance(step, StepSummary):
        cells[4:] = [f"{step.images_per_s:,.0f}", wording.duration(step.remaining_s)]
    if isinstance(finished, RunFinished):
        cells[3] = wording.percent(finished.test_accuracy, 2)
        cells[5] = "done"
    elif RunFailed in newest:
        cells[5] = "ended early"
    return cells
