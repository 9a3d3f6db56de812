"""The exact test over seeds."""

import itertools
import math

import pytest

from trainer.metrics import Overlap
from trainer.significance import SIGNIFICANCE, SeedTest
from trainer.wording import describe_seed_test, points

APART = SeedTest((90, 91, 92, 93, 94), (80, 81, 82, 83, 84), 100)


def count_deals(test: SeedTest) -> float:
    """The share of all deals whose means are as far apart, each deal looked at."""
    runs, size = (*test.first, *test.second), len(test.first)

    def distance(chosen: tuple[int, ...]) -> float:
        rest = [index for index in range(len(runs)) if index not in chosen]
        one = sum(runs[index] for index in chosen) / size
        return abs(one - sum(runs[index] for index in rest) / len(rest))

    deals = list(itertools.combinations(range(len(runs)), size))
    observed = distance(tuple(range(size)))
    return sum(distance(deal) >= observed - 1e-9 for deal in deals) / len(deals)


@pytest.mark.parametrize(
    "test",
    [
        APART,
        SeedTest((5, 1, 4), (2, 3, 6, 9), 10),
        SeedTest((8720, 8716, 8719, 8721, 8711), (8775, 8774, 8770, 8776, 8770), 10_000),
        SeedTest((1, 2, 3, 4, 5), (2, 3, 4, 5, 6), 100),
        SeedTest((3, 3, 3), (3, 3, 3), 10),
        SeedTest((7, 7, 8), (7, 8, 8), 10),
    ],
)
def test_p_is_the_share_of_deals_as_far_apart(test: SeedTest) -> None:
    assert test.p_value == pytest.approx(count_deals(test))
    turned = SeedTest(test.second, test.first, test.images)
    assert turned.p_value == test.p_value
    assert turned.verdict == -test.verdict
    assert turned.gap == pytest.approx(-test.gap)


def test_five_against_five_can_tell_and_three_against_three_never() -> None:
    assert APART.p_value == pytest.approx(2 / math.comb(10, 5))
    assert (APART.verdict, APART.too_few, APART.separated) == (1, False, True)
    three = SeedTest((94, 95, 96), (10, 11, 12), 100)
    assert three.p_value == pytest.approx(0.1)
    assert (three.verdict, three.too_few, three.separated) == (0, True, True)
    assert not SeedTest((1, 2, 3, 4), (5, 6, 7, 8), 10).too_few


def test_many_seeds_are_counted_without_being_listed() -> None:
    many = SeedTest(tuple(range(8700, 8720)), tuple(range(8720, 8740)), 10_000)
    assert many.p_value == pytest.approx(2 / math.comb(40, 20))


def test_gaps_of_both_kinds_are_differences_of_accuracy() -> None:
    assert APART.gap == pytest.approx(0.10)
    assert Overlap(50, 20, 10, 20).gap == pytest.approx(0.10)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (APART, "A beats B by 10.00 points in the mean over 5 seeds each, more than chance "
         "explains (p = 0.008 in the exact permutation test on the seeds' test accuracies)."),
        (SeedTest((1, 2, 3), (5, 6, 7), 100), "3 seeds each are too few to tell A and B apart from "
         "chance: their means lie 4.00 points apart, and every seed of B is above every seed of A "
         "(p = 0.100 in the exact permutation test on their test accuracies, which with so few "
         "never falls below 0.05)."),
        (SeedTest((1, 2, 3, 4, 5), (2, 3, 4, 5, 6), 100), "A and B are too close to call: over 5 "
         "seeds each, their means lie 1.00 points apart (p = 0.444 in the exact permutation test "
         "on the seeds' test accuracies)."),
    ],
)  # fmt: skip
def test_sentence_follows_the_verdict(test: SeedTest, said: str) -> None:
    assert describe_seed_test("A", "B", test) == said
    assert points(test.gap) in said
    assert ("beats" in said) == (test.p_value < SIGNIFICANCE)


def test_seeds_of_unlike_number_are_both_told() -> None:
    test = SeedTest((90, 91, 92), (80, 81, 82, 83, 84), 100)
    assert "over 3 and 5 seeds" in describe_seed_test("A", "B", test)
