"""The list of a visitor's jobs: a button a job, and one a column, which sorts by it."""

from collections.abc import Sequence

from demo.jobs.store import Job
from demo.templates import render
from demo.words import finetune as words
from demo.words.common import describe_job, start_label
from trainer.declared import tell_choice
from trainer.wording import percent

BEST_FIRST = "-accuracy"
ORDERS = tuple(f"{sign}{column}" for column in words.JOB_COLUMNS for sign in ("-", ""))
"""What the jobs can be sorted by: a column, the largest first where a minus stands before it."""

Listed = tuple[Job, float | None]
"""A job, and the test accuracy of its model, 0..1."""


def draw_jobs(listed: Sequence[Listed], shown: str, order: str) -> str:
    """The list; `data-choice` is a job's id, or one of `ORDERS`.

    Args:
        shown: id of the job on screen.
        order: one of `ORDERS`.
    """
    chosen, downwards = order.removeprefix("-"), order.startswith("-")
    columns = []
    for column, label in words.JOB_COLUMNS.items():
        direction = ("descending" if downwards else "ascending") if column == chosen else "none"
        sign = "" if column == chosen and downwards else "-"
        columns.append((label, f"{sign}{column}", direction))
    ranked = sorted(listed, key=lambda one: _sort_value(one, chosen), reverse=downwards)
    rows = [
        (job.id, describe_job(job.id), job.id == shown, list_cells(job, accuracy))
        for job, accuracy in ranked
    ]
    return render("jobs.html", words=words, columns=columns, rows=rows)


def list_cells(job: Job, accuracy: float | None) -> list[str]:
    """A job's row, a cell for each of `JOB_COLUMNS`."""
    measured = "" if accuracy is None else percent(accuracy)
    if (settings := job.settings) is None:
        return [job.state, measured, *[""] * (len(words.JOB_COLUMNS) - 2)]
    return [
        job.state,
        measured,
        start_label(settings.start),
        tell_choice(settings, "trained"),
        tell_choice(settings, "optimizer"),
        f"{settings.learning_rate:g}",
        words.describe_length(settings.epochs, settings.steps),
        f"{settings.images:,}",
    ]


def _sort_value(listed: Listed, column: str) -> tuple[float, str]:
    job, accuracy = listed
    settings = job.settings
    if column == "accuracy":
        return accuracy or 0.0, ""
    if column == "state" or settings is None:
        return 0.0, job.state
    if column == "length":
        return settings.epochs if settings.steps is None else settings.steps, ""
    value = getattr(settings, column)
    return (0.0, value) if isinstance(value, str) else (value, "")
