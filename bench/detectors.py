"""Published detectors of foreign pictures that `bench.familiarity` holds ours against.

All read a model's 512 features and give one number a picture, larger for stranger.
"""

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


@dataclass(frozen=True)
class Gaussians:
    """One Gaussian a class with a shared covariance, and one of everything.

    Sources: Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples",
    NeurIPS 2018, equation 2; relative: Ren et al., arXiv:2106.09022.
    """

    means: Tensor
    """`(10, 512)` float32."""
    precision: Tensor
    """`(512, 512)` float32, the inverse of the shared covariance."""
    overall_mean: Tensor
    overall_precision: Tensor


def fit_gaussians(features: Tensor, labels: Tensor) -> Gaussians:
    """Fits `features (N, 512)` of `labels (N,)`."""
    features = features.double()
    means = torch.stack([features[labels == label].mean(dim=0) for label in range(len(CLASSES))])
    return Gaussians(
        means.float(),
        _invert(features - means[labels]),
        features.mean(dim=0).float(),
        _invert(features - features.mean(dim=0)),
    )


def _invert(centred: Tensor) -> Tensor:
    covariance = centred.T @ centred / len(centred)
    ridge = 1e-6 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    precision: Tensor = torch.linalg.inv(covariance + ridge).float()
    return precision


def mahalanobis(gaussians: Gaussians, features: Tensor, relative: bool = False) -> Tensor:
    """Squared Mahalanobis distance `(N,)` to the nearest class; `relative` takes that to everything
    from it."""
    away = features[:, None] - gaussians.means
    nearest: Tensor = (
        torch.einsum("nci,ij,ncj->nc", away, gaussians.precision, away).min(dim=1).values
    )
    if not relative:
        return nearest
    off = features - gaussians.overall_mean
    overall: Tensor = torch.einsum("ni,ij,nj->n", off, gaussians.overall_precision, off)
    return nearest - overall
