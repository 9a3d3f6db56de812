"""Published detectors of foreign pictures that `bench.familiarity` holds ours against: one number a
picture, larger for stranger."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.recipe import CLASSES


@dataclass(frozen=True)
class Bank:
    """Training features to measure distances to.

    Source: Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022:
    the distance of the normalised features to the k-th nearest normalised training features. The
    strongest of the simple detectors on CIFAR-10 in OpenOOD v1.5 (Zhang et al., 2023).
    """

    vectors: Tensor
    """`(M, D)` float16, each projected and of length 1."""
    mean: Tensor
    """`(512,)` float16, taken from the features of length 1."""
    basis: Tensor
    """`(512, D)` float16, the directions of most variance, orthonormal to rounding."""

    @property
    def nbytes(self) -> int:
        """What it takes to store."""
        return sum(t.nbytes for t in (self.vectors, self.mean, self.basis))


def build_bank(features: Tensor, labels: Tensor, size: int, dimensions: int, seed: int = 0) -> Bank:
    """Draws a bank from training features: as many of each class, projected on the directions of
    most variance.

    Args:
        features: `(N, 512)` float32.
        labels: `(N,)` int64.
        size: vectors to keep, over all classes.
        dimensions: of a kept vector.
    """
    unit = F.normalize(features)
    mean = unit.mean(dim=0)
    covariance = (unit - mean).T @ (unit - mean)
    _, directions = torch.linalg.eigh(covariance)  # in the order of rising variance
    basis = directions[:, -dimensions:].flip(1)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for label in range(len(CLASSES)):
        of_class = (labels == label).nonzero().flatten()
        order = torch.randperm(len(of_class), generator=generator)
        rows.append(of_class[order[: size // len(CLASSES)]])
    kept = F.normalize((unit[torch.cat(rows)] - mean) @ basis)
    return Bank(kept.half(), mean.half(), basis.half())


def measure_strangeness(bank: Bank, features: Tensor, neighbour: int) -> Tensor:
    """Distance `(N,)` float32 in 0..2 of `features (N, 512)` to the `neighbour`-th nearest of the
    bank, counted from 1."""
    unit = F.normalize(features.float())
    projected = F.normalize((unit - bank.mean.float()) @ bank.basis.float())
    likeness = projected @ bank.vectors.float().T
    nearest = likeness.topk(neighbour, dim=1).values[:, -1]
    return (2 - 2 * nearest).clamp(min=0).sqrt()


def measure_energy(logits: Tensor) -> Tensor:
    """Energy `(N,)` of `logits (N, 10)`: low where there is evidence for a class.

    Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020, equation 4 at
    temperature 1.
    """
    return -logits.logsumexp(dim=1)
