import io
import re

import pytest
from rich.console import Console

from trainer.events import (
    EpochFinished,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    StepSummary,
)
from trainer.progress import show_progress
from trainer.recipe import PRESETS
from trainer.record import Hardware

NAMES = ["sgd_frozen", "adam_frozen", "sgd_full", "adam_full"]


def started(name: str, step: int = 0, damaged_states: int = 0) -> RunStarted:
    return RunStarted(
        recipe=name, settings=PRESETS["default"][name], data="CIFAR-10", train_count=45_000,
        validation_count=5_000, test_count=10_000, backbone="resnet18", total_steps=70_300,
        hardware=Hardware(device="cpu", cpu="one", cores=2, threads=1, memory_bytes=1),
        step=step, damaged_states=damaged_states,
    )  # fmt: skip


def summary(name: str) -> StepSummary:
    return StepSummary(
        recipe=name, step=68_000, total_steps=70_300, train_loss=0.5, learning_rate=0.1,
        images_per_s=123_456.0, remaining_s=59 * 60 + 59,
    )  # fmt: skip


def epoch(name: str) -> EpochFinished:
    return EpochFinished(
        recipe=name, epoch=999, epochs=1000, train_loss=12.345, train_accuracy=0.5,
        validation_loss=1.0, validation_accuracy=1.0, test_loss=1.0, test_accuracy=0.98765,
        learning_rate=0.1, train_s=1.0, seconds=2.0,
    )  # fmt: skip


def finished(name: str) -> RunFinished:
    return RunFinished(
        recipe=name, test_accuracy=0.9731, test_loss=0.1, train_s=1.0, seconds=2.0,
        checkpoint=f"{name}.safetensors",
    )  # fmt: skip


@pytest.fixture
def terminal() -> Console:
    """A terminal of 80 columns without colours."""
    return Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)


def read(console: Console) -> str:
    """What stands on the terminal, without the codes that move its cursor."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", console.file.getvalue()).rstrip()


def test_table_of_eighty_columns_shows_every_figure_whole(terminal: Console) -> None:
    with show_progress(NAMES, terminal) as show:
        for name in NAMES:
            show(started(name))
            show(summary(name))
            show(epoch(name))
    last = read(terminal).splitlines()[-len(NAMES) :]
    for name, line in zip(NAMES, last, strict=True):
        assert line.split()[0] == name
        assert line.split()[2:] == [
            "999/1000", "12.345", "100.00", "%", "98.77", "%", "123,456", "59", "min", "59", "s",
        ]  # fmt: skip
        assert len(line) <= 80
    assert "…" not in read(terminal)


def test_table_tells_what_finished_before_and_what_failed(terminal: Console) -> None:
    with show_progress(NAMES[:2], terminal) as show:
        show(finished("sgd_frozen"))
        show(started("adam_frozen", step=5))
        show(RunFailed(recipe="adam_frozen", reason="no space", step=5))
    before, failed = read(terminal).splitlines()[-2:]
    assert "97.31 %" in before
    assert before.rstrip().endswith("done")
    assert failed.rstrip().endswith("ended early")


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(NAMES) as show:
        show(started("sgd_full"))
        show(summary("sgd_full"))
        show(ResourceSample(recipe="sgd_full", cpu_percent=1.0, memory_bytes=1))
        show(epoch("sgd_full"))
        show(finished("sgd_full"))
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "sgd_full: Started: 45,000 images, 70,300 steps."
    assert second.startswith("sgd_full: Epoch 999 of 1000: train loss 12.345")
    assert third == "sgd_full: Saved: test accuracy 97.31 %, 2 s."


def test_damaged_state_is_said_above_the_table_too(
    terminal: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    event = started("sgd_full", step=30, damaged_states=1)
    told = "sgd_full: Continues after step 30 of 70,300; 1 newer state, damaged, passed over."
    with show_progress(NAMES, terminal) as show:
        show(event)
    assert told in " ".join(read(terminal).split())
    with show_progress(NAMES) as show:
        show(event)
    assert capsys.readouterr().out.strip() == told
