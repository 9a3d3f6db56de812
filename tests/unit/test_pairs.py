"""The experiment compares optimizers: within each pair nothing else may differ."""

from typing import Any

import pytest

from trainer.recipe import PAIRS, PRESETS, Recipe

OF_THE_OPTIMIZER = {"name", "optimizer", "learning_rate", "momentum", "beta2"}


def shared(recipe: Recipe) -> dict[str, Any]:
    return {key: value for key, value in recipe if key not in OF_THE_OPTIMIZER}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_presets_of_a_pair_differ_in_the_optimizer_alone(
    preset: str, pair: tuple[str, str]
) -> None:
    first, second = (PRESETS[preset][name] for name in pair)
    assert shared(first) == shared(second)
