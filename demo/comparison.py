"""A job's model beside the one it started from, on the same test images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from demo.models import Models
from demo.overlap import Overlap, measure_overlap
from trainer.checkpoint import CheckpointError, Predictions, load_predictions, load_record
from trainer.data import SAMPLE_NAME, evaluated_rows, load_sample_rows
from trainer.metrics import confusion_matrix


@dataclass(frozen=True)
class Comparison:
    """What a job changed. `N` test images were measured, before and after."""

    start: str
    rows: Tensor
    """`(N,)` int64, rows of the full test split."""
    labels: Tensor
    """`(N,)` int64."""
    before: Tensor | None
    """`(N,)` int64 predicted classes of the start; None where it has none on these images."""
    after: Tensor
    """`(N,)` int64 predicted classes of the job's model."""

    @property
    def overlap(self) -> Overlap | None:
        """Before is the first model, after the second."""
        if self.before is None:
            return None
        return measure_overlap(self.labels, self.before, self.after)

    def shares(self, predicted: Tensor) -> Tensor:
        """Confusion matrix `(10, 10)` float64 in shares of the true class."""
        counts = confusion_matrix(self.labels, predicted).double()
        return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)

    def changed(self, to_right: bool) -> Tensor:
        """Positions `(M,)` that went from wrong to right, or from right to wrong."""
        if self.before is None:
            return torch.empty(0, dtype=torch.int64)
        was, now = self.before == self.labels, self.after == self.labels
        return ((now & ~was) if to_right else (was & ~now)).nonzero().flatten()


def compare_with_start(
    folder: Path, name: str, models: Models, start_folder: Path | None = None
) -> Comparison:
    """Reads a finished job.

    Args:
        folder: where its checkpoint lies.
        start_folder: where that of the earlier job lies that it started from, if from one.

    Raises:
        CheckpointError: its files are missing or damaged.
    """
    record = load_record(folder, name)
    predictions = load_predictions(folder, record)
    sample = record["data"]["name"] == SAMPLE_NAME
    total = next(iter(models.records.values()))["data"]["test_count"]
    rows = load_sample_rows() if sample else torch.arange(total)
    rows = rows[evaluated_rows(len(rows), len(predictions.labels))]
    start = record["origin"]["start"]
    known = models.predictions.get(start)
    if start_folder is not None:
        try:
            known = load_predictions(start_folder, load_record(start_folder, name))
        except CheckpointError:
            known = None  # swept since
    elif known is not None:
        known = Predictions(known.probabilities[rows], known.labels[rows])
    # The labels hold the two against each other: both must be of the same images.
    comparable = known is not None and torch.equal(known.labels, predictions.labels)
    before = known.probabilities.argmax(dim=1) if known is not None and comparable else None
    return Comparison(
        start, rows, predictions.labels, before, predictions.probabilities.argmax(dim=1)
    )
