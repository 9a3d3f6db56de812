"""Arrays to figures: Matplotlib through `Figure` for files, data frames for native plots."""

import functools
import io
import math
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from demo.words.accuracy import MODEL, PREDICTED, TRUE
from demo.words.common import EPOCH, LABELS
from trainer.recipe import CLASSES
from trainer.record import Record

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALUE = "value"
_INK = "#123456"
"""Drawn with, then replaced by CSS's currentColor, so that text follows the page's theme."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "quartet",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
}
DRAWING = threading.Lock()
"""Matplotlib's settings are one for all threads: who sets them for a while must be alone."""
_BLUE, _ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
"""Okabe and Ito's blue and vermilion, told apart by colour-blind readers too."""


def frame_curves(records: Mapping[str, Record], figure: str) -> "pandas.DataFrame":
    """One row a model and epoch: `Model`, `Epoch`, and the `Epoch.<figure>` as `VALUE`."""
    import pandas

    scale = 100 if figure.endswith("accuracy") else 1
    return pandas.DataFrame(
        [
            {MODEL: LABELS[name], EPOCH: epoch.epoch, VALUE: scale * getattr(epoch, figure)}
            for name, record in records.items()
            for epoch in record.history
        ]
    )


Line = Sequence[tuple[float, float]]
"""Points x, y."""


def frame_lines(lines: Mapping[str, Line], x: str, of: str) -> "pandas.DataFrame | None":
    """Curves as columns `x`, `VALUE` and `of`, which names the curve. A line needs two points; None
    where none has: a plot that begins empty keeps the margins and the kind of an empty one. It
    keeps the colours, too, that it begins with: a curve without points has a row without a value.
    """
    import pandas

    first = next((line[0][0] for line in lines.values() if len(line) > 1), None)
    if first is None:
        return None
    rows = [
        (*point, name) for name, line in lines.items() for point in (line or [(first, math.nan)])
    ]
    return pandas.DataFrame(rows, columns=[x, VALUE, of])


def shade(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How confusion cells are coloured: right ones by their share, errors by their share of the
    largest error, so that errors show beside a diagonal many times as large.

    Args:
        share: `(10, 10)` of the true class, 0..1.

    Returns:
        `right` or `wrong`, and the strength 0..1, each `(10, 10)`.
    """
    diagonal = np.eye(len(share), dtype=bool)
    largest_error = max(float(share[~diagonal].max()), 1e-9)
    return (
        np.where(diagonal, "right", "wrong"),
        np.where(diagonal, share, share / largest_error),
    )


def plot_difference(first: np.ndarray, second: np.ndarray) -> Markup:
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
def _plot_cells(rgba: bytes, numbers: tuple[float, ...]) -> Markup:
    """Ten by ten coloured cells `(10, 10, 4)` float64, with a number each."""
    # A second of importing, spared to those who never open the tab.
    import matplotlib
    from matplotlib.figure import Figure

    side = len(CLASSES)
    size, font = 6.4, 9.0
    with DRAWING, matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(size, size), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.pcolormesh(np.frombuffer(rgba).reshape(side, side, 4), rasterized=False)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        middles = np.arange(side) + 0.5
        axes.set_xticks(middles, CLASSES, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(middles, CLASSES)
        axes.tick_params(length=0, labelsize=font)
        axes.spines[:].set_alpha(0.3)
        axes.set_xlabel(PREDICTED, fontsize=font)
        axes.set_ylabel(TRUE, fontsize=font)
        _write_numbers(axes, numbers, font - 1.5)
        return _to_markup(figure)


def _to_markup(figure: "Figure") -> Markup:
    """A figure as inline SVG. Ours alone: nothing of a visitor is in it."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return Markup(svg[svg.index("<svg") :].replace(_INK, "currentColor"))


def plot_lines(
    panels: Mapping[str, Mapping[str, Line]], colours: Mapping[str, str], x: str
) -> Markup:
    """Panels side by side, each with the same curves of another figure, as inline SVG.

    Args:
        panels: title of each to a curve's label to its points.
        colours: a curve's label to its colour.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with DRAWING, matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
        every = figure.subplots(1, len(panels), squeeze=False).flatten()
        for axes, (title, lines) in zip(every, panels.items(), strict=True):
            for label, points in lines.items():
                across, up = zip(*points, strict=True) if points else ((), ())
                axes.plot(across, up, marker="o", markersize=3, color=colours[label], label=label)
            axes.set_xlabel(x)
            axes.set_ylabel(title)
            axes.grid(alpha=0.3)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles = every[0].get_lines()
        figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
        return _to_markup(figure)


def stand_alone(svg: Markup) -> bytes:
    """Inline SVG as a file of its own, dark on white."""
    coloured = str(svg).replace("currentColor", "#1f2937")
    return coloured.replace("<svg ", '<svg style="background:#fff" ', 1).encode()


def _write_numbers(axes: "Axes", numbers: Sequence[float], font: float) -> None:
    """A signed number in every cell that has one."""
    side = len(CLASSES)
    for index, number in enumerate(numbers):
        if number:
            where = index % side + 0.5, index // side + 0.5
            axes.text(*where, f"{number:+.1f}", ha="center", va="center", fontsize=font)
