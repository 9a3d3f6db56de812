"""How long a job will take, by the last one of its kind."""

import math
from dataclasses import dataclass

from demo.jobs.progress import Progress
from trainer.recipe import JobSettings


@dataclass(frozen=True)
class Pace:
    """What a job of some kind took here."""

    images_per_s: float
    """While training."""
    evaluation_s: float
    """After each epoch."""
    rest_s: float
    """Once: loading, measuring the start, saving."""


@dataclass(frozen=True)
class Estimate:
    """What a job would take."""

    seen: int
    """Images it trains on, repeats counted."""
    seconds: float | None
    """None where no such job was measured yet."""
    fits: bool
    """False where it would be ended before it is done."""
    fitting_images: int | None
    """Where it does not fit: training images with which it would; None where none do."""


def measure_pace(progress: Progress) -> Pace | None:
    """What a job took, or None where it did not come far enough to tell."""
    summary, finished = progress.summary, progress.finished
    if summary is None or finished is None or not summary.images_per_s:
        return None
    spent_s = finished.train_s + progress.epochs * progress.evaluation_s
    return Pace(summary.images_per_s, progress.evaluation_s, max(0.0, finished.seconds - spent_s))


def estimate(
    settings: JobSettings,
    images_at_hand: int,
    pictures: int,
    pace: Pace | None,
    limit_s: float,
) -> Estimate:
    """How long a job would take.

    Args:
        images_at_hand: training images that there are to draw from.
        pictures: of one's own.
        limit_s: the time a job has.
    """
    own = pictures * settings.own_repeats
    images = min(settings.images, images_at_hand) + own
    seen, epochs = images * settings.epochs, settings.epochs
    if settings.steps is not None:
        seen = settings.steps * min(settings.batch_size, max(images, 1))
        epochs = math.ceil(seen / max(images, 1))
    if pace is None:
        return Estimate(seen, None, True, None)
    seconds = seen / pace.images_per_s + epochs * pace.evaluation_s + pace.rest_s
    if seconds <= limit_s:
        return Estimate(seen, seconds, True, None)
    fitting = None
    if settings.steps is None:
        free_s = limit_s - epochs * pace.evaluation_s - pace.rest_s
        fitting = _round_down(int(free_s * pace.images_per_s / epochs) - own)
    return Estimate(seen, seconds, False, fitting)


def _round_down(images: int) -> int | None:
    """To two digits; None where nothing is left."""
    if images < 1:
        return None
    unit = int(10 ** max(0, len(str(images)) - 2))
    return images // unit * unit
