"""What a lesson's run showed: the same figures whether it ran just now or was recorded."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from demo.jobs.backend import EVENTS, NAME
from demo.jobs.progress import Progress, Reader
from trainer.checkpoint import load_predictions, load_record
from trainer.metrics import Overlap, Shift, measure_overlap, measure_shifts
from trainer.record import Epoch, Part
from trainer.resnet import STAGE_NAMES

Points = tuple[tuple[int, float], ...]


class RunFigures(Part):
    """Of a run that has ended. Losses are in nats."""

    images: int
    """Trained on, repeats of own pictures counted."""
    steps: int
    accuracy: Points
    """Epoch, and the accuracy 0..1 on the validation images after it; epoch 0 is the start."""
    train_loss: Points
    """Step, and the mean loss of its epoch so far."""
    step_size: float
    """How far one step moved the last stage that was trained, the last layer apart where more was,
    relative to its weights' norm: the mean over the epochs."""
    labels: str
    """The test images' classes, a digit each."""
    before: str
    """What they were taken for before the first step."""
    after: str

    @property
    def tested(self) -> int:
        """Test images."""
        return len(self.labels)

    @property
    def test_before(self) -> float:
        """Accuracy on the test images, 0..1."""
        return share_right(self.labels, self.before)

    @property
    def test_after(self) -> float:
        return share_right(self.labels, self.after)

    @property
    def change(self) -> float:
        """Of the accuracy on the test images, -1..1."""
        return self.test_after - self.test_before

    @property
    def overlap(self) -> Overlap:
        """Before is the first model, after the second."""
        return measure_overlap(*map(read_classes, (self.labels, self.before, self.after)))

    @property
    def shifts(self) -> list[Shift]:
        """What became of each class."""
        return measure_shifts(*map(read_classes, (self.labels, self.before, self.after)))

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
    after = predictions.probabilities
    before = after if predictions.start_probabilities is None else predictions.start_probabilities
    return RunFigures(
        images=record.data.train_count,
        steps=progress.summary.step if progress.summary else 0,
        accuracy=list_accuracy(progress),
        train_loss=progress.train_loss,
        step_size=measure_step(record.history),
        labels=write_classes(predictions.labels),
        before=write_classes(before.argmax(dim=1)),
        after=write_classes(after.argmax(dim=1)),
    )


def list_accuracy(progress: Progress) -> Points:
    """`RunFigures.accuracy`, as far as a run is."""
    return tuple((one.epoch, one.validation_accuracy) for one in progress.measured)


def compare_ends(first: RunFigures, second: RunFigures) -> Overlap:
    """What two runs get right of the same test images.

    Raises:
        ValueError: they were measured on different ones.
    """
    if first.labels != second.labels:
        raise ValueError("the runs were measured on different images")
    return measure_overlap(*map(read_classes, (first.labels, first.after, second.after)))


def measure_step(history: tuple[Epoch, ...]) -> float:
    """`RunFigures.step_size` by the sizes that each epoch measured; 0 where none did."""
    sizes = [epoch.step_sizes for epoch in history if epoch.step_sizes]
    if not sizes:
        return 0.0
    trained = [name for name in STAGE_NAMES if name in sizes[0]] or list(sizes[0])
    return sum(size[trained[-1]] for size in sizes) / len(sizes)


def write_classes(classes: Tensor) -> str:
    """`(N,)` int64 classes as digits."""
    return "".join(map(str, classes.tolist()))


def read_classes(digits: str) -> Tensor:
    """The same back."""
    return torch.tensor([int(digit) for digit in digits])


def share_right(labels: str, answers: str) -> float:
    """Accuracy, 0..1."""
    pairs = list(zip(labels, answers, strict=True))
    return sum(label == answer for label, answer in pairs) / max(len(pairs), 1)
