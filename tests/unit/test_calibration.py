import pytest
import torch
import torch.nn.functional as F

from trainer.calibration import (
    COLDEST,
    Reliability,
    fit_temperature,
    measure_confidence,
    measure_reliability,
    temper,
)
from trainer.metrics import calibration_error


@pytest.fixture
def calibrated(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is the very probability by which their labels were drawn."""
    logits = 2 * torch.randn(20_000, 10, generator=generator, dtype=torch.float64)
    return logits, logits.softmax(dim=1).multinomial(1, generator=generator)[:, 0]


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_temperature_undoes_a_scale(
    calibrated: tuple[torch.Tensor, torch.Tensor], factor: float
) -> None:
    logits, labels = calibrated
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_temperature_is_the_minimum(calibrated: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = 4 * calibrated[0], calibrated[1]
    best = fit_temperature(logits, labels)
    least = F.cross_entropy(logits / best, labels)
    for other in (0.99 * best, 1.01 * best):
        assert F.cross_entropy(logits / other, labels) > least


def test_overconfidence_shows_and_the_temperature_mends_it(
    calibrated: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = 3 * calibrated[0], calibrated[1]
    before = measure_reliability(logits.softmax(dim=1), labels)
    after = measure_reliability((logits / fit_temperature(logits, labels)).softmax(dim=1), labels)
    assert before.counts.sum() == after.counts.sum() == len(labels)
    filled = before.counts > 50
    assert (before.confidence > before.accuracy)[filled].all()
    assert after.error < 0.02 < 0.1 < before.error


def test_reliability_by_hand() -> None:
    probabilities = torch.tensor([[0.95, 0.05], [0.92, 0.08], [0.6, 0.4], [1.0, 0.0]])
    reliability = measure_reliability(probabilities, torch.tensor([0, 1, 1, 0]), bins=10)
    assert reliability.counts.tolist() == [0] * 6 + [1, 0, 0, 3]
    assert reliability.confidence[9].item() == pytest.approx((0.95 + 0.92 + 1.0) / 3)
    assert reliability.accuracy[9].item() == pytest.approx(2 / 3)
    assert reliability.accuracy[6].item() == 0
    expected = (3 * abs(2 / 3 - (0.95 + 0.92 + 1.0) / 3) + 0.6) / 4
    assert reliability.error == pytest.approx(expected)
    assert calibration_error(probabilities, torch.tensor([0, 1, 1, 0]), 10) == pytest.approx(
        expected
    )


def test_a_temperature_moves_every_probability_and_no_answer(generator: torch.Generator) -> None:
    logits = 10 * torch.randn(5000, 10, generator=generator)
    rows = torch.arange(5000)
    # The second class lies one float32 below the answer, where rounding could make them equal.
    best = logits.argmax(dim=1)
    logits[rows, (best + 1) % 10] = logits[rows, best].nextafter(torch.tensor(-torch.inf))
    for temperature in (0.05, 0.7, 1.4, 20.0):
        probabilities = temper(logits, temperature)
        assert torch.equal(probabilities.argmax(dim=1), best)
        assert torch.allclose(probabilities.sum(dim=1), torch.ones(5000, dtype=torch.float64))
    softer, sharper = (temper(logits, one).amax(dim=1) for one in (2.0, 1.0))
    assert (softer < sharper).all()


def test_recorded_probabilities_are_divided_as_their_logits_are(
    calibrated: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = 40 * calibrated[0].float(), calibrated[1]
    recorded = logits.softmax(dim=1)
    assert (recorded == 0).any(), "some are too small for float32"
    confidence = measure_confidence(recorded, labels, 3.0)
    assert confidence.trained.error == measure_reliability(recorded, labels).error
    expected = measure_reliability(temper(logits, 3.0), labels)
    assert torch.equal(confidence.shown.counts, expected.counts)
    assert torch.allclose(confidence.shown.confidence, expected.confidence, atol=1e-5)
    assert confidence.trained.right == pytest.approx(confidence.shown.right)


@pytest.mark.parametrize("count", [10, 50])
def test_few_images_that_are_all_right_make_no_model_certain(
    generator: torch.Generator, count: int
) -> None:
    """A short run may measure ten images; the least cross-entropy is then the coldest there is."""
    logits = 2 * torch.randn(count, 10, generator=generator)
    labels = logits.argmax(dim=1)
    assert 4 * COLDEST < fit_temperature(logits, labels) < 1


@pytest.mark.parametrize(
    ("stated", "right", "images", "lean"),
    [
        (0.9, 0.8, 1000, 1),
        (0.8, 0.9, 1000, -1),
        (0.9, 0.89, 100, 0),
        (0.9, 0.8, 10, 0),
        (1.0, 0.99, 100, 1),
        (1.0, 1.0, 100, 0),
    ],
)
def test_lean_is_told_beyond_chance(stated: float, right: float, images: int, lean: int) -> None:
    as_tensor = [torch.tensor([0.0, value], dtype=torch.float64) for value in (stated, right)]
    reliability = Reliability(torch.tensor([0, images]), *as_tensor)
    assert (reliability.stated, reliability.right) == pytest.approx((stated, right))
    assert reliability.lean == lean
