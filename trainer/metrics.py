"""Figures of merit as pure functions of tensors: `logits (N, 10)`, `labels (N,)`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.calibration import BINS, measure_reliability
from trainer.recipe import CLASSES

ACCEPTED_FRACTION = 0.95
"""Share of familiar images that `energy_threshold` takes for such: the operating point of
Liu et al. (see `energy`)."""


@dataclass(frozen=True)
class Figures:
    """What one model does on one labelled set."""

    accuracy: float
    """Share of images whose largest logit is the label's, 0..1."""
    loss: float
    """Mean cross-entropy in nats."""
    confusion: Tensor
    """`(10, 10)` int64 counts, rows the true class, columns the predicted one."""
    calibration_error: float
    """Expected calibration error, 0..1: see `calibration_error`."""


def measure(logits: Tensor, labels: Tensor) -> Figures:
    """Measures `logits (N, 10)` against `labels (N,)` int64, computing in float64."""
    logits = logits.detach().double().cpu()
    labels = labels.cpu()
    predicted = logits.argmax(dim=1)
    return Figures(
        accuracy=(predicted == labels).double().mean().item(),
        loss=F.cross_entropy(logits, labels).item(),
        confusion=confusion_matrix(labels, predicted),
        calibration_error=calibration_error(logits.softmax(dim=1), labels),
    )


def confusion_matrix(labels: Tensor, predicted: Tensor, classes: int = len(CLASSES)) -> Tensor:
    """Counts `(classes, classes)` int64 of true class (row) against predicted class (column)."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(
        classes, classes
    )


def per_class_accuracy(confusion: Tensor) -> Tensor:
    """Share of each true class predicted right, `(10,)` float64; 0 where a class is absent."""
    return confusion.diagonal().double() / confusion.sum(dim=1).clamp(min=1)


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error over equal-width bins of the top probability, 0..1
    (`calibration.Reliability.error`)."""
    return measure_reliability(probabilities, labels, bins).error


def energy(logits: Tensor) -> Tensor:
    """Energy score `(N,)` of `logits (N, 10)`: low where the model has evidence for a class.

    Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020,
    equation 4 at temperature 1.
    """
    return -torch.logsumexp(logits.double(), dim=1)


def energy_threshold(logits: Tensor) -> float:
    """Energy below which `ACCEPTED_FRACTION` of these in-distribution images lie.

    Give validation logits: the test split only measures.
    """
    return energy(logits).quantile(ACCEPTED_FRACTION).item()


def most_confused(confusion: Tensor, count: int) -> list[tuple[int, int, int]]:
    """The `count` largest off-diagonal cells as (true, predicted, images), largest first."""
    errors = confusion.clone()
    errors.fill_diagonal_(0)
    largest = errors.flatten().argsort(descending=True, stable=True)[:count].tolist()
    side = len(confusion)
    return [(i // side, i % side, int(errors.flatten()[i])) for i in largest]
