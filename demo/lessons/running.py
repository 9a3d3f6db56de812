"""Runs a lesson as jobs of its visitor, and finds them again by their settings."""

from collections.abc import Mapping, Sequence

import numpy as np

from demo.gallery import Gallery
from demo.jobs.jobs import Jobs
from demo.jobs.pictures import TaughtPicture
from demo.jobs.refusal import Refused
from demo.jobs.store import DONE, QUEUED, RUNNING, Job
from demo.lessons.table import TAUGHT, Lesson
from trainer.checkpoint import Predictions
from trainer.data import evaluated_rows, load_sample_rows
from trainer.recipe import CLASSES, JobSettings, Settings

Recipes = Mapping[str, Settings]
"""Name of each of the four models to what it was trained with."""
Picture = tuple[str, bytes]
"""A class, and a PNG file that shows it."""


def find_runs(lesson: Lesson, recipes: Recipes, mine: Sequence[Job]) -> dict[str, Job]:
    """The newest runs of a lesson that have one seed, or as many of them as there are.

    Args:
        mine: the visitor's jobs, newest first.
    """
    wanted = {name: lesson.settings(name, recipes) for name in lesson.runs}
    seeds: dict[int, dict[str, Job]] = {}
    for job in mine:
        if job.settings is None:
            continue
        seed = job.settings.seed
        for name, settings in wanted.items():
            if job.settings == settings.changed(seed=seed):
                seeds.setdefault(seed, {}).setdefault(name, job)
    found = max(seeds.values(), key=len, default={})
    return {name: found[name] for name in lesson.runs if name in found}


def plan_runs(
    lesson: Lesson, recipes: Recipes, mine: Sequence[Job], seed: int
) -> list[JobSettings]:
    """What must run for a lesson: both of its runs, or where another lesson ran one of them, the
    other under the same seed.

    Args:
        seed: for both.
    """
    found = find_runs(lesson, recipes, mine)
    missing = [name for name in lesson.runs if name not in found]
    for job in found.values() if lesson.taught is None else ():
        if missing and job.settings is not None and job.state in (QUEUED, RUNNING, DONE):
            return [lesson.settings(name, recipes, job.settings.seed) for name in missing]
    return [lesson.settings(name, recipes, seed) for name in lesson.runs]


def start_runs(
    jobs: Jobs,
    wanted: Sequence[JobSettings],
    token: str,
    pictures: Sequence[Picture] = (),
    sender: str = "",
    account: str = "",
) -> list[Job]:
    """Queues runs, all or none.

    Args:
        pictures: what they are taught. Those that the visitor has not taught are gone again
            afterwards: the runs have copies.
        sender, account: as for `Jobs.start`.

    Raises:
        Refused: there is no room for all.
    """
    before = {one.id for one in jobs.pictures.of_owner(token)}
    contents = {png for _, png in pictures}
    started: list[Job] = []
    try:
        for label, png in pictures:
            jobs.pictures.add(token, label, png)
        ids = [one.id for one in _find_pictures(jobs, token, contents)]
        for settings in wanted:
            started.append(jobs.start(settings, token, ids, sender, account=account))
    except Refused:
        for job in started:
            jobs.delete(job.id, account or token)
        raise
    finally:
        for one in _find_pictures(jobs, token, contents):
            if one.id not in before:
                jobs.pictures.remove(token, one.id)
    return started


def list_mistaken(
    gallery: Gallery, predictions: Predictions, lesson: Lesson, full_data: bool
) -> list[tuple[str, np.ndarray]]:
    """What a lesson teaches that comes with the app: its start's surest mistakes of one kind, each
    its class and pixels `(3, 32, 32)` uint8. None that jobs are measured on is among them.

    Args:
        predictions: the start's.
        full_data: jobs see the full data set, not the sample.
    """
    if lesson.taught is None:
        return []
    label, said = CLASSES.index(lesson.taught.label), CLASSES.index(lesson.taught.said)
    top = predictions.probabilities.max(dim=1)
    mistaken = (predictions.labels == label) & (top.indices == said)
    evaluated = next(iter(lesson.runs.values())).evaluated
    measured = evaluated_rows(gallery.total, evaluated) if full_data else load_sample_rows()
    mistaken[measured] = False
    rows = gallery.at_hand(mistaken.nonzero().flatten())
    surest = rows[top.values[rows].argsort(descending=True, stable=True)]
    return [(lesson.taught.label, gallery.image(int(row))) for row in surest[:TAUGHT]]


def _find_pictures(jobs: Jobs, token: str, contents: set[bytes]) -> list[TaughtPicture]:
    """Those of a visitor's pictures that have one of these contents."""
    return [one for one in jobs.pictures.of_owner(token) if one.path.read_bytes() in contents]
