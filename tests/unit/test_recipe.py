import dataclasses
import math
from typing import Any

import pytest

from trainer.recipe import PRESETS, RECIPE_NAMES, Recipe

EXPERIMENT = {
    "sgd_full": ("sgd", 0.001, 0.9, "all"),
    "adam_full": ("adam", 0.001, 0.9, "all"),
    "sgd_frozen": ("sgd", 0.01, 0.9, "last_layer"),
    "adam_frozen": ("adam", 0.01, 0.9, "last_layer"),
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_presets_keep_what_the_experiment_fixes(preset: str, name: str) -> None:
    recipe = PRESETS[preset][name]
    fixed = (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.trained)
    assert fixed == EXPERIMENT[name]
    assert (recipe.name, recipe.preset) == (name, preset)


@pytest.mark.parametrize("recipe", PRESETS["report"].values(), ids=str)
def test_report_preset_is_plain(recipe: Recipe) -> None:
    assert (recipe.epochs, recipe.image_px, recipe.schedule) == (20, 32, "constant")
    assert recipe.warmup_fraction == recipe.weight_decay == 0
    assert recipe.batch_norm_momentum == 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", -0.1),
        ("learning_rate", 0.0),
        ("learning_rate", 11.0),
        ("momentum", 1.0),
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 1),
        ("image_px", 31),
        ("seed", -1),
        ("optimizer", "rmsprop"),
        ("trained", "half"),
        ("schedule", "step"),
    ],
)
def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(PRESETS["default"]["sgd_full"], **{field: value})


@pytest.mark.parametrize("change", [{"crop_padding_px": 4}, {"flip": True}])
def test_augmentation_and_frozen_features_contradict(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="crop_padding_px"):
        dataclasses.replace(PRESETS["default"]["sgd_frozen"], **change)


def test_recipe_survives_json() -> None:
    recipe = PRESETS["default"]["adam_full"]
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    with pytest.raises(ValueError, match="not a recipe"):
        Recipe.from_dict({**recipe.as_dict(), "extra": 1})


def test_learning_rate_schedules() -> None:
    base = PRESETS["report"]["sgd_full"]
    assert {base.learning_rate_at(step, 100) for step in range(100)} == {base.learning_rate}

    cosine = dataclasses.replace(base, schedule="cosine", warmup_fraction=0.1)
    rates = [cosine.learning_rate_at(step, 1000) for step in range(1000)]
    assert rates[0] < rates[50] < max(rates) == pytest.approx(base.learning_rate)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert 0 < rates[-1] < 0.001 * base.learning_rate

    cooldown = dataclasses.replace(base, schedule="cooldown")
    rates = [cooldown.learning_rate_at(step, 1000) for step in range(1000)]
    assert set(rates[:500]) == {base.learning_rate}
    assert rates[750] == pytest.approx(base.learning_rate / 2)
    assert rates[-1] > 0


def test_gentle_epochs_follow_the_whole_schedule() -> None:
    base = dataclasses.replace(
        PRESETS["report"]["sgd_full"],
        epochs=6,
        schedule="cooldown",
        crop_padding_px=0,
        crop_area_min=0.5,
        crop_area_max=2.0,
        colour_jitter=0.4,
    )
    longer = dataclasses.replace(base, epochs=9, gentle_epochs=3)
    before = [base.learning_rate_at(step, 600) for step in range(600)]
    rates = [longer.learning_rate_at(step, 900) for step in range(900)]
    assert rates[:600] == before
    assert rates[600] == pytest.approx(base.learning_rate / 4)
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert 0 < rates[-1] < base.learning_rate / 1000
    assert longer.in_epoch(6) is longer
    gentle = longer.in_epoch(7)
    assert (gentle.crop_area_min, gentle.crop_area_max) == (0.875, 1.25)
    assert gentle.colour_jitter == pytest.approx(0.1)
    twice = dataclasses.replace(longer, epochs=12, gentle_epochs=6, gentle_cycles=2)
    assert [twice.learning_rate_at(step, 1200) for step in range(1200)] == rates + rates[600:]
    for wrong in ({"gentle_epochs": 9}, {"gentle_cycles": 2}):
        with pytest.raises(ValueError, match="gentle_epochs"):
            dataclasses.replace(longer, **wrong)
