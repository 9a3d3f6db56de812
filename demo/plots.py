"""Arrays to figures: Matplotlib through `Figure` for matrices, data frames for native plots."""

import functools
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from demo import text
from trainer.events import EpochFinished, Event, StartEvaluated, StepSummary
from trainer.recipe import CLASSES

if TYPE_CHECKING:
    import pandas

VALUE = "value"
_INK = "#123456"
"""Drawn with, then replaced by CSS's currentColor, so that text follows the page's theme."""
_BLUE, _ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
"""Okabe and Ito's blue and vermilion, told apart by colour-blind readers too."""


def frame_curves(records: Mapping[str, Mapping[str, Any]], key: str) -> "pandas.DataFrame":
    """One row a model and epoch: `Model`, `Epoch` and the history's `key` as `VALUE`."""
    import pandas

    scale = 100 if key.endswith("accuracy") else 1
    return pandas.DataFrame(
        [
            {text.MODEL: text.LABELS[name], text.EPOCH: epoch["epoch"], VALUE: scale * epoch[key]}
            for name, record in records.items()
            for epoch in record["history"]
        ]
    )


def frame_steps(events: Sequence[Event]) -> "pandas.DataFrame | None":
    """Train loss against steps: `Step` and `VALUE`; None before there are two."""
    points = [
        (event.step, round(event.train_loss, 3))
        for event in events
        if isinstance(event, StepSummary)
    ]
    return _frame(points, text.STEP)


def frame_epochs(events: Sequence[Event]) -> "pandas.DataFrame | None":
    """Validation accuracy in percent against epochs, the start as epoch 0: `Epoch` and `VALUE`;
    None before there are two."""
    points = [
        (
            event.epoch if isinstance(event, EpochFinished) else 0,
            round(100 * event.validation_accuracy, 1),
        )
        for event in events
        if isinstance(event, (StartEvaluated, EpochFinished))
    ]
    return _frame(points, text.EPOCH)


def _frame(points: Sequence[tuple[float, float]], x: str) -> "pandas.DataFrame | None":
    import pandas

    # A line needs two, and a plot that begins empty keeps the margins and the kind of an empty one.
    if len(points) < 2:
        return None
    return pandas.DataFrame(points, columns=[x, VALUE])


def plot_confusion(share: np.ndarray, colour: np.ndarray, strength: np.ndarray) -> str:
    """A confusion matrix as inline SVG that takes the page's text colour.

    Args:
        share: `(true, predicted)` of the true class, 0..1; drawn as nothing but colour.
        colour: `right` or `wrong`, `(10, 10)`.
        strength: opacity, 0..1, `(10, 10)`.
    """
    pixels = np.zeros((*share.shape, 4))
    pixels[..., :3] = np.where(
        (colour == "right")[..., None], np.array(_BLUE) / 255, np.array(_ORANGE) / 255
    )
    pixels[..., 3] = strength
    return _plot_cells(pixels.tobytes(), None)


def plot_difference(first: np.ndarray, second: np.ndarray) -> str:
    """The first model's shares minus the second's, in percentage points, as inline SVG.

    Args:
        first: `(true, predicted)` of the true class, 0..1.
        second: the same of the other model.
    """
    points = 100 * (first - second)
    pixels = np.zeros((*points.shape, 4))
    pixels[..., :3] = np.where((points > 0)[..., None], np.array(_BLUE), np.array(_ORANGE)) / 255
    pixels[..., 3] = np.abs(points) / max(float(np.abs(points).max()), 1e-9)
    return _plot_cells(pixels.tobytes(), tuple(points.round(1).flatten().tolist()))


@functools.lru_cache(maxsize=64)
def _plot_cells(rgba: bytes, numbers: tuple[float, ...] | None) -> str:
    """Ten by ten coloured cells `(10, 10, 4)` float64, with a number each or none."""
    # A second of importing, spared to those who never open the tab.
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "quartet",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    side = len(CLASSES)
    pixels = np.frombuffer(rgba).reshape(side, side, 4)
    size, font = (4.0, 10.0) if numbers is None else (6.4, 9.0)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(size, size), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.pcolormesh(pixels, rasterized=False)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        middles = np.arange(side) + 0.5
        axes.set_xticks(middles, CLASSES, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(middles, CLASSES)
        axes.tick_params(length=0, labelsize=font)
        axes.spines[:].set_alpha(0.3)
        if numbers is not None:
            axes.set_xlabel("predicted", fontsize=font)
            axes.set_ylabel("true", fontsize=font)
            for index, number in enumerate(numbers):
                if number:
                    axes.text(
                        index % side + 0.5, index // side + 0.5, f"{number:+.1f}",
                        ha="center", va="center", fontsize=font - 1.5,
                    )  # fmt: skip
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")
