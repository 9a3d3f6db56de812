import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKPOINTS
from tests.records import build_figures, build_record
from trainer.errors import TrainingError
from trainer.events import (
    EpochFinished,
    Event,
    EventLog,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    StartEvaluated,
    StepSummary,
    parse_events,
    read_events,
)

RECORD = build_record()
STARTED = RunStarted(
    recipe="sgd_full", settings=RECORD.recipe, data="CIFAR-10", train_count=9, validation_count=1,
    test_count=2, backbone="resnet18", hardware=RECORD.hardware, total_steps=8,
)  # fmt: skip
FAILED = RunFailed(recipe="sgd_full", reason="because", code="batch_too_large", step=7)
FINISHED = RunFinished(
    recipe="sgd_full", test_accuracy=0.5, test_loss=1.0, train_s=2.0, seconds=3.0, checkpoint="x"
)
EVERY: list[Event] = [
    STARTED,
    StartEvaluated(recipe="sgd_full", validation_loss=1.0, validation_accuracy=0.1),
    StepSummary(
        recipe="sgd_full", step=3, total_steps=8, train_loss=0.1 + 0.2, learning_rate=1e-3,
        images_per_s=100.0, remaining_s=4.0,
    ),
    EpochFinished(
        recipe="sgd_full", epochs=1, validation_confusion=build_figures(0.5).confusion,
        **dict(RECORD.history[0]),
    ),
    ResourceSample(recipe="sgd_full", cpu_percent=99.0, memory_bytes=1),
    FAILED,
    FINISHED,
]  # fmt: skip


def test_events_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    log = EventLog(path)
    for event in EVERY:
        log(event)
    log.close()
    assert list(read_events(path)) == EVERY
    assert len(path.read_text().splitlines()) == len(EVERY)


def test_part_of_a_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log(FAILED)
    log.close()
    path.write_bytes(path.read_bytes() + b'{"kind": "epo')
    log = EventLog(path)
    log(FINISHED)
    log.close()
    assert list(read_events(path)) == [FAILED, FINISHED]


def test_what_is_no_event_of_ours_is_passed_over() -> None:
    wrong_setting = json.loads(STARTED.model_dump_json())
    wrong_setting["settings"]["learning_rate"] = -1
    newer = json.loads(FAILED.model_dump_json()) | {"mood": "gloomy"}
    lines = [
        b"",
        b"null",
        b'{"kind": "dream", "recipe": "x"}',
        b'{"kind": "epoch", "recipe": "x"}',
        json.dumps(wrong_setting).encode(),
        b"\xff\xfe",
        json.dumps(newer).encode(),
    ]
    assert list(parse_events(lines)) == [FAILED]


def test_events_of_the_shipped_runs_are_read() -> None:
    """They were written by an earlier version, which knew fewer settings."""
    path = CHECKPOINTS / "events.jsonl"
    kinds = [type(event) for event in read_events(path)]
    assert len(kinds) == len(path.read_bytes().splitlines())
    assert kinds.count(RunStarted) >= 4
    assert kinds.count(RunFinished) >= 4
    assert kinds.count(EpochFinished) >= 90


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        (None, {}),
        ("dream", {}),
        ("loss_not_finite", {"name": "x", "step": 3}),
        ("loss_not_finite", {"name": "x", "step": 3, "learning_rate": "high"}),
    ],
)
def test_failure_of_another_version_is_no_error_of_ours(
    code: str | None, facts: dict[str, Any]
) -> None:
    assert RunFailed(recipe="x", reason="because", code=code, facts=facts, step=3).error is None


def test_failure_is_the_error_that_was_told() -> None:
    error = TrainingError("loss_not_finite", name="x", step=3, learning_rate=0.1)
    told = RunFailed.tell("x", error, 3)
    assert [
        str(event.error)
        for event in parse_events([told.model_dump_json().encode()])
        if isinstance(event, RunFailed)
    ] == [str(error)]


def test_no_file_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none.jsonl")) == []
