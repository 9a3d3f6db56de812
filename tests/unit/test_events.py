from pathlib import Path

from trainer.events import EventLog, RunFailed, RunFinished, read_events

FAILED = RunFailed("sgd_full", reason="because", step=7)
FINISHED = RunFinished(
    "sgd_full", test_accuracy=0.5, test_loss=1.0, train_s=2.0, seconds=3.0, checkpoint="x"
)


def test_events_come_back_as_written(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run" / "events.jsonl")
    log(FAILED)
    log(FINISHED)
    log.close()
    assert list(read_events(tmp_path / "run" / "events.jsonl")) == [FAILED, FINISHED]


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


def test_no_file_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none.jsonl")) == []
