"""Sentences of the Compare tab, and of the API's answer."""

from collections.abc import Mapping, Sequence

from demo.words.common import FINETUNE_TAB, inline_label
from trainer.recipe import CLASSES
from trainer.wording import article, count

PICTURE = "Your picture"
PICTURE_HINT = "# Drop a picture here\nor click to choose one"
CROP = "What of it the models see"
CROP_CHOICES = [("the centre square", "centre"), ("all of it, on white", "fit")]
DISAGREE_BUTTON = "An image they disagree on"
EXAMPLES = "Or try one of these"
EXAMPLES_NOTE = (
    "The coarse ones are CIFAR-10 test images as they are, the smooth ones such images enlarged to "
    "the size of a photograph."
)
NO_SUCH_EXAMPLE = "Choose one of the examples shown."
SEEN = "As the models see it"
NO_PICTURE = "Choose a picture to see what the four models say."
ALL_TEN = "all ten classes"
OWN_MODEL = "Your job's model"
TEACH_CLASS, TEACH_BUTTON = "Wrong? It is a", "Teach it"
NOTHING_TO_TEACH = "Choose a picture first."
NO_CLASS = "Choose what the picture shows first."
_PAIRS = {
    "both with all layers trained": {"sgd_full", "adam_full"},
    "both with only the last layer trained": {"sgd_frozen", "adam_frozen"},
    "both trained by SGD": {"sgd_full", "sgd_frozen"},
    "both trained by Adam": {"adam_full", "adam_frozen"},
}


def describe_seen(side: int) -> str:
    """The picture as the models see it, for screen readers.

    Args:
        side: of its square in pixels.
    """
    return f"Your picture reduced to {side} by {side} pixels, enlarged"


def describe_agreement(answers: Mapping[str, str]) -> str:
    """Who says what, in one sentence, the largest group first.

    Args:
        answers: recipe name to class.
    """
    groups: dict[str, list[str]] = {}
    for name, answer in answers.items():
        groups.setdefault(answer, []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    if len(ordered) == 1:
        who = {1: "The only model here says", 2: "Both say", 3: "All three say", 4: "All four say"}
        return f"{who[len(answers)]} {ordered[0][0]}."
    said = "; ".join(
        f"{_name_group(names)} {'says' if len(names) == 1 else 'say'} {answer}"
        for answer, names in ordered
    )
    if len(ordered) == len(answers):
        return f"No two agree: {said}."
    return f"{said[0].upper()}{said[1:]}."


def _name_group(names: Sequence[str]) -> str:
    """Some of the models in a sentence, by what they share where they share something."""
    if len(names) == 3:
        return "three"
    if len(names) == 2:
        for shared, pair in _PAIRS.items():
            if set(names) == pair:
                return shared
    return " and ".join(inline_label(name) for name in names)


def describe_truth(label: int) -> str:
    return f"This one is known: it is {article(CLASSES[label])}."


def describe_example(label: int, large: bool) -> str:
    """An example for screen readers."""
    return f"Example: {article(CLASSES[label])}, {'enlarged' if large else 'a test image'}"


def describe_seconds(seconds: float) -> str:
    """`4.1 ms`."""
    return f"{1000 * seconds:.1f} ms"


def describe_own_start(start: str) -> str:
    """What the model of the fifth card began as."""
    return f"started from {start}"


def describe_taught(label: str, pictures: int, added: bool) -> str:
    """What a press on the button did.

    Args:
        pictures: how many the visitor has taught by now.
        added: False where this one was there already, as this class.
    """
    so_far = f"{count(pictures, 'picture')} taught so far."
    if not added:
        return f"Already there as {article(label)}. {so_far}"
    return f"Added as {article(label)}. {so_far} Start a job under {FINETUNE_TAB}."
