import pytest
import safetensors.torch
import torch
from torch import Tensor

from trainer.errors import CheckpointError
from trainer.familiarity import (
    ACCEPTED,
    FITTED_IMAGES,
    LEAST_IMAGES,
    Familiarity,
    draw_rows,
    find_threshold,
    fit_familiarity,
    measure_auroc,
)
from trainer.figures import Outputs, fit_stored


@pytest.fixture
def head(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(10, 512)
    weight[:, :20] = torch.randn(10, 20, generator=generator)
    return weight, torch.randn(10, generator=generator)


@pytest.fixture
def features(generator: torch.Generator) -> Tensor:
    """2,000 that vary in the first 20 of the 512 directions."""
    wide = 3 * torch.randn(2000, 20, generator=generator)
    return torch.cat([wide, 0.05 * torch.randn(2000, 492, generator=generator)], dim=1)


def test_leaving_the_usual_directions_is_strange(
    features: Tensor, head: tuple[Tensor, Tensor], generator: torch.Generator
) -> None:
    weight, bias = head
    familiarity = fit_familiarity(features[::2], weight, bias, dimensions=32)
    known = features[1::2]
    # The last layer does not look where these differ: their logits are the same.
    off = torch.cat([torch.zeros(1000, 20), 0.2 * torch.randn(1000, 492, generator=generator)], 1)
    foreign = known + off
    logits = known @ weight.T + bias
    assert torch.allclose(logits, foreign @ weight.T + bias, atol=1e-4)
    usual, strange = familiarity.measure(known, logits), familiarity.measure(foreign, logits)
    assert usual.shape == (1000,)
    assert measure_auroc(usual, strange) > 0.95


def test_evidence_for_a_class_makes_familiar(features: Tensor, head: tuple[Tensor, Tensor]) -> None:
    familiarity = fit_familiarity(features, *head, dimensions=32)
    flat, sure = torch.zeros(2, 10), torch.zeros(2, 10)
    sure[:, 3] = 9.0
    assert (familiarity.measure(features[:2], sure) < familiarity.measure(features[:2], flat)).all()


def test_scale_makes_distance_and_logits_alike(
    features: Tensor, head: tuple[Tensor, Tensor]
) -> None:
    weight, bias = head
    familiarity = fit_familiarity(features, weight, bias, dimensions=32)
    logits = features @ weight.T + bias
    distance = familiarity.measure(features, logits) + logits.logsumexp(dim=1)
    assert distance.mean().item() == pytest.approx(logits.amax(dim=1).mean().item(), rel=1e-3)
    assert familiarity.nbytes == 4 * 512 + 2 * 512 * 32


def test_auroc_by_hand() -> None:
    assert measure_auroc(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 1.0
    assert measure_auroc(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])) == (0.5 + 0.75) / 2
    assert measure_auroc(torch.tensor([1.0]), torch.tensor([1.0, 1.0])) == 0.5


def test_a_detector_comes_back_as_stored(features: Tensor, head: tuple[Tensor, Tensor]) -> None:
    detector = fit_familiarity(features, *head)
    again = Familiarity.from_bytes(detector.to_bytes(), "x")
    logits = features[:5] @ head[0].T
    assert torch.equal(again.measure(features[:5], logits), detector.measure(features[:5], logits))
    assert again.scale == detector.scale


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": torch.zeros(511)},
        {"directions": torch.zeros(512, 64)},
        {"scale": torch.tensor(float("nan"), dtype=torch.float64)},
        {"extra": torch.zeros(1)},
    ],
    ids=["shape", "dtype", "not finite", "name"],
)
def test_what_is_no_detector_is_named(
    features: Tensor, head: tuple[Tensor, Tensor], changes: dict[str, Tensor]
) -> None:
    tensors = safetensors.torch.load(fit_familiarity(features, *head).to_bytes())
    with pytest.raises(CheckpointError, match=r"x\.safetensors does not hold a detector"):
        Familiarity.from_bytes(safetensors.torch.save(tensors | changes), "x.safetensors")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        Familiarity.from_bytes(b"nothing of the kind", "x.safetensors")


def test_the_stated_share_lies_below_the_threshold(generator: torch.Generator) -> None:
    scores = torch.randn(5000, generator=generator)
    share = (scores <= find_threshold(scores)).double().mean().item()
    assert share == pytest.approx(ACCEPTED, abs=1e-3)


def test_images_to_fit_to_are_of_the_whole_split() -> None:
    """A folder's images come class by class: the first so many would be of few classes."""
    rows = draw_rows(45_000)
    assert len(rows.unique()) == FITTED_IMAGES
    assert rows.tolist() == sorted(rows.tolist())
    shares = torch.bincount(rows * 10 // 45_000, minlength=10) / FITTED_IMAGES
    assert shares.min() > 0.08
    assert draw_rows(300).tolist() == list(range(300))
    assert torch.equal(rows, draw_rows(45_000))


def test_stored_weights_get_a_detector_and_its_shares(
    features: Tensor, head: tuple[Tensor, Tensor]
) -> None:
    weights = {"fc.weight": head[0].half(), "fc.bias": head[1].half()}
    validation, test = (Outputs(part, part @ head[0].T + head[1]) for part in features.split(1000))
    fitted = fit_stored(weights, features, validation, test)
    assert fitted is not None
    assert fitted.facts.validation_false_alarms == pytest.approx(1 - ACCEPTED, abs=2e-3)
    assert fitted.facts.test_false_alarms == pytest.approx(1 - ACCEPTED, abs=0.03)
    # Too few images, or a backbone that makes the same of all, and the run goes on without one.
    assert fit_stored(weights, features[: LEAST_IMAGES - 1], validation, test) is None
    nothing = Outputs(torch.zeros(9, 512), torch.zeros(9, 10))
    flat = {key: torch.zeros_like(tensor) for key, tensor in weights.items()}
    assert fit_stored(flat, torch.zeros(700, 512), nothing, nothing) is None
