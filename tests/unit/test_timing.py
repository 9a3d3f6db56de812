"""Training times are told alike, whichever run happened to come first."""

from typing import Any

import pytest

from demo.words.accuracy import describe_times
from tests.conftest import CHECKPOINTS
from trainer.checkpoint import load_record
from trainer.recipe import RECIPE_NAMES
from trainer.record import Record
from trainer.timing import time_alone


@pytest.fixture
def records() -> dict[str, Record]:
    return {name: load_record(CHECKPOINTS, name) for name in RECIPE_NAMES}


def changed(record: Record, **changes: Any) -> Record:
    return record.model_copy(update=changes)


def with_seconds(record: Record, *seconds: float) -> Record:
    """The record with epochs of one second of steps each, and so many seconds in all."""
    first = record.history[0]
    history = [first.model_copy(update={"train_s": 1.0, "seconds": s}) for s in seconds]
    return changed(record, history=tuple(history), features_s=None)


def test_both_frozen_models_carry_the_features_they_share(records: dict[str, Record]) -> None:
    records["sgd_frozen"] = with_seconds(records["sgd_frozen"], 42.0, 2.0)
    records["adam_frozen"] = with_seconds(records["adam_frozen"], 3.0, 2.0)
    times = time_alone(records)
    assert times["sgd_frozen"].alone_s == pytest.approx(44.0)
    # Two seconds of steps and three of evaluation, and the 39 that only the first run took.
    assert times["adam_frozen"].alone_s == pytest.approx(5.0 + 39.0)
    assert times["adam_frozen"].shared_s == times["sgd_frozen"].shared_s == pytest.approx(39.0)
    assert times["sgd_full"].alone_s == records["sgd_full"].seconds
    assert times["sgd_full"].shared_s == 0


def test_shipped_pair_takes_about_as_long_alone(records: dict[str, Record]) -> None:
    times = time_alone(records)
    sgd, adam = times["sgd_frozen"], times["adam_frozen"]
    assert sgd.alone_s == pytest.approx(adam.alone_s, rel=0.1)  # each with the pass they share
    said = describe_times({"sgd_frozen": sgd.shared_s, "adam_frozen": adam.shared_s})
    assert said.startswith("SGD (last layer) and Adam (last layer) share one pass")


def test_each_ran_its_own_pass_where_they_were_trained_apart(records: dict[str, Record]) -> None:
    records["sgd_frozen"] = with_seconds(records["sgd_frozen"], 42.0, 2.0)
    records["adam_frozen"] = with_seconds(records["adam_frozen"], 40.0, 2.0)
    times = time_alone(records)
    assert times["adam_frozen"].alone_s == pytest.approx(42.0)
    assert not times["adam_frozen"].shared_s
    assert describe_times({}) == ""


@pytest.mark.parametrize(("other_s", "shared_s"), [(41.5, 41.5), (40.0, 0.0)])
def test_recorded_time_of_features_is_taken_as_it_is(
    records: dict[str, Record], other_s: float, shared_s: float
) -> None:
    for name, seconds in (("sgd_frozen", 41.5), ("adam_frozen", other_s)):
        records[name] = changed(with_seconds(records[name], 2.0, 2.0), features_s=seconds)
    times = time_alone(records)
    assert times["sgd_frozen"].alone_s == pytest.approx(45.5)
    assert times["adam_frozen"].alone_s == pytest.approx(4.0 + other_s)
    assert times["adam_frozen"].shared_s == shared_s
