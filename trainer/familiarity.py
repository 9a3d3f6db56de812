"""Is a picture like anything the model was trained on? One number a picture, larger for stranger.

Chosen in docs/familiarity.md; functions of tensors, and how a detector is stored.
"""

from dataclasses import dataclass
from typing import Self

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from trainer.errors import CheckpointError
from trainer.resnet import FEATURES

DIMENSIONS = 64
"""Directions of the features in which training images vary most."""
FITTED_IMAGES = 5_000
"""Training images a detector is fitted to, at most."""
LEAST_IMAGES = 10 * DIMENSIONS
"""Fewer tell too little of the directions: no detector is fitted."""
ACCEPTED = 0.96
"""Share of the validation images below the threshold; chosen on photographs."""
ALLOWED_FALSE_ALARMS = 0.08
"""Share of photographs of the ten classes that may be said to be none of them."""


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
    """`(512, DIMENSIONS)` float16, orthonormal to rounding."""
    scale: float
    """Makes the distance from the directions as large as the largest logit, on training images."""

    @property
    def nbytes(self) -> int:
        """What it takes to store."""
        return self.origin.nbytes + self.directions.nbytes

    def to_bytes(self) -> bytes:
        """A safetensors file's content."""
        scale = torch.tensor(self.scale, dtype=torch.float64)
        tensors = {"origin": self.origin, "directions": self.directions, "scale": scale}
        return safetensors.torch.save({key: t.contiguous() for key, t in tensors.items()})

    @classmethod
    def from_bytes(cls, content: bytes, source: str) -> Self:
        """Reads what `to_bytes` wrote.

        Args:
            source: the file's name, for the error.

        Raises:
            CheckpointError: it is something else, or holds a value that is not finite.
        """
        try:
            tensors = safetensors.torch.load(content)
        except SafetensorError as error:
            raise CheckpointError("checkpoint_not_safetensors", file=source) from error
        expected = {
            "origin": ((FEATURES,), torch.float32),
            "directions": ((FEATURES, DIMENSIONS), torch.float16),
            "scale": ((), torch.float64),
        }
        found = {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in tensors.items()}
        if found != expected or not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise CheckpointError("detector_damaged", file=source)
        return cls(tensors["origin"], tensors["directions"], tensors["scale"].item())

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


def draw_rows(count: int) -> Tensor:
    """Rows `(M,)` int64 of the training images to fit to, of `count`; in rising order."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[:FITTED_IMAGES].sort().values


def find_threshold(scores: Tensor) -> float:
    """The score `(N,)` above which a picture is said to be foreign: `ACCEPTED` of these lie below.

    Give validation scores: the test split only measures.
    """
    return scores.double().quantile(ACCEPTED).item()


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
