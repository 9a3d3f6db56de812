"""How far stated confidence can be believed: reliability, and one temperature that mends it.

Pure functions of tensors: `logits (N, 10)`, `labels (N,)`. Confidence is the probability of the
answer, the largest of the ten.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 15
"""Equal-width bins of confidence, as Guo et al. use them."""
COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is sought."""
LEAST_IN_BIN = 50
"""Images below which the share that is right says too little to be drawn."""
PRIOR_SPREAD = 0.5
"""Standard deviation of a temperature's logarithm before any image is seen: 95 % of temperatures
between 0.38 and 2.7. It decides where images are few, and changes nothing where they are many."""
CHANCE = 1.96
"""Standard errors within which 95 % of what is due to chance lies."""
_GOLDEN = (5**0.5 - 1) / 2
_STEPS = 60


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of the top probability, each tensor `(bins,)`.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """

    counts: Tensor
    """Images, int64."""
    confidence: Tensor
    """Mean top probability, 0..1 float64; 0 in an empty bin."""
    accuracy: Tensor
    """Share that is right, 0..1 float64; 0 in an empty bin."""

    @property
    def groups(self) -> list[tuple[float, float]]:
        """Confidence and share that is right of the bins that hold enough images to say much."""
        enough = self.counts >= LEAST_IN_BIN
        said, right = self.confidence[enough].tolist(), self.accuracy[enough].tolist()
        return list(zip(said, right, strict=True))

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: equation 3 there."""
        return self._mean((self.accuracy - self.confidence).abs())

    @property
    def stated(self) -> float:
        """Mean confidence of all images, 0..1."""
        return self._mean(self.confidence)

    @property
    def right(self) -> float:
        """Share of all images that is right, 0..1, as exact as a count."""
        right = (self.accuracy * self.counts).round().sum()
        return (right / self.counts.sum()).item()

    @property
    def lean(self) -> int:
        """1 where the model is too sure of itself, -1 where it is too cautious, 0 where the
        difference may be chance.

        If confidence were true, an image stated with confidence c would be right or wrong with
        variance c (1 - c); c is taken as the mean of its bin.
        """
        gap = self.stated - self.right
        variance = self._mean(self.confidence * (1 - self.confidence)) / int(self.counts.sum())
        if abs(gap) <= CHANCE * variance**0.5:
            return 0
        return 1 if gap > 0 else -1

    def _mean(self, values: Tensor) -> float:
        """The mean over images of what their bins have, `(bins,)`."""
        return ((self.counts / self.counts.sum()) * values).sum().item()


@dataclass(frozen=True)
class Confidence:
    """A model's reliability before and after its temperature."""

    temperature: float
    trained: Reliability
    """Of the logits as they are."""
    shown: Reliability
    """Of the logits divided by the temperature: of the probabilities that people read."""

    @property
    def fitted(self) -> bool:
        """False where the two are the same: records of earlier versions have no temperature."""
        return self.temperature != 1.0


def temper(logits: Tensor, temperature: float) -> Tensor:
    """The probabilities `(N, 10)` that people are told: the softmax of `logits / temperature`.

    A constant added to a row changes nothing, so the logarithms of probabilities that were made
    without a temperature do as well as their logits. In float64 no two float32 logits become equal
    on the way: the order of the classes, and so every answer, stays.

    Source: Guo et al., 2017, equation 9.
    """
    return (logits.double() / temperature).softmax(dim=1)


def measure_confidence(probabilities: Tensor, labels: Tensor, temperature: float) -> Confidence:
    """A model's confidence before and after its temperature, on images that played no part in it.

    Args:
        probabilities: `(N, 10)`, recorded without the temperature.
        labels: `(N,)` true classes.
    """
    shown = temper(probabilities.double().log(), temperature)
    return Confidence(
        temperature,
        measure_reliability(probabilities, labels),
        measure_reliability(shown, labels),
    )


def measure_reliability(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """Sorts `probabilities (N, 10)` with true `labels (N,)` into bins of the top probability."""
    confidence, predicted = probabilities.double().max(dim=1)
    right = (predicted == labels).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(index, minlength=bins)
    zeros = torch.zeros(bins, dtype=torch.float64, device=probabilities.device)
    filled = counts.clamp(min=1)
    return Reliability(
        counts,
        zeros.index_add(0, index, confidence) / filled,
        zeros.index_add(0, index, right) / filled,
    )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T > 0 at which `logits / T` fit the labels best.

    Give validation logits: the test split only measures. Dividing by T changes no answer, only
    how sure it is: above 1 the model was too sure.

    The best is the least cross-entropy (Guo et al., 2017, section 4.2), plus the cost of a T that
    is unlikely beforehand (`PRIOR_SPREAD`). Without it, ten images that are all right would make
    the model certain of everything. A golden-section search along log T finds it (Kiefer, 1953).
    """
    logits, labels = logits.detach().double().cpu(), labels.cpu()

    def loss(log_temperature: Tensor) -> float:
        misfit = F.cross_entropy(logits / log_temperature.exp(), labels)
        unlikely = (log_temperature / PRIOR_SPREAD) ** 2 / 2
        return (misfit + unlikely / len(labels)).item()

    low, high = torch.tensor([COLDEST, HOTTEST], dtype=torch.float64).log()
    for _ in range(_STEPS):
        inner = high - _GOLDEN * (high - low)
        outer = low + _GOLDEN * (high - low)
        if loss(inner) < loss(outer):
            high = outer
        else:
            low = inner
    return float(((low + high) / 2).exp())
