import pytest
import torch
import torch.nn.functional as F

from trainer.calibration import fit_temperature, measure_reliability
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
