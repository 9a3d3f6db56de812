"""A job's model beside the one it started from, on the same test images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.checkpoint import load_predictions, load_record
from trainer.data import SAMPLE_NAME, evaluated_rows, load_sample_rows
from trainer.metrics import (
    Overlap,
    Shift,
    confusion_matrix,
    confusion_shares,
    measure_overlap,
    measure_shifts,
)
from trainer.record import DataFacts

NOT_SHOWN = -1
"""The row of an image that is not in the test split which the screen shows."""


@dataclass(frozen=True)
class Comparison:
    """What a job changed. `N` test images were measured, before and after."""

    rows: Tensor
    """`(N,)` int64, their rows in the test split that the screen shows, or `NOT_SHOWN`."""
    labels: Tensor
    """`(N,)` int64."""
    before: Tensor | None
    """`(N,)` int64 predicted classes of the start before the first step; None where an earlier
    version of the trainer did not record them."""
    after: Tensor
    """`(N,)` int64 predicted classes of the job's model."""

    @property
    def overlap(self) -> Overlap | None:
        """Before is the first model, after the second."""
        if self.before is None:
            return None
        return measure_overlap(self.labels, self.before, self.after)

    @property
    def shifts(self) -> list[Shift]:
        """What became of every class; nothing where there is no before."""
        if self.before is None:
            return []
        return measure_shifts(self.labels, self.before, self.after)

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Confusion matrices `(10, 10)` float64 before and after, in shares of the true class."""
        if self.before is None:
            return None
        before, after = (
            confusion_shares(confusion_matrix(self.labels, one)).numpy()
            for one in (self.before, self.after)
        )
        return before, after

    def changed(self, to_right: bool) -> Tensor:
        """Positions `(M,)` that went from wrong to right, or from right to wrong."""
        if self.before is None:
            return torch.empty(0, dtype=torch.int64)
        was, now = self.before == self.labels, self.after == self.labels
        return ((now & ~was) if to_right else (was & ~now)).nonzero().flatten()


def compare_with_start(folder: Path, name: str, shown: DataFacts) -> Comparison:
    """Reads a job's model's answers and its start's, which the run itself recorded.

    Args:
        folder: where its checkpoint lies.
        shown: the data whose test split the screen shows: that of the four models.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    record = load_record(folder, name)
    predictions = load_predictions(folder, record)
    start = predictions.start_probabilities
    return Comparison(
        _find_rows(record.data, shown, len(predictions.labels)),
        predictions.labels,
        None if start is None else start.argmax(dim=1),
        predictions.probabilities.argmax(dim=1),
    )


def _find_rows(measured: DataFacts, shown: DataFacts, count: int) -> Tensor:
    """Rows `(count,)` int64 in the shown test split of the images a job was measured on."""
    if measured.digest == shown.digest:
        rows = torch.arange(shown.test_count)
    elif measured.name == SAMPLE_NAME:
        rows = load_sample_rows()
    else:
        return torch.full((count,), NOT_SHOWN)
    return rows[evaluated_rows(len(rows), count)]
