"""Sentences of the Accuracy tab."""

from collections.abc import Mapping, Sequence

from demo.words.common import LABELS, inline_label
from trainer.calibration import LEAST_IN_BIN, Confidence
from trainer.metrics import Overlap
from trainer.recipe import CLASSES
from trainer.record import Record
from trainer.wording import (
    AS_SHOWN,
    AS_TRAINED,
    article,
    count,
    duration,
    join,
    p_value,
    percent,
)

MODEL = "Model"
ANSWERS_EXPORT = "every answer to every test image as Parquet"
COUNTING = "Cells show"
COUNTING_CHOICES = [("percent of the true class", "percent"), ("images", "count")]
TRUE, PREDICTED = "true", "predicted"
TRUE_CLASS, PREDICTED_CLASS = "True class", "Predicted class"
FIRST_MODEL, SECOND_MODEL = "First model", "Second model"
TEST_ACCURACY, TEST_LOSS = "Test accuracy, %", "Test loss"
FIGURES = "How often they are right"
FIGURES_HEADING = f"## {FIGURES}"
CURVES_HEADING = "## How they got there"
CONFIDENCE = "How far their confidence can be believed"
CONFIDENCE_HEADING = f"## {CONFIDENCE}"
MATRICES_HEADING = "## What they take for what"
PAIR_HEADING = "## Two models side by side"
ALONE_HEADING = "What only one of all sees"
MATRIX_HINT = (
    "Rows are the true class, columns what the model said. Blue: right; orange: wrong, the "
    "stronger the more often. Choose a cell, large or small, to see its images."
)
CONFIDENCE_HINT = (
    "On the dotted line a model that says 80 % is right on 80 of 100 images; below it the model is "
    f"too sure, above it too cautious. Dashed, with hollow dots: {AS_TRAINED}. Solid: {AS_SHOWN}, "
    f"its outputs divided by its temperature. A dot is a group of at least {LEAST_IN_BIN} test "
    f"images of like confidence."
)
DIFFERENCE_HINT = (
    "First model minus second, in percentage points of the true class. Blue: the first says this "
    "more often; orange: the second does. Choose a cell, or a part of the table, to see its images."
)
FIGURE_COLUMNS = (
    ("model", ""),
    ("test accuracy, %", ".2f"),
    ("reference, %", ".2f"),
    ("difference, points", "+.2f"),
    (f"calibration error {AS_TRAINED}, %", ".1f"),
    ("best class", ""),
    ("worst class", ""),
    ("epochs", ","),
    ("training, minutes", ".1f"),
)
"""Header and format of each column."""
CONFIDENCE_COLUMNS = (
    ("model", ""),
    ("temperature", ".2f"),
    ("right, %", ".1f"),
    (f"confidence {AS_TRAINED}, %", ".1f"),
    (f"confidence {AS_SHOWN}, %", ".1f"),
    (f"calibration error {AS_TRAINED}, %", ".1f"),
    (f"calibration error {AS_SHOWN}, %", ".1f"),
)
"""The same, of the table of temperatures."""
OVERLAP = "Images that both, one or neither gets right"
FETCH = "Fetch all test images"
FETCHING = "Fetching the test images from the Hub: this takes a minute."
FETCHED = "All test images are here."
PREVIOUS, NEXT = "Earlier", "Further"
PAGES, SORTED = "Pages", "Sorted by"
OPEN_IN_COMPARE = "Open in Compare"
STATED, WAS_RIGHT = "confidence, %", "right, %"
EXPORTS: dict[str, tuple[tuple[str, str], ...]] = {
    "figures": (("figures.csv", "these figures as CSV"), ("answers.parquet", ANSWERS_EXPORT)),
    "seeds": (("seeds.svg", "the runs as SVG"), ("seeds.csv", "the runs as CSV")),
    "curves": (
        ("test-accuracy.svg", "test accuracy as SVG"),
        ("train-loss.svg", "train loss as SVG"),
        ("test-loss.svg", "test loss as SVG"),
        ("curves.csv", "the curves as CSV"),
    ),
    "reliability": (
        ("reliability.svg", "the diagrams as SVG"),
        ("reliability.csv", "the diagrams as CSV"),
    ),
    "confidence": (("confidence.csv", "this table as CSV"),),
    "confusion": (
        ("confusion.svg", "the matrices as SVG"),
        ("confusion.csv", "the matrices as CSV"),
    ),
    "difference": (
        ("difference.svg", "the difference as SVG"),
        ("difference.csv", "the difference as CSV"),
    ),
    "overlap": (("overlap.csv", "this table as CSV"),),
    "recipes": (("recipes.csv", "this table as CSV"),),
    "job": (
        ("job-classes.csv", "the classes as CSV"),
        ("job-difference.svg", "the difference as SVG"),
        ("job-curves.csv", "the curves as CSV"),
    ),
    "beside": (
        ("beside-curves.svg", "the curves as SVG"),
        ("beside-curves.csv", "the curves as CSV"),
        ("beside.csv", "this table as CSV"),
    ),
}
"""Part of the page to its files, each with what it holds."""
NO_SUCH_CLASS = f"Choose a class among {', '.join(CLASSES)}."


def describe_figures(record: Record) -> str:
    """Where the figures above come from."""
    data = record.data
    return (
        f"Measured on {data.test_count:,} test images of {data.name} that played no "
        f"part in training or in any choice; {data.validation_count:,} training images were "
        f"held out for those. The reference is the published experiment that Quartet reproduces, "
        f"at its best epoch; the difference is in percentage points."
    )


def describe_times(shared_s: Mapping[str, float]) -> str:
    """What of the training times several models share.

    Args:
        shared_s: recipe name to the seconds of its time that served others too.
    """
    if len(shared_s) < 2:
        return ""
    seconds = max(shared_s.values())
    return (
        f"{join([inline_label(name) for name in shared_s])} share one pass over the images, "
        f"{duration(seconds)}: each one's time counts it, as if that model were trained alone."
    )


def describe_reliability(name: str, confidence: Confidence) -> str:
    """A reliability diagram for who cannot see it: its groups of like confidence."""
    reliability = confidence.shown
    groups = [f"{percent(said, 0)}: {percent(right, 0)}" for said, right in reliability.groups]
    return (
        f"Reliability of {inline_label(name)}. Mean confidence {AS_TRAINED} "
        f"{percent(confidence.trained.stated)}, {AS_SHOWN} {percent(reliability.stated)}; right "
        f"{percent(reliability.right)}. Confidence {AS_SHOWN}, and how many of those answers are "
        f"right: {', '.join(groups)}."
    )


def describe_extremes(name: str, best: tuple[str, float], worst: tuple[str, float]) -> str:
    """A model's best and worst class."""
    return (
        f"{inline_label(name)} knows {best[0]} best ({percent(best[1])} right) "
        f"and {worst[0]} least ({percent(worst[1])})."
    )


def describe_confused(pairs: Sequence[tuple[int, int, int]]) -> list[str]:
    """The most confused pairs, as (true, predicted, images)."""
    return [
        f"{CLASSES[true]} taken for {CLASSES[predicted]}: {count(images, 'image')}"
        for true, predicted, images in pairs
    ]


def describe_cell(true: int, predicted: int, images: int) -> str:
    """A confusion cell for screen readers."""
    return f"true {CLASSES[true]}, predicted {CLASSES[predicted]}: {count(images, 'image')}"


def describe_cell_heading(name: str, true: int, predicted: int) -> str:
    if true == predicted:
        return f"{LABELS[name]}: {CLASSES[true]}, and recognised"
    return f"{LABELS[name]}: {article(CLASSES[true])} taken for {article(CLASSES[predicted])}"


def describe_difference_cell(true: int, said: int, points: float) -> str:
    """A cell of the difference of two models for screen readers."""
    return f"true {CLASSES[true]}, predicted {CLASSES[said]}: {points:+.1f} points"


def describe_difference(first: str, second: str) -> str:
    return f"{inline_label(first)} minus {inline_label(second)}"


def describe_difference_images(first: str, second: str, true: int, said: int) -> str:
    """What is behind a cell of the difference."""
    return (
        f"{article(CLASSES[true]).capitalize()} that only one of {inline_label(first)} and "
        f"{inline_label(second)} takes for {article(CLASSES[said])}"
    )


def describe_part(first: str, second: str, part: str) -> str:
    """The images that both, one or neither of two models gets right."""
    one, two = inline_label(first), inline_label(second)
    return {
        "both": f"Both {one} and {two} are right",
        "first": f"{one} is right, {two} is wrong",
        "second": f"{two} is right, {one} is wrong",
        "neither": f"Neither {one} nor {two} is right",
    }[part]


def name_order(order: str, mistaken: bool) -> str:
    """A way to sort images.

    Args:
        mistaken: a model is wrong on some of them.
    """
    if order == "disputed":
        return "where models differ most"
    return "surest mistake" if mistaken else "surest answer"


def describe_page(page: int, pages: int) -> str:
    return f"Page {page:,} of {pages:,}"


def describe_gallery(at_hand: int, total: int) -> str:
    """Which test images can be shown, where these are not all."""
    if at_hand == total:
        return ""
    return (
        f"At hand are {at_hand:,} of the {total:,} test images: a sample, and some of every kind "
        f"of error."
    )


def describe_shown(images: int, at_hand: int, page: int, pages: int) -> str:
    """How many images a choice has against how many are at hand."""
    if not images:
        return "No test image is here."
    said = count(images, "test image")
    if at_hand < images:
        said += f", {at_hand:,} of them at hand"
    return f"{said}. {describe_page(page, pages)}." if pages > 1 else f"{said}."


def describe_overlap(first: str, second: str, overlap: Overlap) -> str:
    """The paired test of two of the four in words."""
    return word_overlap(inline_label(first), inline_label(second), overlap)


def word_overlap(one: str, two: str, overlap: Overlap) -> str:
    """The paired test of two models in words.

    Args:
        one, two: their names inside a sentence.
    """
    alone = overlap.only_first, overlap.only_second
    if not sum(alone):
        return f"{one} and {two} are right and wrong on the very same images."
    test = f"(McNemar's exact test, {p_value(overlap.p_value)})"
    ahead = one if alone[0] >= alone[1] else two
    among = f"of the {sum(alone):,} images that only one of the two gets right"
    if overlap.verdict:
        return (
            f"{ahead} is really better: {among} it has {max(alone):,}, more than chance explains "
            f"{test}."
        )
    if alone[0] == alone[1]:
        return f"No real difference: {among}, each has {alone[0]:,} {test}."
    return (
        f"No real difference: {among}, {ahead} has {max(alone):,}, which chance alone may explain "
        f"{test}."
    )


def describe_alone(name: str, images: int) -> str:
    return f"{inline_label(name)} alone is right: {count(images, 'image')}"


def describe_alone_images(name: str) -> str:
    return f"{inline_label(name)} alone is right"
