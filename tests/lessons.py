"""Figures of a lesson's run as one would leave them, without a run."""

from typing import Any

from demo.lessons.figures import RunFigures
from trainer.recipe import CLASSES

OF_EACH = 50
LABELS = "".join(f"{label}" * OF_EACH for label in range(len(CLASSES)))


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
        before, after: accuracy on the test images; of two runs, the better one is right on all
            that the other is right on.
        losses: train loss after each step.
        leaning: a class that all its mistakes are taken for.
    """
    values: dict[str, Any] = {
        "images": 600,
        "steps": len(losses),
        "accuracy": ((0, before), (1, after)),
        "train_loss": tuple(enumerate(losses, 1)),
        "step_size": step_size,
        "labels": LABELS,
        "before": answer(before),
        "after": answer(after, leaning),
    }
    return RunFigures(**{**values, **changes})


def answer(accuracy: float, leaning: str = "") -> str:
    """Answers to `LABELS`, right on as many of each class; the others are the next class or, where
    one is given, `leaning`."""
    right = round(accuracy * OF_EACH)
    said = []
    for label in range(len(CLASSES)):
        wrong = CLASSES.index(leaning) if leaning else (label + 1) % len(CLASSES)
        said += [label] * right + [wrong] * (OF_EACH - right)
    return "".join(map(str, said))
