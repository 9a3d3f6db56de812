"""Is a picture like anything the model was trained on? One number a picture, larger for stranger.

Chosen in docs/familiarity.md; pure functions of tensors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

DIMENSIONS = 64
"""Directions of the features in which training images vary most."""


@dataclass(frozen=True)
class Familiarity:
    """What the training features look like, as small as it can be stored.

    A picture is strange in as far as its features leave the directions in which training images
    vary, set against the evidence the logits hold for any class.

    Source: Wang et al., "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022,
    sections 4.1 and 4.2; the score is the logarithm of the virtual class's odds.
    """

    origin: Tensor
    """`(512,)` float32, where the last layer's logits are all equal to rounding."""
    directions: Tensor
    """`(512, D)` float16, orthonormal to rounding."""
    scale: float
    """Makes the distance from the directions as large as the largest logit, on training images."""

    @property
    def nbytes(self) -> int:
        """What it takes to store."""
        return self.origin.nbytes + self.directions.nbytes

    def measure(self, features: Tensor, logits: Tensor) -> Tensor:
        """Strangeness `(N,)` float32 of `features (N, 512)` with `logits (N, 10)`, in nats."""
        return self.scale * self._residual(features) - logits.float().logsumexp(dim=1)

    def _residual(self, features: Tensor) -> Tensor:
        """Length `(N,)` of what the directions do not reach."""
        directions = self.directions.float()
        away = features.float() - self.origin
        residual: Tensor = (away - (away @ directions) @ directions.T).norm(dim=1)
        return residual


def fit_familiarity(
    features: Tensor, weight: Tensor, bias: Tensor, dimensions: int = DIMENSIONS
) -> Familiarity:
    """Fits training `features (N, 512)` under the last layer's `weight (10, 512)` and `bias (10,)`.

    A few thousand images do; N must exceed `dimensions`.
    """
    features, weight, bias = features.double(), weight.double(), bias.double()
    origin = -torch.linalg.pinv(weight) @ bias
    away = features - origin
    _, directions = torch.linalg.eigh(away.T @ away / len(away))  # in the order of rising variance
    unscaled = Familiarity(origin.float(), directions[:, -dimensions:].half(), 1.0)
    largest = (features @ weight.T + bias).amax(dim=1).mean()
    scale = largest / unscaled._residual(features).double().mean()
    return Familiarity(unscaled.origin, unscaled.directions, float(scale))


def measure_auroc(familiar: Tensor, foreign: Tensor) -> float:
    """Probability that a foreign picture scores above a familiar one, ties counted half.

    Args:
        familiar, foreign: `(N,)` and `(M,)` scores, larger for stranger.

    Source: the Mann-Whitney U statistic (Fawcett, "An introduction to ROC analysis", 2006).
    """
    ordered = familiar.double().sort().values
    foreign = foreign.double()
    below = torch.searchsorted(ordered, foreign, right=False)
    not_above = torch.searchsorted(ordered, foreign, right=True)
    return ((below + not_above).double() / 2).mean().item() / len(ordered)
