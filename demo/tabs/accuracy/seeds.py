"""Runs under several seeds: a strip of points a recipe, and what they say of each pair."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from demo.faults import explain
from demo.models import Models
from demo.tabs.shared import create_html
from demo.templates import render
from demo.words import seeds as words
from demo.words.common import LABELS
from trainer.palette import COLOURS
from trainer.record import Records
from trainer.seeds import Spread, find_levels
from trainer.wording import percent

MARGIN = 4.0
"""Percent of a strip's width left free at each end, so that no point is cut."""
POINT = 3.5
"""Percent of a strip's width that a point takes on a phone."""
MIDDLE, LEVEL = 50, 25
"""Percent of a strip's height: where points lie, and how far off those that would cover others."""


def draw_seeds(models: Models) -> None:
    """Draws the part; nothing at all where there are no such runs."""
    if models.runs_fault is not None:
        create_html(render("faults.html", faults=[explain(models.runs_fault)]))
    if models.runs:
        gr.Markdown(words.HEADING)
        create_html(render_seeds(models), elem_id="seeds")


def render_seeds(models: Models) -> str:
    """The part's HTML."""
    groups = [_describe_group(group, models) for group in models.runs.grouped()]
    shipped = words.describe_shipped(list(models.records.values()))
    return render("seeds.html", hint=f"{words.HINT} {shipped}", groups=groups)


def _describe_group(group: Sequence[Spread], models: Models) -> dict[str, Any]:
    every = [value for spread in group for value in spread.accuracies]
    low, high = find_scale(every)

    def place(value: float) -> float:
        """Percent of the strip's width."""
        return round(MARGIN + (100 - 2 * MARGIN) * (value - low) / (high - low), 2)

    return {
        "heading": words.describe_group(group),
        "low": percent(low),
        "high": percent(high),
        "rows": [_describe_row(spread, models.records, place) for spread in group],
        "verdict": _tell_better(group, models),
    }


def _tell_better(group: Sequence[Spread], models: Models) -> str:
    """Which of a pair is better; nothing of runs that are not those of the models on screen."""
    names = [spread.recipe for spread in group]
    shown = all(spread.preset == models.records[spread.recipe].recipe.preset for spread in group)
    if len(names) != 2 or not shown or not models.predictions.keys() >= set(names):
        return ""
    _, evidence = models.compare(names[0], names[1])
    return words.describe_evidence(names[0], names[1], evidence)


def _describe_row(
    spread: Spread, records: Records, place: Callable[[float], float]
) -> dict[str, Any]:
    said = [words.describe_run(run.seed, run.test_accuracy) for run in spread.runs]
    places = [place(run.test_accuracy) for run in spread.runs]
    levels = find_levels(places, POINT)
    shipped = records[spread.recipe].weights_sha256
    return {
        "label": LABELS[spread.recipe],
        "colour": COLOURS[spread.recipe],
        "figures": words.describe_spread(spread),
        "alt": "; ".join(said),
        "mean": place(spread.mean),
        "points": [
            (x, MIDDLE + LEVEL * level, text, run.weights_sha256 == shipped)
            for x, level, text, run in zip(places, levels, said, spread.runs, strict=True)
        ],
    }


def find_scale(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a scale that holds all values, fractions, in whole tenths of a percent; never
    equal."""
    low, high = math.floor(1000 * min(values)), math.ceil(1000 * max(values))
    return low / 1000, max(high, low + 1) / 1000
