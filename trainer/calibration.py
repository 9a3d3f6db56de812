"""How far stated confidence can be believed: reliability, and one temperature that mends it.

Pure functions of tensors: `logits (N, 10)`, `labels (N,)`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 15
"""Equal-width bins of confidence, as Guo et al. use them."""
COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is sought."""
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
    def error(self) -> float:
        """Expected calibration error, 0..1: equation 3 there."""
        shares = self.counts / self.counts.sum()
        return (shares * (self.accuracy - self.confidence).abs()).sum().item()


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
    """The temperature T > 0 at which `logits / T` has the least cross-entropy.

    Give validation logits: the test split only measures. Dividing by T changes no answer, only
    how sure it is: above 1 the model was too sure.

    Source: Guo et al., 2017, section 4.2. The cross-entropy is convex in 1/T, so it has one
    minimum along log T, which a golden-section search finds (Kiefer, 1953).
    """
    logits, labels = logits.detach().double().cpu(), labels.cpu()

    def loss(log_temperature: Tensor) -> float:
        return F.cross_entropy(logits / log_temperature.exp(), labels).item()

    low, high = torch.tensor([COLDEST, HOTTEST], dtype=torch.float64).log()
    for _ in range(_STEPS):
        inner = high - _GOLDEN * (high - low)
        outer = low + _GOLDEN * (high - low)
        if loss(inner) < loss(outer):
            high = outer
        else:
            low = inner
    return float(((low + high) / 2).exp())
