import math

import pytest
import torch

from bench.detectors import build_bank, measure_energy, measure_strangeness
from trainer.familiarity import measure_auroc


@pytest.fixture
def features(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten clusters of 200 in a 20-dimensional part of the 512."""
    centres = 5 * torch.randn(10, 20, generator=generator)
    labels = torch.arange(10).repeat_interleave(200)
    near = centres[labels] + torch.randn(2000, 20, generator=generator)
    return torch.cat([near, 0.01 * torch.randn(2000, 492, generator=generator)], dim=1), labels


@pytest.fixture
def foreign(generator: torch.Generator) -> torch.Tensor:
    elsewhere = 5 * torch.randn(300, 20, generator=generator)
    return torch.cat([elsewhere, torch.zeros(300, 492)], dim=1)


def test_neighbours_tell_other_clusters(
    features: tuple[torch.Tensor, torch.Tensor], foreign: torch.Tensor
) -> None:
    everything, labels = features
    bank = build_bank(everything[::2], labels[::2], size=500, dimensions=32)
    near = measure_strangeness(bank, everything[1::2], 5)
    assert near.shape == (1000,)
    assert measure_auroc(near, measure_strangeness(bank, foreign, 5)) > 0.95


def test_bank_is_small_drawn_by_its_seed_and_of_every_class(
    features: tuple[torch.Tensor, torch.Tensor],
) -> None:
    everything, labels = features
    bank = build_bank(everything, labels, size=100, dimensions=16)
    assert bank.vectors.shape == (100, 16)
    assert bank.nbytes == 2 * (100 * 16 + 512 + 512 * 16)
    again = build_bank(everything, labels, size=100, dimensions=16)
    assert torch.equal(bank.vectors, again.vectors)
    other = build_bank(everything, labels, size=100, dimensions=16, seed=1)
    assert not torch.equal(bank.vectors, other.vectors)
    # Each class has its ten vectors, so its images have ten near neighbours and not eleven.
    tenth = measure_strangeness(bank, everything, 10)
    eleventh = measure_strangeness(bank, everything, 11)
    assert (eleventh - tenth).median() > 0.1


def test_distance_is_to_the_neighbour_asked_for() -> None:
    corners = torch.eye(512)[:10]
    bank = build_bank(corners, torch.arange(10), size=10, dimensions=9)
    nearest = measure_strangeness(bank, 3 * corners[:1], 1)
    second = measure_strangeness(bank, 3 * corners[:1], 2)
    assert nearest.item() == pytest.approx(0.0, abs=0.05)
    # Centred, ten orthogonal corners are a simplex, whose corners meet at cosine -1/9.
    assert second.item() == pytest.approx((2 + 2 / 9) ** 0.5, abs=0.01)


def test_energy_is_low_where_evidence_is_high() -> None:
    none, much = measure_energy(torch.stack([torch.zeros(10), 9 * torch.eye(10)[3]]))
    assert none.item() == pytest.approx(-math.log(10))
    assert much < none
