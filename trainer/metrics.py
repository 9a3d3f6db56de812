"""Figures of merit as pure functions of tensors: `logits (N, 10)`, `labels (N,)`."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.calibration import BINS, measure_reliability
from trainer.recipe import CLASSES, ClassName
from trainer.record import Figures
from trainer.significance import SIGNIFICANCE


def measure(logits: Tensor, labels: Tensor) -> Figures:
    """Measures `logits (N, 10)` against `labels (N,)` int64, computing in float64."""
    logits = logits.detach().double().cpu()
    labels = labels.cpu()
    predicted = logits.argmax(dim=1)
    confusion = confusion_matrix(labels, predicted)
    per_class = confusion_shares(confusion).diagonal()
    return Figures(
        accuracy=(predicted == labels).double().mean().item(),
        loss=F.cross_entropy(logits, labels).item(),
        confusion=tuple(map(tuple, confusion.tolist())),
        per_class_accuracy=tuple(per_class.tolist()),
        best_class=CLASSES[int(per_class.argmax())],
        worst_class=CLASSES[int(per_class.argmin())],
        calibration_error=calibration_error(logits.softmax(dim=1), labels),
    )


def confusion_matrix(labels: Tensor, predicted: Tensor) -> Tensor:
    """Counts `(10, 10)` int64 of true class (row) against predicted class (column)."""
    side = len(CLASSES)
    return torch.bincount(labels * side + predicted, minlength=side**2).reshape(side, side)


def confusion_shares(confusion: Tensor) -> Tensor:
    """Counts `(true, predicted)` as shares of the true class, float64 in 0..1; a class that is
    absent has only zeros."""
    counts = confusion.double()
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error over equal-width bins of the top probability, 0..1
    (`calibration.Reliability.error`)."""
    return measure_reliability(probabilities, labels, bins).error


def most_confused(confusion: Tensor, count: int) -> list[tuple[int, int, int]]:
    """The `count` largest off-diagonal cells as (true, predicted, images), largest first."""
    errors = confusion.clone()
    errors.fill_diagonal_(0)
    largest = errors.flatten().argsort(descending=True, stable=True)[:count].tolist()
    side = len(confusion)
    return [(i // side, i % side, int(errors.flatten()[i])) for i in largest]


@dataclass(frozen=True)
class Overlap:
    """Two models on the same images: how many they get right together and alone."""

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int

    @property
    def images(self) -> int:
        return self.both_right + self.only_first + self.only_second + self.both_wrong

    @property
    def gap(self) -> float:
        """Accuracy of the first model minus the second's, -1..1."""
        return (self.only_first - self.only_second) / self.images

    @property
    def p_value(self) -> float:
        """Two-sided p of McNemar's exact test: that both err equally often.

        Of the images that exactly one model gets right, either is as likely to be it under
        that hypothesis, so the count is binomial with 1/2.
        Source: McNemar, "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12, 1947; exact form, binomial.
        """
        trials = self.only_first + self.only_second
        tail = ways = 1
        for k in range(min(self.only_first, self.only_second)):
            ways = ways * (trials - k) // (k + 1)  # "trials choose k + 1", from the one before
            tail += ways
        # An exact ratio of integers: 2.0 ** trials would overflow.
        return float(min(1.0, 2 * tail / (1 << trials)))

    @property
    def verdict(self) -> int:
        """1 where the first model is better, -1 where the second is, 0 where it may be chance."""
        if self.p_value >= SIGNIFICANCE:
            return 0
        return 1 if self.only_first > self.only_second else -1


def measure_overlap(labels: Tensor, first: Tensor, second: Tensor) -> Overlap:
    """Counts the images both, one or neither of two models gets right. All `(N,)` int64 classes."""
    one, two = first == labels, second == labels
    return Overlap(
        both_right=int((one & two).sum()),
        only_first=int((one & ~two).sum()),
        only_second=int((~one & two).sum()),
        both_wrong=int((~one & ~two).sum()),
    )


@dataclass(frozen=True)
class Shift:
    """What became of one class from one model to another, on the same images."""

    name: ClassName
    right: Overlap
    """On its own images: recognised by both, by only one of them, by neither."""
    taken: Overlap
    """On all other images: taken for it by both, by only one of them, by neither."""

    @property
    def points(self) -> float:
        """Share of its images that the second model recognises, minus the first's, -1..1."""
        return -self.right.gap

    @property
    def certain(self) -> int:
        """1 where the second model recognises more of it, -1 where fewer, 0 where that may be
        chance. As there are ten classes to find a difference in, one must be ten times as unlikely:
        Bonferroni's correction."""
        return -_correct(self.right)

    @property
    def taken_more(self) -> int:
        """The same of other images that are taken for it."""
        return -_correct(self.taken)


def _correct(overlap: Overlap) -> int:
    return overlap.verdict if overlap.p_value * len(CLASSES) < SIGNIFICANCE else 0


def measure_shifts(labels: Tensor, first: Tensor, second: Tensor) -> list[Shift]:
    """Every class of which there are images. All `(N,)` int64 classes."""
    shifts = []
    for label, name in enumerate(CLASSES):
        is_own = labels == label
        if not is_own.any():
            continue
        right, taken = (
            measure_overlap(torch.full_like(labels[rows], label), first[rows], second[rows])
            for rows in (is_own, ~is_own)
        )
        shifts.append(Shift(name, right, taken))
    return shifts


def find_only_right(labels: Tensor, predicted: Mapping[str, Tensor], name: str) -> Tensor:
    """Rows `(M,)` of the images that `name` alone gets right."""
    right = predicted[name] == labels
    for other, classes in predicted.items():
        if other != name:
            right = right & (classes != labels)
    return right.nonzero().flatten()


def measure_dispute(probabilities: Tensor) -> Tensor:
    """How far models are apart on each image, `(N,)` in 0..1: the mean total variation distance of
    their `probabilities (M, N, 10)` from the mean of all models."""
    mean = probabilities.mean(dim=0, keepdim=True)
    return ((probabilities - mean).abs().sum(dim=2) / 2).mean(dim=0)


def find_disagreements(predicted: Mapping[str, Tensor]) -> Tensor:
    """Rows `(M,)` of the images on which not all models say the same."""
    if not predicted:
        return torch.empty(0, dtype=torch.int64)
    answers = torch.stack(list(predicted.values()))
    return (answers != answers[0]).any(dim=0).nonzero().flatten()
