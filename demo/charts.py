"""Line charts as inline SVG that follows the page's theme: numbers to places in a box."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from demo.templates import render

WIDTH, HEIGHT = 400, 240
LEFT, TOP, RIGHT, BOTTOM = 50, 8, 10, 40
"""Units of the picture between its edges and the chart's, for what is written there."""
TICKS = 5
"""About so many on an axis of numbers."""


@dataclass(frozen=True)
class Line:
    """One of a chart's lines."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    texts: Sequence[str]
    """What each point says."""


@dataclass(frozen=True)
class Axis:
    """A scale, and what is written along it."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False
    """True where equal steps are equal factors; the ends are then above 0."""

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / (high - low)


def draw_chart(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    said: str,
    title: str = "",
    marked: float | None = None,
) -> str:
    """A chart. A line that covers an earlier one is dashed, so that both are seen.

    Args:
        said: the chart in words, for who cannot see it.
        title: stands above.
        marked: where on the x axis an upright line stands.
    """

    def across(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * x.place(value), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y.place(value), 1)

    drawn: list[dict[str, object]] = []
    for line in lines:
        places = [(across(one), down(other)) for one, other in line.points]
        covers = any(places == earlier["places"] for earlier in drawn)
        drawn.append(
            {
                "colour": line.colour,
                "places": places,
                "texts": [f"{line.label}: {text}" if line.label else text for text in line.texts],
                "covers": covers,
            }
        )
    return render(
        "chart.html",
        width=WIDTH, height=HEIGHT,
        left=LEFT, top=TOP, right=WIDTH - RIGHT, bottom=HEIGHT - BOTTOM,
        title=title,
        said=said,
        lines=drawn,
        x_title=x.title, y_title=y.title,
        x_ticks=[(across(value), label) for value, label in x.ticks],
        y_ticks=[(down(value), label) for value, label in y.ticks],
        marked=None if marked is None else across(marked),
    )  # fmt: skip


def span(title: str, values: Sequence[float], unit: float = 1.0, *, whole: bool = False) -> Axis:
    """An axis of round numbers around values.

    Args:
        unit: what a tick's number is multiplied by before it is written.
        whole: from 0 to 1 at least.
    """
    low, high = min(values), max(values)
    if whole:
        low, high = min(low, 0.0), max(high, 1.0)
    step = _round_up((high - low) / TICKS or 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = [(index * step, f"{index * step * unit:g}") for index in range(first, last + 1)]
    return Axis(title, first * step, last * step, ticks)


def span_decades(title: str, values: Sequence[float], unit: float = 1.0) -> Axis:
    """An axis of powers of ten around values above 0.

    Args:
        unit: what a tick's number is multiplied by before it is written.
    """
    first = math.floor(math.log10(min(values)) + 1e-9)
    last = max(math.ceil(math.log10(max(values)) - 1e-9), first + 1)
    ticks = [(10.0**power, f"{10.0**power * unit:g}") for power in range(first, last + 1)]
    return Axis(title, 10.0**first, 10.0**last, ticks, log=True)


def _round_up(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
