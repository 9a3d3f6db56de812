"""How alike two networks see the same images: linear CKA."""

import torch
from torch import Tensor


def measure_cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment of two representations of the same images.

    1 where they agree up to rotation and scale, near 0 where they share nothing; exactly 1 of a
    representation with itself. It is estimated without bias, so it does not grow with the number of
    columns, as the plain formula does where they outnumber the images; it can be slightly negative.

    Args:
        one, other: `(N, P)` and `(N, Q)`, N at least 4; maps are flattened.

    Sources: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019,
    section 3; unbiased by Nguyen et al., "Do Wide and Deep Networks Learn the Same Things?", ICLR
    2021, equation 3, after Song et al., JMLR 2012.
    """
    first, second = _kernel(one), _kernel(other)
    norms = _hsic(first, first) * _hsic(second, second)
    return float(_hsic(first, second) / norms.sqrt())


def _kernel(values: Tensor) -> Tensor:
    """Scalar products `(N, N)` float64 of the centred rows, the diagonal left out."""
    flat = values.flatten(1).double()
    flat = flat - flat.mean(dim=0)  # changes no result, and keeps the numbers small
    kernel = flat @ flat.T
    return kernel.fill_diagonal_(0.0)


def _hsic(one: Tensor, other: Tensor) -> Tensor:
    """The unbiased estimate of the Hilbert-Schmidt independence criterion (Song et al., eq. 5)."""
    count = len(one)
    total = one.sum() * other.sum() / ((count - 1) * (count - 2))
    shared = torch.dot(one.sum(dim=0), other.sum(dim=0)) * 2 / (count - 2)
    return ((one * other).sum() + total - shared) / (count * (count - 3))
