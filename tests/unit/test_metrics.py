"""Figures against counts by hand, and figures from the literature."""

import math

import pytest
import torch

from trainer import metrics
from trainer.metrics import Overlap, find_disagreements, find_only_right, measure_overlap

LABELS = torch.tensor([0, 1, 2, 3, 4])
PREDICTED = {
    "a": torch.tensor([0, 1, 2, 9, 9]),
    "b": torch.tensor([0, 1, 9, 3, 9]),
    "c": torch.tensor([0, 9, 9, 9, 9]),
}


def test_confusion_rows_are_true_and_columns_predicted() -> None:
    confusion = metrics.confusion_matrix(torch.tensor([0, 0, 3]), torch.tensor([0, 5, 3]))
    assert confusion.shape == (10, 10)
    assert [int(confusion[cell]) for cell in ((0, 0), (0, 5), (3, 3))] == [1, 1, 1]
    assert confusion.sum() == 3


def test_shares_are_of_the_true_class_and_an_absent_class_has_none() -> None:
    shares = metrics.confusion_shares(torch.tensor([[3, 1, 0], [0, 0, 0], [2, 2, 4]]))
    assert shares.dtype == torch.float64
    assert shares.tolist() == [[0.75, 0.25, 0.0], [0.0, 0.0, 0.0], [0.25, 0.25, 0.5]]


def test_measure_counts_and_averages() -> None:
    logits = torch.full((4, 10), -20.0)
    for row, answer in enumerate((0, 1, 2, 2)):
        logits[row, answer] = 20.0
    figures = metrics.measure(logits, torch.tensor([0, 1, 2, 3]))
    assert figures.accuracy == 0.75
    assert figures.loss == pytest.approx(10.0)  # one of four images costs 40 nats
    assert figures.per_class_accuracy[:4] == (1, 1, 1, 0)
    assert (figures.best_class, figures.worst_class) == ("airplane", "cat")
    assert figures.confusion[3][2] == 1
    assert sum(map(sum, figures.confusion)) == 4


def test_calibration_error_of_known_confidences() -> None:
    sure = torch.zeros(10, 10)
    sure[:, 0] = 1.0
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert metrics.calibration_error(sure, labels) == pytest.approx(0.4)
    assert metrics.calibration_error(sure[:6], labels[:6]) == pytest.approx(0.0)


def test_most_confused_lists_largest_errors_first() -> None:
    confusion = torch.diag(torch.full((10,), 99))
    confusion[3, 5], confusion[5, 3] = 7, 4
    assert metrics.most_confused(confusion, 2) == [(3, 5, 7), (5, 3, 4)]


def test_overlap_counts_every_image_once() -> None:
    overlap = measure_overlap(LABELS, PREDICTED["a"], PREDICTED["b"])
    assert overlap == Overlap(both_right=2, only_first=1, only_second=1, both_wrong=1)


def test_only_right_are_the_images_no_other_gets() -> None:
    assert find_only_right(LABELS, PREDICTED, "a").tolist() == [2]
    assert find_only_right(LABELS, PREDICTED, "b").tolist() == [3]
    assert find_only_right(LABELS, PREDICTED, "c").tolist() == []


def test_disagreements_are_where_not_all_say_the_same() -> None:
    assert find_disagreements(PREDICTED).tolist() == [1, 2, 3]
    assert find_disagreements({"a": PREDICTED["a"]}).tolist() == []
    assert find_disagreements({}).tolist() == []


@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 5, 2 / 2**5),
        # 2 * (1 + 10 + 45) / 2**10: a two-sided sign test of 2 in 10.
        (2, 8, 112 / 1024),
        (8, 2, 112 / 1024),
    ],
)
def test_mcnemar_is_the_exact_sign_test(first: int, second: int, p_value: float) -> None:
    assert Overlap(100, first, second, 7).p_value == pytest.approx(p_value)


def test_mcnemar_holds_for_thousands_of_images() -> None:
    assert 0 < Overlap(0, 2000, 2300, 0).p_value < 1e-4
    assert Overlap(0, 3000, 3000, 0).p_value == 1.0
    # The normal approximation, with continuity correction, of a binomial this large.
    approximate = math.erfc((5100 - 4900 - 1) / math.sqrt(10_000) / math.sqrt(2))
    assert Overlap(0, 4900, 5100, 0).p_value == pytest.approx(approximate, rel=1e-3)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (0, 0, 0),
        (0, 5, 0),  # p = 0.0625
        (0, 6, -1),  # p = 0.03125
        (6, 0, 1),
        (388, 450, -1),
        (2000, 2062, 0),  # as far apart as the line above, but of more images
    ],
)
def test_verdict_is_the_paired_tests_with_the_better_ones_sign(
    first: int, second: int, verdict: int
) -> None:
    assert Overlap(100, first, second, 7).verdict == verdict
