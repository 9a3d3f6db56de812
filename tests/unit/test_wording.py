from collections.abc import Sequence

import pytest
import torch

from tests.records import build_facts
from tests.unit.test_events import EVERY, FAILED, STARTED
from trainer import wording
from trainer.calibration import Confidence, Reliability
from trainer.events import EpochFinished, Event, StepSummary
from trainer.metrics import Overlap
from trainer.recipe import PRESETS


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0.9731, 1, "97.3 %"),
        (0.9731, 0, "97 %"),
        (0.84693, 2, "84.69 %"),
        (0.0, 1, "0.0 %"),
        (0.0004, 1, "<0.1 %"),
        (0.0006, 1, "0.1 %"),
        (0.004, 0, "<1 %"),
        (1.0, 0, "100 %"),
    ],
)
def test_percent_never_rounds_something_to_nothing(fraction: float, digits: int, text: str) -> None:
    assert wording.percent(fraction, digits) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "fewer than 1 in 100"),
        (0.004, "fewer than 1 in 100"),
        (0.006, "1 in 100"),
        (0.66, "66 in 100"),
        (0.994, "99 in 100"),
        (0.996, "more than 99 in 100"),
        (1.0, "more than 99 in 100"),
    ],
)
def test_shares_as_counts(share: float, text: str) -> None:
    assert wording.in_hundred(share) == text


def test_runs_that_saw_smaller_images_first_are_said_together() -> None:
    plain = PRESETS["report"]["sgd_full"]
    resized = plain.changed(epochs=8, image_px=96, early_px=64, early_fraction=0.75)
    assert wording.describe_sizes({"SGD": plain, "at one size": resized.changed(image_px=64)}) == ""
    assert wording.describe_sizes({"SGD": resized, "Adam": resized, "plain": plain}) == (
        "SGD and Adam saw images of 64 px for the first 6 of 8 epochs, then, from the full "
        "learning rate again, of 96 px. What an epoch reached is measured at the size that it saw."
    )


def test_a_foreign_picture_is_said_with_its_odds() -> None:
    facts = build_facts((32, 0.113, 0.637), (64, 0.075, 0.659))
    assert wording.describe_foreign(facts, 64) == (
        "This looks like none of the ten: of photographs of other things 66 in 100 are noticed "
        "like this, and of photographs of the ten 8 in 100, by mistake."
    )
    # A coarser square has odds of its own.
    assert "64 in 100" in wording.describe_foreign(facts, 32)
    assert "11 in 100, by mistake" in wording.describe_foreign(facts, 32)


def test_without_photographs_only_the_mistakes_are_known() -> None:
    text = wording.describe_foreign(build_facts(test_false_alarms=0.044), 64)
    assert text == (
        "This looks like none of the ten: so do, by mistake, 4 in 100 of the test images, which "
        "all are of the ten."
    )
    assert "photograph" not in text


def test_a_picture_known_to_be_of_the_ten_is_called_a_mistake() -> None:
    text = wording.describe_foreign(build_facts((64, 0.075, 0.659)), 64, known=True)
    assert text == "It looks like none of the ten, by mistake: so do 4 in 100 of the test images."


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "p = 1.000"),
        (0.03504, "p = 0.035"),
        (0.001, "p = 0.001"),
        (0.0009999, "p < 0.001"),
        (3e-286, "p < 0.001"),
        (0.0, "p < 0.001"),  # too small for a float
    ],
)
def test_no_p_is_zero(p: float, text: str) -> None:
    assert wording.p_value(p) == text


def test_p_of_the_strongest_evidence_has_words() -> None:
    assert wording.p_value(Overlap(0, 10_000, 0, 0).p_value) == "p < 0.001"


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], "nothing"),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
    ],
)
def test_join_reads_as_a_list_does(items: list[str], text: str) -> None:
    assert wording.join(items) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_carry_over(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_counts_points_and_articles() -> None:
    assert wording.count(1, "epoch") == "1 epoch"
    assert wording.count(0, "epoch") == "0 epochs"
    assert wording.count(2000, "image") == "2,000 images"
    assert wording.points(-0.0125) == "1.25 points"
    assert wording.article("cat") == "a cat"
    assert wording.article("airplane") == "an airplane"


def test_sentence_is_given_what_it_lacks() -> None:
    assert wording.sentence("the disk is full") == "The disk is full."
    assert wording.sentence("Is it?") == "Is it?"


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_every_event_has_one_sentence(event: Event) -> None:
    text = wording.describe_event(event)
    assert text == wording.sentence(text)
    assert ". " not in text
    assert "None" not in text
    assert event.recipe not in text


def test_events_tell_their_figures() -> None:
    said = {type(event): wording.describe_event(event) for event in EVERY}
    assert said[StepSummary] == "Step 3: train loss 0.300."
    assert "Epoch 1 of 1: train loss 0.100, validation accuracy 50.0 %" in said[EpochFinished]
    assert wording.describe_event(FAILED) == "Ended early: because."
    resumed = STARTED.model_copy(update={"step": 5})
    assert wording.describe_event(resumed) == "Continues after step 5 of 8."


def confidence(right: float, trained: float, shown: float, temperature: float = 1.5) -> Confidence:
    """Of a model that is `trained` sure of everything, and `shown` sure after its temperature."""

    def reliability(stated: float) -> Reliability:
        values = [torch.tensor([value], dtype=torch.float64) for value in (stated, right)]
        return Reliability(torch.tensor([10_000]), *values)

    return Confidence(temperature, reliability(trained), reliability(shown))


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([(0.9, 0.95, 0.905), (0.8, 0.86, 0.79)], [
            "The percentages shown can be taken at their word on pictures like the test images: of "
            "100 answers at 90 %, expect about 90 to be right; on average they are off by 1.00 "
            "points at most.",
            "As trained, A and B are too sure.",
            "Divided by the temperature, the calibration error of A and B falls.",
        ]),
        # The very opposite.
        ([(0.9, 0.895, 0.95), (0.8, 0.798, 0.7)], [
            "The percentages shown for A (off by 5.00 points on average) promise too much: fewer "
            "answers are right than they say.",
            "The percentages shown for B (off by 10.00 points on average) promise too little: more "
            "answers are right than they say.",
            "As trained, A and B are neither too sure nor too cautious, as far as the test images "
            "tell.",
            "Divided by the temperature, the calibration error of A and B rises.",
        ]),
        ([(0.9, 0.8, 0.9), (0.9, 0.9, 0.9005), (0.9, 0.96, 0.96, 1.0)], [
            "The percentages shown for A and B can be taken at their word on pictures like the "
            "test images: of 100 answers at 90 %, expect about 90 to be right; on average they are "
            "off by 0.05 points at most.",
            "The percentages shown for C (off by 6.00 points on average) promise too much: fewer "
            "answers are right than they say.",
            "As trained, C is too sure, A is too cautious and B is neither, as far as the test "
            "images tell.",
            "Divided by the temperature, the calibration error of A falls and that of B hardly "
            "changes.",
            "No temperature was fitted for C: the percentages shown are those as trained.",
        ]),
        ([], []),
    ],
    ids=["mended", "spoiled", "each another", "no model"],
)  # fmt: skip
def test_confidence_in_words_follows_the_figures(
    models: Sequence[tuple[float, ...]], said: list[str]
) -> None:
    measured = {name: confidence(*one) for name, one in zip("ABC", models, strict=False)}
    assert wording.describe_confidence(measured) == said


def test_errors_both_ways_are_no_lean() -> None:
    values = [torch.tensor(one, dtype=torch.float64) for one in ([0.6, 0.9], [0.7, 0.8])]
    both = Reliability(torch.tensor([500, 500]), *values)
    (said, *_) = wording.describe_confidence({"A": Confidence(1.0, both, both)})
    assert said == (
        "The percentages shown for A (off by 10.00 points on average) are too high for some "
        "answers and too low for others."
    )
