"""What a lesson shows, from figures to HTML and curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from demo import plots
from demo.lessons.figures import Runs
from demo.lessons.recorded import Spread
from demo.lessons.table import LESSONS, Lesson
from demo.templates import render
from demo.words import lessons as words
from trainer.recipe import JobSettings
from trainer.wording import percent

COLOURS = ("#0072b2", "#d55e00")
"""Of a lesson's two runs: Okabe and Ito's blue and vermilion."""


def draw_states(lesson: Lesson, states: Mapping[str, tuple[str, str]], runs: Runs | None) -> str:
    """A row a run: how far it is, and what it ended with.

    Args:
        states: run to its state in words, and what a link to its job holds, or nothing.
        runs: what they showed, once both have ended.
    """
    rows = []
    for (name, settings), colour in zip(lesson.runs.items(), COLOURS, strict=True):
        state, link = states[name]
        ends = ("", "")
        if runs is not None:
            ends = percent(runs[name].test_before), percent(runs[name].test_after)
        rows.append((words.label_run(name, settings), colour, state, *ends, link))
    return render("lesson_states.html", words=words, rows=rows)


def draw_result(
    name: str,
    runs: Runs,
    settings: Mapping[str, JobSettings],
    guess: str,
    spreads: Mapping[str, Spread],
) -> str:
    """What came out, whether it was guessed, why, and how it came out over the recorded seeds.

    Args:
        name: the lesson's.
        settings: what each run ran with.
        guess: what was guessed, or nothing.
    """
    return render(
        "lesson_result.html",
        words=words,
        outcome=words.describe_outcome(name, runs),
        guessed=words.describe_guess(name, runs, guess) if guess else "",
        measured=words.describe_measured(runs),
        why=words.TOLD[name].explain(runs, settings),
        seeds=words.describe_seeds(name, spreads),
    )


def draw_picks(chosen: Lesson) -> str:
    """A button a lesson; `data-choice` is its name."""
    choices = [(name, words.TOLD[name].title, name == chosen.name) for name in LESSONS]
    return render("lesson_picks.html", words=words, choices=choices)


def list_guesses(lesson: Lesson) -> list[tuple[str, str]]:
    """What can be guessed: (label, value) of each."""
    return [(label, key) for key, label in words.TOLD[lesson.name].guesses.items()]


def draw_said(said: str) -> str:
    """What a visitor must be told."""
    return render("estimate.html", said=said, wrong=True, setting="") if said else ""


def list_colours() -> dict[str, str]:
    """The label of every run of every lesson to its curve's colour."""
    return {
        words.label_run(run, settings): colour
        for lesson in LESSONS.values()
        for (run, settings), colour in zip(lesson.runs.items(), COLOURS, strict=True)
    }


def frame_runs(
    lesson: Lesson, points: Mapping[str, Sequence[tuple[int, float]]], x: str, scale: float = 1
) -> Any:
    """The curves of a lesson's runs."""
    labelled = {
        words.label_run(name, settings): [
            (at, round(scale * y, 3)) for at, y in points.get(name, ())
        ]
        for name, settings in lesson.runs.items()
    }
    return plots.frame_lines(labelled, x, words.CURVE)
