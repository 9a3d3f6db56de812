"""A job's model beside the one it started from, on the same test images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from demo.models import Models
from demo.overlap import Overlap, measure_overlap
from trainer.checkpoint import load_predictions, load_record
from trainer.data import evaluated_rows, load_sample_rows
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


def compare_with_start(folder: Path, name: str, models: Models) -> Comparison:
    """Reads a finished job.

    Raises:
        CheckpointError: its files are missing or damaged.
    """
    record = load_record(folder, name)
    predictions = load_predictions(folder, record)
    shipped = next(iter(models.records.values()))["data"]
    if record["data"]["digest"] == shipped["digest"]:
        rows = torch.arange(shipped["test_count"])
    else:
        rows = load_sample_rows()
    rows = rows[evaluated_rows(len(rows), len(predictions.labels))]
    start = record["origin"]["start"]
    known = models.predictions.get(start)
    before = None if known is None else known.probabilities[rows].argmax(dim=1)
    return Comparison(
        start, rows, predictions.labels, before, predictions.probabilities.argmax(dim=1)
    )
