import json
import math
import shlex
from typing import Any

import pytest

from trainer.cli import parse
from trainer.declared import describe_setting, to_flag
from trainer.errors import SettingError
from trainer.recipe import PRESETS, RECIPE_NAMES, JobSettings, Recipe, join_command

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


@pytest.mark.parametrize("recipe", PRESETS["report"].values(), ids=RECIPE_NAMES)
def test_report_preset_is_plain(recipe: Recipe) -> None:
    assert (recipe.epochs, recipe.image_px, recipe.schedule) == (20, 32, "constant")
    assert recipe.warmup_fraction == recipe.weight_decay == 0
    assert recipe.batch_norm_momentum == 0.1


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("learning_rate", math.nan, "a number above 0 and up to 10"),
        ("learning_rate", math.inf, "a number above 0"),
        ("learning_rate", 0.0, "a number above 0"),
        ("learning_rate", 11.0, "up to 10"),
        ("learning_rate", None, "not nothing"),
        ("momentum", 1.0, "a number from 0 to below 1"),
        ("label_smoothing", 0.6, "a number from 0 to 0.5"),
        ("epochs", 0, "a whole number from 1 to 1,000"),
        ("epochs", 1.5, "a whole number from 1"),
        ("epochs", "many", "not 'many'"),
        ("steps", -3, "a whole number from 1"),
        ("batch_size", 1, "from 2"),
        ("image_px", 31, "from 32 to 224 px"),
        ("seed", -1, "from 0"),
        ("optimizer", "rmsprop", "one of sgd, adam, adamw, not 'rmsprop'"),
        ("trained", "half", "one of last_layer, last_block, all"),
    ],
)
def test_wrong_value_is_refused_with_its_flag_and_what_is_allowed(
    name: str, value: Any, allowed: str
) -> None:
    for settings in (PRESETS["default"]["sgd_full"], JobSettings()):
        with pytest.raises(SettingError) as caught:
            settings.changed(**{name: value})
        assert str(caught.value).startswith(f"{to_flag(name)}: give ")
        assert allowed in str(caught.value)
        assert caught.value.facts["label"] == describe_setting(type(settings), name).label


def test_what_is_missing_or_unknown_is_named() -> None:
    values = PRESETS["default"]["adam_full"].as_json()
    with pytest.raises(SettingError, match="extra is not a setting"):
        Recipe.from_json({**values, "extra": 1})
    del values["name"]
    with pytest.raises(SettingError, match="--name is missing"):
        Recipe.from_json(values)
    with pytest.raises(SettingError, match="--start: give a name"):
        JobSettings(start="--out")
    with pytest.raises(SettingError, match="--emphasised: give some of airplane"):
        JobSettings().changed(emphasised=("unicorn",))


@pytest.mark.parametrize("change", [{"crop_padding_px": 4}, {"flip": True}])
def test_augmentation_and_frozen_features_contradict(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="images cannot be augmented"):
        PRESETS["default"]["sgd_frozen"].changed(**change)


def test_recipe_survives_json() -> None:
    recipe = PRESETS["default"]["adam_full"]
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe


def other_than_declared(name: str) -> Any:
    """A right value of a setting that is not its default."""
    declared = describe_setting(JobSettings, name)
    match declared.kind:
        case "whole":
            least = int(declared.minimum or 0)
            return next(n for n in (least + 1, least + 2) if n != declared.default)
        case "number":
            return ((declared.minimum or 0) + (declared.maximum or 0)) / 7
        case "choice":
            return next(value for value, _ in declared.choices if value != declared.default)
        case "classes":
            return tuple(value for value, _ in declared.choices[2:4])
        case "flag":
            return not declared.default
    return "runs/it's mine.safetensors"


@pytest.mark.parametrize("name", JobSettings.model_fields)
def test_every_setting_reaches_json_arguments_command_line_and_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = JobSettings().changed(**{name: other_than_declared(name)})
    assert settings != JobSettings()
    assert JobSettings.from_json(json.loads(json.dumps(settings.as_json()))) == settings

    arguments = settings.arguments()
    assert to_flag(name) in arguments
    assert JobSettings(**parse(arguments).keywords["settings"]) == settings

    with pytest.raises(SystemExit):
        parse(["finetune", "--help"])
    page = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"{to_flag(name)} " in page
    assert describe_setting(JobSettings, name).info in page


def test_command_is_quoted_as_a_shell_needs_it() -> None:
    arguments = JobSettings(start="it's;mine$HOME.safetensors").arguments()
    assert shlex.split(join_command(arguments)) == ["python", "-m", "trainer", *arguments]


def test_settings_like_a_recipe_are_its_own_but_for_what_is_given() -> None:
    recipe = PRESETS["default"]["adam_full"].changed(image_px=48, label_smoothing=0.1)
    settings = JobSettings.like(recipe, "adam_full", learning_rate=0.5)
    for name in JobSettings.FROM_START:
        expected = 0.5 if name == "learning_rate" else getattr(recipe, name)
        assert getattr(settings, name) == expected
    assert (settings.start, settings.epochs) == ("adam_full", JobSettings().epochs)


def test_learning_rate_schedules() -> None:
    base = PRESETS["report"]["sgd_full"]
    assert {base.learning_rate_at(step, 100) for step in range(100)} == {base.learning_rate}

    cosine = base.changed(schedule="cosine", warmup_fraction=0.1)
    rates = [cosine.learning_rate_at(step, 1000) for step in range(1000)]
    assert rates[0] < rates[50] < max(rates) == pytest.approx(base.learning_rate)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert 0 < rates[-1] < 0.001 * base.learning_rate

    cooldown = base.changed(schedule="cooldown")
    rates = [cooldown.learning_rate_at(step, 1000) for step in range(1000)]
    assert set(rates[:500]) == {base.learning_rate}
    assert rates[750] == pytest.approx(base.learning_rate / 2)
    assert rates[-1] > 0


def test_steps_on_smaller_images_and_those_on_larger_ones_each_go_through_the_schedule() -> None:
    whole = PRESETS["report"]["sgd_full"].changed(
        schedule="cooldown", warmup_fraction=0.1, image_px=96
    )
    resized = whole.changed(early_fraction=0.75, early_px=64)
    assert [resized.image_px_at(step, 1000) for step in (0, 749, 750, 999)] == [64, 64, 96, 96]
    rates = [resized.learning_rate_at(step, 1000) for step in range(1000)]
    assert rates[:750] == [whole.learning_rate_at(step, 750) for step in range(750)]
    assert rates[750:] == [whole.learning_rate_at(step, 250) for step in range(250)]

    small = resized.changed(image_px=64)  # nothing is smaller than that
    assert {small.image_px_at(step, 1000) for step in range(1000)} == {64}
    assert small.learning_rate_at(750, 1000) == whole.learning_rate_at(750, 1000)
