"""What a lesson's run showed: the same figures whether it ran just now or was recorded."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from demo.jobs.backend import EVENTS, NAME
from demo.jobs.progress import Reader
from trainer.checkpoint import load_predictions, load_record
from trainer.recipe import CLASSES
from trainer.record import Epoch, Part, PerClass
from trainer.resnet import STAGE_NAMES

Points = tuple[tuple[int, float], ...]


class RunFigures(Part):
    """Of a run that has ended. Shares lie in 0..1, losses are in nats."""

    images: int
    """Trained on, repeats of own pictures counted."""
    steps: int
    accuracy: Points
    """Epoch, and the accuracy on the validation images after it; epoch 0 is the start."""
    train_loss: Points
    """Step, and the mean loss of its epoch so far."""
    step_size: float
    """How far one step moved the last stage that was trained, the last layer apart where more was,
    relative to its weights' norm: the mean over the epochs."""
    tested: int
    """Test images."""
    before: PerClass[float]
    """Share of each class's test images that are answered right, before the first step."""
    after: PerClass[float]
    said_before: PerClass[float]
    """Share of all answers that are this class, before the first step."""
    said_after: PerClass[float]
    test_before: float
    test_after: float
    """Accuracy on the test images."""

    @property
    def change(self) -> float:
        """Of the accuracy on the test images, -1..1."""
        return self.test_after - self.test_before

    @property
    def first_loss(self) -> float:
        return self.train_loss[0][1]

    @property
    def last_loss(self) -> float:
        return self.train_loss[-1][1]

    @property
    def worst_loss(self) -> float:
        return max(loss for _, loss in self.train_loss)


Runs = Mapping[str, RunFigures]
"""A run's name in its lesson to what it showed."""


def read_figures(folder: Path) -> RunFigures:
    """What the job in `folder` showed.

    Raises:
        CheckpointError: it has no whole model, or one of another version.
    """
    record = load_record(folder, NAME)
    predictions = load_predictions(folder, record)
    progress = Reader(folder / EVENTS).read()
    labels, after = predictions.labels, predictions.probabilities.argmax(dim=1)
    start = predictions.start_probabilities
    before = after if start is None else start.argmax(dim=1)
    return RunFigures(
        images=record.data.train_count,
        steps=progress.summary.step if progress.summary else 0,
        accuracy=progress.accuracy,
        train_loss=progress.train_loss,
        step_size=measure_step(record.history),
        tested=len(labels),
        before=share_right(labels, before),
        after=share_right(labels, after),
        said_before=share_said(before),
        said_after=share_said(after),
        test_before=float((before == labels).double().mean()),
        test_after=float((after == labels).double().mean()),
    )


def measure_step(history: tuple[Epoch, ...]) -> float:
    """`RunFigures.step_size` by the sizes that each epoch measured; 0 where none did."""
    sizes = [epoch.step_sizes for epoch in history if epoch.step_sizes]
    if not sizes:
        return 0.0
    trained = [name for name in STAGE_NAMES if name in sizes[0]] or list(sizes[0])
    return sum(size[trained[-1]] for size in sizes) / len(sizes)


def share_right(labels: Tensor, answers: Tensor) -> tuple[float, ...]:
    """Share of each class's images that are answered right; 0 for a class without images."""
    right = torch.bincount(labels[labels == answers], minlength=len(CLASSES))
    images = torch.bincount(labels, minlength=len(CLASSES)).clamp(min=1)
    return tuple((right / images.double()).tolist())


def share_said(answers: Tensor) -> tuple[float, ...]:
    """Share of all answers that are each class."""
    said = torch.bincount(answers, minlength=len(CLASSES)) / max(len(answers), 1)
    return tuple(said.double().tolist())
