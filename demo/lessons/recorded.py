"""What was recorded of the lessons over several seeds, by `python -m bench.lessons`."""

import statistics
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from demo.jobs.backend import ROOT
from demo.lessons.figures import RunFigures, Runs
from demo.lessons.table import LESSONS, Lesson
from trainer.record import Part

RECORDED = ROOT / "docs" / "lessons.json"


@dataclass(frozen=True)
class Spread:
    """One effect of a lesson over the recorded seeds."""

    values: tuple[float, ...]

    @property
    def held(self) -> int:
        """Seeds in which it is as the lesson claims."""
        return sum(value > 0 for value in self.values)


class RecordedSeed(Part):
    """A lesson's runs under one seed."""

    seed: int
    runs: dict[str, RunFigures]
    seconds: float
    """From asking for the first run to the end of the last, one after the other."""


class Recorded(Part):
    """The whole file, but for where it was measured."""

    weights_sha256: str
    """Of the model whose backbone all runs begin with."""
    lessons: dict[str, tuple[RecordedSeed, ...]]

    def spreads(self, lesson: Lesson) -> dict[str, Spread]:
        """Each effect of a lesson, by its name."""
        seeds = self.lessons[lesson.name]
        return {
            name: Spread(tuple(measure(one.runs) for one in seeds))
            for name, measure in lesson.effects.items()
        }

    def seconds(self, lesson: Lesson) -> float:
        """What its runs took, one after the other: the median of the seeds."""
        return statistics.median(one.seconds for one in self.lessons[lesson.name])

    def first(self, lesson: Lesson) -> Runs:
        """The runs that are shown: those of the first seed."""
        return self.lessons[lesson.name][0].runs


def load_recorded(weights_sha256: str, path: Path = RECORDED) -> Recorded | None:
    """What was recorded with the models on screen, or None where that is nothing.

    Args:
        weights_sha256: of their model whose backbone the lessons begin with.
    """
    try:
        recorded = Recorded.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    whole = recorded.weights_sha256 == weights_sha256 and recorded.lessons.keys() == LESSONS.keys()
    return recorded if whole else None
