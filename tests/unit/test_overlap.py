"""Error overlap, against counts by hand and figures from the literature."""

import pytest
import torch

from trainer.metrics import Overlap, find_disagreements, find_only_right, measure_overlap

LABELS = torch.tensor([0, 1, 2, 3, 4])
PREDICTED = {
    "a": torch.tensor([0, 1, 2, 9, 9]),
    "b": torch.tensor([0, 1, 9, 3, 9]),
    "c": torch.tensor([0, 9, 9, 9, 9]),
}


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
