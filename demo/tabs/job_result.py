"""What a job changed, as HTML: its model beside the one it started from."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from demo import plots
from demo.comparison import NOT_SHOWN, Comparison
from demo.tables import list_changes
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import finetune as words
from demo.words.outcome import describe_outcome
from trainer.recipe import CLASSES
from trainer.wording import article

CHANGED_SHOWN = 12
"""Images of each kind at most."""

FindImage = Callable[[int], np.ndarray | None]
"""A row of the full test split to its image `(3, 32, 32)` uint8, None where it is not at hand."""


class Drawn(NamedTuple):
    """What is shown of a comparison; of none, nothing."""

    summary: str = ""
    """HTML."""
    classes: Sequence[list[Any]] = ()
    """A row a class, as `words.CHANGE_COLUMNS` name them; none where there is no before."""
    difference: str = ""
    """HTML: after minus before."""
    changed: str = ""
    """HTML: images that changed sides."""


def draw_comparison(comparison: Comparison, find_image: FindImage) -> Drawn:
    """Before and after: accuracy, per class, matrices' difference, and images that changed."""
    shares = comparison.shares
    if shares is None:
        return Drawn(draw_summary(comparison))
    changed = [list_changed(comparison, to_right, find_image) for to_right in (True, False)]
    return Drawn(
        draw_summary(comparison),
        list_changes(*shares),
        render(
            "difference.html",
            svg=plots.plot_difference(shares[1], shares[0]),
            note=words.CHANGE_HINT,
            exports=(),
            query="",
        ),
        render("changed.html", article=article, changed=changed),
    )


def draw_summary(comparison: Comparison, heading: str = "") -> str:
    """What came of it in a sentence, and the figures that decide it.

    Args:
        heading: above a summary that tells no more than the accuracy besides.
    """
    before, after, labels = comparison.before, comparison.after, comparison.labels
    right = float((after == labels).double().mean())
    outcome = words.describe_after(right, len(after))
    details = []
    if before is not None and comparison.overlap is not None:
        was = float((before == labels).double().mean())
        outcome = describe_outcome(comparison.overlap, comparison.shifts)
        details.append(words.describe_change(was, right, len(after)))
        if not heading:
            details.append(words.describe_change_overlap(comparison.overlap))
    return render("comparison.html", heading=heading, outcome=outcome, details=details)


def list_changed(
    comparison: Comparison, to_right: bool, find_image: FindImage
) -> tuple[str, list[tuple[str, str, str, str]]]:
    """A heading, and the first images that changed sides: source, class, before, after."""
    assert comparison.before is not None
    positions = comparison.changed(to_right).tolist()
    images: list[tuple[str, str, str, str]] = []
    for position in positions:
        row = int(comparison.rows[position])
        pixels = None if row == NOT_SHOWN else find_image(row)
        if pixels is None:
            continue
        label, was, now = (
            CLASSES[int(values[position])]
            for values in (comparison.labels, comparison.before, comparison.after)
        )
        images.append((embed(encode_pixels(pixels)), label, was, now))
        if len(images) == CHANGED_SHOWN:
            break
    return words.describe_changed(len(positions), len(images), to_right), images
