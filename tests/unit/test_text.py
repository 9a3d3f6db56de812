"""Sentences change with what they describe."""

import pytest

from demo import text
from demo.overlap import Overlap


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("cat cat cat cat", "All four say cat."),
        ("cat cat dog dog", "Both with all layers trained say cat; both with only the last layer "
         "trained say dog."),
        ("cat dog cat dog", "Both trained by SGD say cat; both trained by Adam say dog."),
        ("cat dog dog cat", "SGD (all layers) and Adam (last layer) say cat; Adam (all layers) "
         "and SGD (last layer) say dog."),
        ("dog cat cat cat", "Three say cat; SGD (all layers) says dog."),
        ("cat cat dog frog", "Both with all layers trained say cat; SGD (last layer) says dog; "
         "Adam (last layer) says frog."),
        ("cat dog frog ship", "No two agree: SGD (all layers) says cat; Adam (all layers) says "
         "dog; SGD (last layer) says frog; Adam (last layer) says ship."),
    ],
)  # fmt: skip
def test_agreement_names_who_says_what(answers: str, sentence: str) -> None:
    named = dict(zip(text.LABELS, answers.split(), strict=True))
    assert text.describe_agreement(named) == sentence


def test_agreement_of_fewer_models() -> None:
    assert text.describe_agreement({"sgd_full": "cat"}) == "The only model here says cat."
    assert text.describe_agreement({"sgd_full": "cat", "adam_full": "cat"}) == "Both say cat."
    said = text.describe_agreement({"sgd_full": "cat", "adam_full": "dog"})
    assert said == "No two agree: SGD (all layers) says cat; Adam (all layers) says dog."


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.97341, "97.3 %"), (0.0, "0.0 %"), (0.0004, "<0.1 %"), (0.0006, "0.1 %"), (1.0, "100.0 %")],
)
def test_percent_never_shows_something_as_nothing(fraction: float, shown: str) -> None:
    assert text.percent(fraction) == shown


def test_mcnemar_in_words_follows_the_figures() -> None:
    assert (
        "no real difference"
        in text.describe_overlap("sgd_full", "adam_full", Overlap(10, 5, 6, 1)).lower()
    )
    better = text.describe_overlap("sgd_full", "adam_full", Overlap(10, 5, 60, 1))
    assert better.startswith("Adam (all layers) is really better")
    assert "60" in better
    same = text.describe_overlap("sgd_full", "adam_full", Overlap(10, 0, 0, 1))
    assert "the very same images" in same


def test_shown_counts_are_told_apart() -> None:
    assert text.describe_shown(0, 0, 0) == "No test image is here."
    assert text.describe_shown(3, 3, 3) == "3 test images, shown here."
    assert text.describe_shown(134, 7, 7) == "134 test images; 7 of them at hand, 7 shown."
