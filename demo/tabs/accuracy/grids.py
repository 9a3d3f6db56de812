"""Confusion matrices as tables of buttons, one tab stop each, the arrow keys within."""

from typing import Any

import numpy as np

from demo import plots
from demo.tabs.accuracy.view import PERCENT
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import LABELS
from trainer.recipe import CLASSES


def draw_matrix(
    counts: np.ndarray, share: np.ndarray, counting: str, caption: str, chosen: tuple[int, int]
) -> str:
    """One confusion matrix `(true, predicted)`; a choice is `true,predicted`.

    Args:
        counts: images of each cell.
        share: the same in shares of the true class, 0..1.
        counting: `percent` of the true class, or `count` of images.
        chosen: the cell to mark.
    """
    colour, strength = plots.shade(share)

    def describe(true: int, said: int) -> tuple[str, str]:
        images = int(counts[true, said])
        shown = f"{100 * share[true, said]:.1f}" if counting == PERCENT else f"{images}"
        return words.describe_cell(true, said, images), shown

    return _draw(caption, colour, strength, describe, chosen)


def draw_overview(name: str, counts: np.ndarray, share: np.ndarray) -> str:
    """A small one without figures; a choice is `name,true,predicted`."""
    colour, strength = plots.shade(share)

    def describe(true: int, said: int) -> tuple[str, str]:
        return words.describe_cell(true, said, int(counts[true, said])), ""

    return _draw(LABELS[name], colour, strength, describe, None, f"{name},")


def draw_difference(
    first: np.ndarray, second: np.ndarray, caption: str, chosen: tuple[int, int] | None
) -> str:
    """The first model's shares minus the second's, each `(true, predicted)` in 0..1, in percentage
    points; a choice is `true,predicted`."""
    points = 100 * (first - second)
    colour = np.where(points > 0, "right", "wrong")
    strength = np.abs(points) / max(float(np.abs(points).max()), 1e-9)

    def describe(true: int, said: int) -> tuple[str, str]:
        value = round(float(points[true, said]), 1)
        return words.describe_difference_cell(true, said, value), f"{value:+.1f}" if value else ""

    return _draw(caption, colour, strength, describe, chosen)


def _draw(
    caption: str,
    colour: np.ndarray,
    strength: np.ndarray,
    describe: Any,
    chosen: tuple[int, int] | None,
    prefix: str = "",
) -> str:
    """
    Args:
        describe: true and predicted class to what is said and what is shown of a cell.
        prefix: of every choice; where there is one the table is a small one.
    """
    stop = chosen or (0, 0)

    def describe_cell(true: int, said: int) -> dict[str, Any]:
        label, shown = describe(true, said)
        return {
            "choice": f"{prefix}{true},{said}",
            "colour": colour[true, said],
            "strength": strength[true, said],
            "pressed": chosen == (true, said),
            "stop": stop == (true, said),
            "label": label,
            "shown": shown,
        }

    rows = [
        (name, [describe_cell(true, said) for said in range(len(CLASSES))])
        for true, name in enumerate(CLASSES)
    ]
    return render("matrix.html", caption=caption, classes=CLASSES, rows=rows, small=bool(prefix))
