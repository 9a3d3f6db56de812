"""Figures of a lesson's run as one would leave them, without a run."""

from typing import Any

from demo.lessons.figures import RunFigures
from trainer.recipe import CLASSES


def build_run(
    after: float,
    before: float = 0.1,
    losses: tuple[float, ...] = (2.0, 1.0),
    step_size: float = 0.01,
    leaning: str = "",
    **changes: Any,
) -> RunFigures:
    """A run.

    Args:
        before, after: accuracy on the test images.
        losses: train loss after each step.
        leaning: a class that it says three times as often as before, all others less often.
    """
    tenth = 1 / len(CLASSES)
    said = [tenth] * len(CLASSES)
    right = [after] * len(CLASSES)
    if leaning:
        index = CLASSES.index(leaning)
        said = [(1 - 3 * tenth) / (len(CLASSES) - 1)] * len(CLASSES)
        said[index], right[index] = 3 * tenth, 1.0
    values: dict[str, Any] = {
        "images": 600,
        "steps": len(losses),
        "accuracy": ((0, before), (1, after)),
        "train_loss": tuple(enumerate(losses, 1)),
        "step_size": step_size,
        "tested": 500,
        "before": (before,) * len(CLASSES),
        "after": tuple(right),
        "said_before": (tenth,) * len(CLASSES),
        "said_after": tuple(said),
        "test_before": before,
        "test_after": after,
    }
    return RunFigures(**{**values, **changes})
