"""Words of the jobs beside each other."""

from collections.abc import Sequence

from demo.words.about import find_differing, inline_setting
from demo.words.common import start_label
from demo.words.finetune import describe_length, word_setting
from trainer.declared import describe_setting, tell_choice
from trainer.recipe import JobSettings, Recipe
from trainer.record import Record
from trainer.wording import count, join

BESIDE = "Jobs beside each other"
BESIDE_HINT = (
    "Choose two or more, your jobs or the four recipes: their curves in one figure, the settings "
    "they differ in, and what each gets right."
)
CHOSEN = "Beside each other"
CHOOSE_MORE = "Choose one more to see it beside this one."
MODEL = "Model"
CURVES = {
    "validation_accuracy": "Validation accuracy, %",
    "validation_loss": "Validation loss",
    "train_loss": "Train loss",
}
"""A figure of an epoch to its title."""
SETTINGS, RIGHT, ALL_CLASSES = "settings that differ", "right, %", "all classes"
GAINED = "In brackets: points above or below what it started from, on the same images."
_START, _LENGTH, _SEEN, _OWN = "What they start from", "Length", "Training images", "Own pictures"
_TOLD_ELSEWHERE = ("epochs", "steps")
"""Settings that are the length."""


def label_choice(job: str, settings: JobSettings | None) -> str:
    """A job among those to choose."""
    if settings is None:
        return job
    return f"{job}: {tell_choice(settings, 'optimizer')}, {tell_choice(settings, 'trained')}"


def list_differing(runs: Sequence[tuple[Record, str]]) -> list[tuple[str, list[str]]]:
    """The settings in which runs differ, each with its label and a value a run.

    Args:
        runs: records, and what each began with.
    """
    rows = [(_START, [start_label(one) for _, one in runs])]
    records = [record for record, _ in runs]
    owns = [record.origin.own_pictures if record.origin else None for record in records]
    taught = [own.count if own else 0 for own in owns]
    repeats = [record.origin.settings.own_repeats if record.origin else 0 for record in records]
    images = [
        record.data.train_count - pictures * times
        for record, pictures, times in zip(records, taught, repeats, strict=True)
    ]
    rows.append((_SEEN, [f"{number:,}" for number in images]))
    rows.append((_OWN, [f"{number:,}" for number in taught]))
    emphasised = [record.origin.settings.emphasised if record.origin else () for record in records]
    label = describe_setting(JobSettings, "emphasised").label
    rows.append((label, [join(names) if names else "none" for names in emphasised]))
    recipes = [record.recipe for record in records]
    rows.append((_LENGTH, [describe_length(one.epochs, one.steps) for one in recipes]))
    for name in [one for one in find_differing(recipes) if one not in _TOLD_ELSEWHERE]:
        values = [word_setting(recipe, name)[1] for recipe in recipes]
        rows.append((describe_setting(Recipe, name).label, values))
    return [(label, values) for label, values in rows if len(set(values)) > 1]


def describe_differing(labels: Sequence[str]) -> str:
    """In which settings runs differ, in a sentence."""
    if not labels:
        return "They were trained with the same settings."
    inside = [inline_setting(label) for label in labels]
    if len(inside) == 1:
        return f"They differ in the {inside[0]} alone."
    return f"They differ in {join(inside)}."


def describe_images(images: int) -> str:
    """What the shares that are right are measured on.

    Args:
        images: that all were measured on, or 0.
    """
    if images:
        return f"Measured on the {count(images, 'test image')} that all of them answered."
    return "They answered different test images, so that their figures cannot be compared."


def describe_most(chosen: int, most: int) -> str:
    """That not all that are chosen are shown, where it is so."""
    if chosen <= most:
        return ""
    return f"{most} stand beside each other at most: the first {most} are shown."


def word_change(share: float, gain: float | None) -> str:
    """`72.0`, or with what it gained `72.0 (+26.0)`."""
    said = f"{100 * share:.1f}"
    return said if gain is None else f"{said} ({100 * gain:+.1f})"
