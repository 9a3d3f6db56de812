"""The tables of figures: a row a model, as the page shows them and as they are exported."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from demo.words.common import LABELS
from trainer.calibration import Confidence
from trainer.recipe import CLASSES
from trainer.record import Records
from trainer.reference import load_reference, reference_accuracy
from trainer.timing import time_alone


def list_figures(records: Records) -> list[list[Any]]:
    """Each model's figures beside the reference's, in the order of `words.FIGURE_COLUMNS`."""
    reference, times = load_reference(), time_alone(records)
    rows = []
    for name, record in records.items():
        test, theirs = record.test, reference_accuracy(reference, name)
        rows.append(
            [
                LABELS[name],
                100 * test.accuracy,
                100 * theirs,
                100 * (test.accuracy - theirs),
                100 * test.calibration_error,
                test.best_class,
                test.worst_class,
                record.recipe.epochs,
                times[name].alone_s / 60,
            ]
        )
    return rows


def list_confidence(measured: Mapping[str, Confidence]) -> list[list[Any]]:
    """Each model's temperature and what it does, in the order of `words.CONFIDENCE_COLUMNS`."""
    return [
        [
            LABELS[name],
            confidence.temperature,
            100 * confidence.trained.right,
            100 * confidence.trained.stated,
            100 * confidence.shown.stated,
            100 * confidence.trained.error,
            100 * confidence.shown.error,
        ]
        for name, confidence in measured.items()
    ]


def list_changes(before: np.ndarray, after: np.ndarray) -> list[list[Any]]:
    """What a job changed of each class, in the order of `words.CHANGE_COLUMNS`.

    Args:
        before, after: confusion matrices in shares of the true class.
    """
    return [
        [name, 100 * one, 100 * two, 100 * (two - one)]
        for name, one, two in zip(
            CLASSES, before.diagonal().tolist(), after.diagonal().tolist(), strict=True
        )
    ]


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as CSV, numbers as they are."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows(rows)
    return written.getvalue().encode()
