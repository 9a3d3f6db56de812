"""The four lessons: two runs each, equal but for one thing, and what that thing should do.

Everything a lesson runs with is declared here alone. `python -m bench.lessons` measures that it
shows what it claims; a lesson that does not is changed here or taken out.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from demo.jobs.limits import EVALUATED
from demo.lessons.figures import Runs
from trainer.recipe import BACKBONE_OF, CLASSES, NATIVE_PX, PLAIN_BACKBONE, JobSettings, Settings

GUESSING = math.log(len(CLASSES))
"""Loss in nats of who gives every class the same probability."""
TAUGHT = 5
"""Pictures of the lesson on forgetting, where the visitor has taught none."""


@dataclass(frozen=True)
class Taught:
    """What the pictures that a lesson teaches show, and what its start takes them for."""

    label: str
    said: str


@dataclass(frozen=True)
class Lesson:
    """Two runs, and what is claimed of them."""

    name: str
    """Also in links."""
    runs: Mapping[str, JobSettings]
    """Name of each of the two runs to its settings. A visitor's own differ in the seed."""
    effects: Mapping[str, Callable[[Runs], float]]
    """What the lesson claims: figures that are above zero where it holds."""
    taught: Taught | None = None
    """The pictures that both runs are taught, in a lesson that teaches any."""

    def settings(self, run: str, recipes: Mapping[str, Settings], seed: int = 0) -> JobSettings:
        """A run's settings at the input size of its start.

        Args:
            recipes: name of each of the four models to what it was trained with.
        """
        settings = self.runs[run].changed(seed=seed)
        own = recipes.get(settings.start)
        return settings if own is None else settings.changed(image_px=own.image_px)


LAST, ALL, SGD, ADAM, RIGHT, HIGH, ALONE, MIXED = (
    "last", "all", "sgd", "adam", "right", "high", "alone", "mixed",
)  # fmt: skip
"""Names of runs."""
FROZEN, OPTIMIZER, RATE, FORGETTING = "frozen", "optimizer", "rate", "forgetting"
"""Names of lessons."""

_ALL_LAYERS = JobSettings(
    start=PLAIN_BACKBONE, trained="all", optimizer="sgd", learning_rate=0.003, batch_size=32,
    image_px=NATIVE_PX, images=1000, epochs=3, evaluated=EVALUATED,
)  # fmt: skip
"""What three of the lessons change one thing of, so that they share this run. At the images' own
size it takes seconds, also where the four models see them larger."""


def _gap(first: str, second: str) -> Callable[[Runs], float]:
    """How far the first run ends above the second, -1..1."""
    return lambda runs: runs[first].test_after - runs[second].test_after


_FORGETTING = JobSettings(
    start=BACKBONE_OF, trained="last_layer", optimizer="sgd", learning_rate=0.003, batch_size=20,
    images=0, epochs=5, evaluated=EVALUATED,
)  # fmt: skip

_LESSONS = (
    Lesson(
        FROZEN,
        {LAST: _ALL_LAYERS.changed(trained="last_layer"), ALL: _ALL_LAYERS},
        {"unfrozen": _gap(ALL, LAST)},
    ),
    Lesson(
        OPTIMIZER,
        {SGD: _ALL_LAYERS, ADAM: _ALL_LAYERS.changed(optimizer="adam")},
        {
            "sgd": _gap(SGD, ADAM),
            "steps": lambda runs: runs[ADAM].step_size / runs[SGD].step_size - 1,
        },
    ),
    Lesson(
        RATE,
        {RIGHT: _ALL_LAYERS, HIGH: _ALL_LAYERS.changed(learning_rate=0.03)},
        {
            "lower": _gap(RIGHT, HIGH),
            "diverged": lambda runs: runs[HIGH].worst_loss - GUESSING,
        },
    ),
    Lesson(
        FORGETTING,
        {ALONE: _FORGETTING, MIXED: _FORGETTING.changed(images=500)},
        {"forgot": lambda runs: -runs[ALONE].change, "held": _gap(MIXED, ALONE)},
        Taught("cat", "dog"),
    ),
)
LESSONS = {lesson.name: lesson for lesson in _LESSONS}
"""By name, in the order in which they are shown."""
