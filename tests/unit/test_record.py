"""The contract between trainer and app: old records are read, wrong ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records import build_facts, build_origin, build_record
from trainer.checkpoint import list_names, load_record
from trainer.errors import CheckpointError
from trainer.record import READABLE_FORMATS, RECORD_FORMAT, Record


def test_a_record_of_the_first_version_is_read(tmp_path: Path) -> None:
    """It lacks settings and fields that came later; nothing that it holds is lost but what has
    no reader any more."""
    name = "sgd_full"
    content = (Path(__file__).parents[1] / "old_record.json").read_text()
    (tmp_path / f"{name}.json").write_text(content)
    record, stored = load_record(tmp_path, name), json.loads(content)
    assert (record.recipe.name, record.recipe.crops) == (name, False)
    assert (record.features_s, record.origin, record.processes) == (None, None, 1)
    assert "temperature" in stored or record.temperature == 1
    assert len(record.history) == record.recipe.epochs
    assert record.seconds == sum(epoch["seconds"] for epoch in stored["history"])

    stored.pop("energy_threshold", None)
    assert stored.pop("format") in READABLE_FORMATS

    def assert_kept(old: Any, new: Any) -> None:
        if isinstance(old, dict):
            for key, value in old.items():
                assert_kept(value, new[key])
        else:
            assert new == old

    assert_kept(stored, json.loads(record.as_json()))


@pytest.mark.parametrize(
    "record",
    [
        build_record(),
        build_record("adam_frozen", features_s=41.5),
        build_record(familiarity=build_facts((64, 0.07, 0.66)), familiarity_sha256="23" * 32),
        build_record(origin=build_origin(emphasised=("cat", "dog"), steps=7, evaluated=100)),
    ],
    ids=["plain", "features", "detector", "short run"],
)
def test_record_comes_back_as_written(record: Record) -> None:
    assert Record.from_json(record.as_json(), "x.json") == record
    assert "null" not in record.as_json()


def test_a_record_of_the_first_format_is_written_in_the_newest() -> None:
    values = json.loads(build_record().as_json()) | {"format": 1, "energy_threshold": -3.0}
    record = Record.from_json(json.dumps(values), "x.json")
    assert record.familiarity is None
    again = json.loads(record.as_json())
    assert again["format"] == RECORD_FORMAT
    assert "energy_threshold" not in again


@pytest.mark.parametrize(("side_px", "found"), [(None, 64), (500, 64), (50, 64), (32, 32), (1, 32)])
def test_figures_are_those_of_the_nearest_square(side_px: int | None, found: int) -> None:
    one = build_facts((32, 0.11, 0.63), (64, 0.07, 0.66)).on_photographs(side_px)
    assert one is not None
    assert one.side_px == found
    assert build_facts().on_photographs(side_px) is None


def test_what_a_newer_version_adds_is_passed_over() -> None:
    values = json.loads(build_record().as_json())
    values["mood"] = values["test"]["mood"] = "gloomy"
    assert Record.from_json(json.dumps(values), "x.json") == build_record()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "record_damaged"),
        ("{", "record_damaged"),
        (b"\xff\xfe\x00", "record_damaged"),
        ("[" * 100_000, "record_damaged"),
        ("null", "record_format"),
        ("[1, 2]", "record_format"),
        ("{}", "record_format"),
        ('{"format": 99}', "record_format"),
        ('{"format": 1}', "record_damaged"),
        ('{"format": 1, "name": "sgd_full", "train_loss": [1, 2]}', "record_damaged"),
    ],
)
def test_what_is_no_record_is_named(content: str | bytes, code: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Record.from_json(content, "x.json")
    assert caught.value.code == code
    assert str(caught.value).startswith("x.json is ")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("test", "accuracy"), None, "test.accuracy"),
        (("test", "accuracy"), "high", "test.accuracy"),
        (("test", "loss"), float("nan"), "test.loss"),
        (("test", "best_class"), "zebra", "test.best_class"),
        (("test", "confusion"), [[1, 2], [3, 4]], "test.confusion"),
        (("test", "per_class_accuracy"), [0.5], "test.per_class_accuracy"),
        (("history",), [], "history"),
        (("history", 1, "test_loss"), "low", "history.1.test_loss"),
        (("recipe", "learning_rate"), -1, "--learning-rate"),
        (("recipe", "sorcery"), 1, "sorcery"),
        (("hardware",), 7, "hardware"),
    ],
)
def test_a_damaged_record_says_where(path: tuple[Any, ...], value: object, reason: str) -> None:
    values: Any = json.loads(build_record().as_json())
    part = values
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(CheckpointError) as caught:
        Record.from_json(json.dumps(values), "x.json")
    assert caught.value.code == "record_damaged"
    assert reason in str(caught.value)


def test_folder_tells_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        list_names(tmp_path)
    assert caught.value.code == "checkpoints_missing"
    for name in ("adam_full", "sgd_full", "finetuned"):
        (tmp_path / f"{name}.json").touch()
    assert list_names(tmp_path) == ["sgd_full", "adam_full"]
