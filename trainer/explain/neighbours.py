"""What a model takes a picture for: the training images nearest in its own features."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 8
"""How many are shown, and counted in a sentence."""
_LARGEST = 127


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images, the nearest first; of equals, the first in the bank."""

    rows: Tensor
    """`(N, K)` int64 in the bank, that is in the training part of the embedded sample."""
    labels: Tensor
    """`(N, K)` int64."""
    similarity: Tensor
    """`(N, K)` float32, cosine, 0..1 for features that are never negative."""


@dataclass(frozen=True)
class Bank:
    """The features of M training images in one backbone, as they are stored."""

    vectors: Tensor
    """`(M, 512)` int8, each image's features divided by its largest, times 127."""
    labels: Tensor
    """`(M,)` int64."""

    @cached_property
    def _directions(self) -> Tensor:
        """`(M, 512)` float32 of length 1."""
        return F.normalize(self.vectors.float(), dim=1)

    def find(self, features: Tensor, count: int = NEIGHBOURS) -> Neighbours:
        """The `count` stored images nearest to each of `features (N, 512)`, by cosine.

        Compared with all of them, one after the other: 1,800 take a millisecond.

        Source: the nearest neighbours of Wu et al., "Unsupervised Feature Learning via
        Non-Parametric Instance Discrimination", CVPR 2018, section 3.4.
        """
        similarity = F.normalize(features.float(), dim=1) @ self._directions.T
        ordered = similarity.sort(dim=1, descending=True, stable=True)
        rows = ordered.indices[:, :count]
        return Neighbours(rows, self.labels[rows], ordered.values[:, :count])


def quantise(features: Tensor) -> Tensor:
    """Features `(M, 512)` as a bank stores them, int8. Their lengths are lost, which a cosine does
    not see."""
    largest = features.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(features.dtype).tiny)
    return (_LARGEST * features / largest).round().to(torch.int8)
