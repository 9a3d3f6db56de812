"""Which errors' images come with a set of checkpoints, and how images are sorted."""

import itertools

import pytest
import torch
from torch import Tensor

from trainer.checkpoint import Predictions
from trainer.metrics import measure_dispute
from trainer.mistakes import rank_mistakes


def answer(said: Tensor, sure: Tensor, labels: Tensor) -> Predictions:
    """Predictions that say `said` with probability `sure`."""
    rest = ((1 - sure) / 9)[:, None].expand(-1, 10).clone()
    return Predictions(rest.scatter(1, said[:, None], sure[:, None].float()), labels)


@pytest.fixture
def predictions(generator: torch.Generator) -> dict[str, Predictions]:
    labels = torch.arange(2000) % 10
    drawn = {}
    for name in ("sgd_full", "adam_full"):
        wrong = torch.rand(2000, generator=generator) < 0.3
        other = (labels + torch.randint(1, 10, (2000,), generator=generator)) % 10
        sure = 0.5 + torch.rand(2000, generator=generator) / 2.1
        drawn[name] = answer(torch.where(wrong, other, labels), sure, labels)
    return drawn


def test_only_errors_come_each_once(predictions: dict[str, Predictions]) -> None:
    ranked = rank_mistakes(predictions)
    assert len(ranked) == len(set(ranked))
    wrong = torch.stack([p.probabilities.argmax(1) != p.labels for p in predictions.values()])
    assert set(ranked) == set(wrong.any(dim=0).nonzero().flatten().tolist())


def test_every_kind_of_error_comes_before_any_comes_twice(
    predictions: dict[str, Predictions],
) -> None:
    first = rank_mistakes(predictions)[: 2 * 90 + 4]
    for one in predictions.values():
        said = one.probabilities.argmax(dim=1)
        for true, other in itertools.permutations(range(10), 2):
            cell = ((one.labels == true) & (said == other)).nonzero().flatten()
            if len(cell):
                surest = cell[one.probabilities[cell].amax(dim=1).argmax()].item()
                assert surest in first


def test_dispute_is_none_where_all_agree_and_most_where_none_does() -> None:
    same = torch.eye(10)[[3, 3, 3, 3]][:, None]
    apart = torch.eye(10)[[0, 1, 2, 3]][:, None]
    assert measure_dispute(same).item() == 0
    assert measure_dispute(apart).item() == pytest.approx(0.75)
    halves = torch.eye(10)[[0, 0, 3, 3]][:, None]
    assert measure_dispute(halves).item() == pytest.approx(0.5)
