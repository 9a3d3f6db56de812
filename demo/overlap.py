"""How the errors of models overlap. Pure tensors: labels and predicted classes `(N,)` int64."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Overlap:
    """Two models on the same images: how many they get right together and alone."""

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int

    @property
    def p_value(self) -> float:
        """Two-sided p of McNemar's exact test: that both err equally often.

        Of the images that exactly one model gets right, either is as likely to be it under
        that hypothesis, so the count is binomial with 1/2.
        Source: McNemar, "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12, 1947; exact form, binomial.
        """
        trials = self.only_first + self.only_second
        tail = sum(math.comb(trials, k) for k in range(min(self.only_first, self.only_second) + 1))
        # An exact ratio of integers: 2.0 ** trials would overflow.
        return float(min(1.0, 2 * tail / (1 << trials)))


def measure_overlap(labels: Tensor, first: Tensor, second: Tensor) -> Overlap:
    """Counts the images both, one or neither of two models gets right."""
    one, two = first == labels, second == labels
    return Overlap(
        both_right=int((one & two).sum()),
        only_first=int((one & ~two).sum()),
        only_second=int((~one & two).sum()),
        both_wrong=int((~one & ~two).sum()),
    )


def find_only_right(labels: Tensor, predicted: Mapping[str, Tensor], name: str) -> Tensor:
    """Rows `(M,)` of the images that `name` alone gets right."""
    right = predicted[name] == labels
    for other, classes in predicted.items():
        if other != name:
            right = right & (classes != labels)
    return right.nonzero().flatten()


def find_disagreements(predicted: Mapping[str, Tensor]) -> Tensor:
    """Rows `(M,)` of the images on which not all models say the same."""
    if not predicted:
        return torch.empty(0, dtype=torch.int64)
    answers = torch.stack(list(predicted.values()))
    return (answers != answers[0]).any(dim=0).nonzero().flatten()
