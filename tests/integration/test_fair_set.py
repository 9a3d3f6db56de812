"""The shipped set is a fair experiment: it is held by its records, not by what presets promise."""

import pytest

from tests.conftest import CHECKPOINTS
from tests.unit.test_pairs import shared
from trainer.checkpoint import load_record
from trainer.recipe import PAIRS, PRESETS, RECIPE_NAMES


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_shipped_pair_differs_in_the_optimizer_alone(pair: tuple[str, str]) -> None:
    first, second = (load_record(CHECKPOINTS, name) for name in pair)
    assert shared(first.recipe) == shared(second.recipe)
    assert first.precision == second.precision
    assert first.processes == second.processes


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_shipped_run_is_of_preset_default(name: str) -> None:
    record = load_record(CHECKPOINTS, name)
    assert record.recipe == PRESETS["default"][name]
    assert record.origin is None


def test_shipped_four_saw_the_same_images_from_the_same_start() -> None:
    records = [load_record(CHECKPOINTS, name) for name in RECIPE_NAMES]
    assert len({record.data.model_dump_json() for record in records}) == 1
    assert len({record.backbone.sha256 for record in records}) == 1
