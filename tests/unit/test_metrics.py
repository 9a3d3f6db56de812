import math

import pytest
import torch

from trainer import metrics


def test_confusion_rows_are_true_and_columns_predicted() -> None:
    confusion = metrics.confusion_matrix(torch.tensor([0, 0, 3]), torch.tensor([0, 5, 3]))
    assert confusion.shape == (10, 10)
    assert [int(confusion[cell]) for cell in ((0, 0), (0, 5), (3, 3))] == [1, 1, 1]
    assert confusion.sum() == 3


def test_measure_counts_and_averages() -> None:
    logits = torch.full((4, 10), -20.0)
    for row, answer in enumerate((0, 1, 2, 2)):
        logits[row, answer] = 20.0
    figures = metrics.measure(logits, torch.tensor([0, 1, 2, 3]))
    assert figures.accuracy == 0.75
    assert figures.loss == pytest.approx(10.0)  # one of four images costs 40 nats
    assert metrics.per_class_accuracy(figures.confusion)[:4].tolist() == [1, 1, 1, 0]


def test_calibration_error_of_known_confidences() -> None:
    sure = torch.zeros(10, 10)
    sure[:, 0] = 1.0
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert metrics.calibration_error(sure, labels) == pytest.approx(0.4)
    assert metrics.calibration_error(sure[:6], labels[:6]) == pytest.approx(0.0)


def test_energy_is_low_where_evidence_is_high() -> None:
    none, much = torch.zeros(1, 10), torch.zeros(1, 10)
    much[0, 3] = 12.0
    assert metrics.energy(none).item() == pytest.approx(-math.log(10))
    assert metrics.energy(much).item() < metrics.energy(none).item()


def test_energy_threshold_accepts_the_stated_share(generator: torch.Generator) -> None:
    logits = torch.randn(2000, 10, generator=generator)
    threshold = metrics.energy_threshold(logits)
    assert (metrics.energy(logits) <= threshold).double().mean().item() == pytest.approx(
        0.95, abs=1e-3
    )


def test_most_confused_lists_largest_errors_first() -> None:
    confusion = torch.diag(torch.full((10,), 99))
    confusion[3, 5], confusion[5, 3] = 7, 4
    assert metrics.most_confused(confusion, 2) == [(3, 5, 7), (5, 3, 4)]
