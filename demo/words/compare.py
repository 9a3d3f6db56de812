"""Sentences of the Compare tab, and of the API's answer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from demo.words.common import FINETUNE_TAB, TEACH_TAB, inline_label
from trainer.recipe import CLASSES
from trainer.wording import article, count, join, sentence

if TYPE_CHECKING:
    from trainer.explain.perturbations import Curve, Perturbation  # which imports torch

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
HEAT_FOR, OWN_ANSWER = "Show where they looked, for", "the class each of them answers"
LOOKED, LOOKED_FOR = "looked here", "for"
MOST_LIKE, TRAINING_IMAGES = "is most like", "these images"
LIKE_LATER = "The training images most like it come with the next picture or class you choose."
UNPREPARED = (
    "The training images most like it are missing: what tells them was not computed for these "
    "models; whoever runs this app can have that done."
)
ENLARGED, CLOSE = "Where they looked", "Close"
COLDEST, HOTTEST = "spoke for it least", "most"
MIND = "What would change its mind?"
MIND_NOTE = (
    "Make the picture worse, and see how sure each model still is of what it said of the unchanged "
    "one."
)
MIND_KIND, STRENGTH = "What is done to the picture", "How strongly"
CONFIDENCE = "How sure each model is of its first answer"
CROSS = "a cross where it first answers otherwise"
_THIRDS = (("top left", "top", "top right"), ("left", "middle", "right"),
           ("bottom left", "bottom", "bottom right"))  # fmt: skip
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
    return f"Added as {article(label)}. {so_far} Train under {FINETUNE_TAB}, {TEACH_TAB}."


def describe_heat(title: str, label: str, hottest: tuple[int, int] | None) -> str:
    """A heat for screen readers.

    Args:
        hottest: the third of the picture it is hottest in, 0..2 from the top and from the left.
    """
    where = "nowhere"
    if hottest is not None:
        where = f"most at the {_THIRDS[hottest[0]][hottest[1]]}"
    return f"Where {title} looked, for {label}: {where}"


def describe_enlarge(alt: str) -> str:
    """The button that a heat is."""
    return f"{alt}. Enlarge all"


def describe_scale(hottest: float) -> str:
    """What the brightest colour means.

    Args:
        hottest: heat of the brightest place, of mean 1.
    """
    if hottest == 0:
        return "Nothing in the picture spoke for it."
    return (
        f"One scale for all: the brightest place spoke {hottest:.1f} times as much as the average."
    )


def name_change(perturbation: "Perturbation") -> str:
    """A kind of change inside a sentence: `blur`, `JPEG`."""
    label = perturbation.label
    return label if label.isupper() else label.lower()


def describe_amount(perturbation: "Perturbation", amount: float) -> str:
    """`1.2 px`, `-45 degrees`."""
    return f"{amount:g} {perturbation.unit}"


def describe_changed(perturbation: "Perturbation", amount: float) -> str:
    """The changed picture for screen readers."""
    if amount == perturbation.neutral:
        return "Your picture, unchanged"
    return f"Your picture, {name_change(perturbation)} {describe_amount(perturbation, amount)}"


def describe_step(amount: str, changed: Sequence[tuple[str, str]]) -> str:
    """One place of the slider for screen readers.

    Args:
        changed: name and class of each model that answers otherwise there.
    """
    said = ", ".join(f"{title} now says {label}" for title, label in changed)
    return f"{amount}: {said or 'all answer as before'}"


def describe_breaks(curve: "Curve", names: Mapping[str, str]) -> str:
    """Which model answers otherwise first, and which never does, in one or two sentences.

    Args:
        names: of each model of the curve, as a sentence calls it.
    """
    label = name_change(curve.perturbation)
    steady = [names[name] for name, amount in curve.breaks.items() if amount is None]
    if not curve.first:
        return f"No {label} on this slider changes {'an' if len(names) > 1 else 'its'} answer."
    nearest = [curve.breaks[name] for name in curve.first]
    at = join(
        [describe_amount(curve.perturbation, a) for a in dict.fromkeys(nearest) if a is not None]
    )
    first = join([names[name] for name in curve.first])
    verb = "changes its mind" if len(curve.first) == 1 else "change their minds"
    before = " first" if len(names) - len(steady) > len(curve.first) else ""
    told = f"{first} {verb}{before}, at {at}"
    if steady:
        told += (
            f"; {join(steady)} {'keeps its answer' if len(steady) == 1 else 'keep their answers'}"
        )
    return sentence(told)
