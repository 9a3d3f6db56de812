"""Files to take along, without a server."""

import contextlib
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from demo.analyses import Analyses
from demo.answers import RecordedAnswers
from demo.exports import Exports, NoSuchFile
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.rates import RateMap
from demo.models import Models
from demo.own_changes import OwnChanges
from demo.words import changed
from tests.analysis import DIP, build_analysis
from tests.conftest import CHECKPOINTS
from tests.jobs import store_done
from trainer.data import Dataset

PAIR = {"first": "sgd_full", "second": "adam_frozen"}


@pytest.fixture(scope="module")
def exports(invented: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    models = Models(CHECKPOINTS)
    home = tmp_path_factory.mktemp("home")
    with contextlib.closing(Jobs(home, CHECKPOINTS)) as jobs:
        analyses = Analyses(invented, models.records)
        yield Exports(
            models,
            RecordedAnswers(models),
            jobs,
            analyses,
            RateMap(invented, models.records),
            OwnChanges(CHECKPOINTS, analyses, models, jobs),
        )


def test_difference_is_a_picture_of_its_own(exports: Exports) -> None:
    file = exports.make("difference.svg", PAIR)
    assert file.kind == "image/svg+xml"
    assert ElementTree.fromstring(file.content).tag.endswith("svg")
    assert b"currentColor" not in file.content


def test_exported_numbers_are_those_of_the_records(exports: Exports) -> None:
    cells = pandas.read_csv(io.BytesIO(exports.make("confusion.csv", {}).content))
    answers = pandas.read_parquet(io.BytesIO(exports.make("answers.parquet", {}).content))
    for name, record in exports._records.items():
        mine = cells[cells["model"] == name]
        right = mine[mine["true"] == mine["predicted"]]["images"].sum()
        assert right / mine["images"].sum() == pytest.approx(record.test.accuracy)
        assert (answers[name] == answers["true"]).mean() == pytest.approx(record.test.accuracy)
    overlap = pandas.read_csv(io.BytesIO(exports.make("overlap.csv", PAIR).content), index_col=0)
    assert overlap.to_numpy().sum() == len(answers)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("nothing.csv", {}),
        ("difference.csv", {}),
        ("difference.svg", {"first": "sgd_full", "second": "../sgd_full"}),
        ("job-classes.csv", {"job": "a.b"}),
        ("job-curves.csv", {"job": ""}),
    ],
)
def test_what_is_not_there_is_said(exports: Exports, name: str, query: dict[str, str]) -> None:
    with pytest.raises(NoSuchFile):
        exports.make(name, query)


def test_own_model_is_taken_along_by_who_has_its_key(exports: Exports) -> None:
    job = store_done(exports._jobs, "the owner's token", "adam_full", "sgd_full")
    query = {"job": f"{job.id}.{job.key}"}
    four, moved = (
        pandas.read_csv(io.BytesIO(exports.make("movement.csv", one).content))
        for one in ({}, query)
    )
    assert set(moved["model"]) - set(four["model"]) == {NAME}
    assert (moved[moved["model"] == NAME]["distance"] > 0).all()
    for name in ("changes.svg", "map.svg", "step-sizes.svg", "step-sizes.csv"):
        assert exports.make(name, query).content != exports.make(name, {}).content
    with pytest.raises(NoSuchFile):
        exports.make("movement.csv", {"job": f"{job.id}.another"})


def test_what_training_changed_can_be_taken_along(exports: Exports, sample: Dataset) -> None:
    """But for step sizes, which the shipped records may lack."""
    files = [file for part in changed.EXPORTS.values() for file, _ in part]
    known = any(epoch.step_sizes for r in exports._records.values() for epoch in r.history)
    for name in files:
        if name.startswith("step-sizes") and not known:
            with pytest.raises(NoSuchFile):
                exports.make(name, {})
            continue
        content = exports.make(name, {}).content
        if name.endswith("svg"):
            assert ElementTree.fromstring(content).tag.endswith("svg")
        else:
            assert len(pandas.read_csv(io.BytesIO(content))) > 1
    facts = build_analysis(sample).facts
    moved = pandas.read_csv(io.BytesIO(exports.make("movement.csv", {}).content))
    for name, model in facts.models.items():
        own = moved[moved["model"] == name]
        assert dict(zip(own["layer"], own["distance"], strict=True)) == pytest.approx(
            model.movement
        )
    paths = pandas.read_csv(io.BytesIO(exports.make("paths.csv", {}).content))
    dip = paths[(paths["start"] == "sgd_full") & (paths["end"] == "adam_full")]
    assert dip["right"].tolist() == list(DIP)
