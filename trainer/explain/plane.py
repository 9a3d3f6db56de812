"""A map of features: 512 numbers an image, drawn as a point, the same way for every model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

AXES = 2


@dataclass(frozen=True)
class Projection:
    """How one backbone's features are placed on the plane that all share: an affine map."""

    origin: Tensor
    """`(512,)` float32, the mean of the images it was fitted on."""
    directions: Tensor
    """`(512, 2)` float32."""

    def place(self, features: Tensor) -> Tensor:
        """Points `(N, 2)` float32 of `features (N, 512)`, seen before or not."""
        return (features.float() - self.origin) @ self.directions


@dataclass(frozen=True)
class Plane:
    """The plane, as the images it was fitted on lie on it."""

    scores: Tensor
    """`(M, 2)` float32 of length 1 a column: the shared coordinates, up to their scale."""
    spread: Tensor
    """`(2,)` float32: the singular value of each axis."""
    explained: tuple[float, ...]
    """Share of the variation of all features that each axis shows, 0..1."""

    def fit(self, features: Tensor) -> Projection:
        """How a backbone's `features (M, 512)` of the same images lie on the plane.

        An image's points on the maps of those that made the plane add up to `scores * spread`;
        another one, a job's, is added without moving them.
        """
        scaled, origin, scale = _prepare(features)
        directions = scaled.T @ self.scores.double() / self.spread.double()
        return Projection(origin.float(), (directions / scale).float())


def fit_plane(features: Mapping[str, Tensor]) -> Plane:
    """Fits one plane to several backbones at once, so that their maps can be compared.

    Each one's features of the same images are centred and divided by their largest singular value,
    so that none dominates; they are set side by side, and the two principal components of the whole
    are the axes: multiple factor analysis. An image then lies at about the same place in every map
    where the models see it alike, without a rotation chosen by eye. Signs are fixed: the largest
    coordinate of each axis is positive.

    Source: Abdi, Williams and Valentin, "Multiple factor analysis", WIREs Computational Statistics
    2013, sections "Step 1" and "Step 2"; partial scores, their equation 19.

    Args:
        features: backbone to `(M, 512)`, the same images in the same order.
    """
    tables = [_prepare(each)[0] for each in features.values()]
    side_by_side = torch.cat(tables, dim=1)
    gram = side_by_side @ side_by_side.T
    values, vectors = torch.linalg.eigh(gram)
    scores = vectors[:, -AXES:].flip(1)
    scores = scores * scores.gather(0, scores.abs().argmax(dim=0, keepdim=True)).sign()
    largest = values[-AXES:].flip(0)
    shares = (largest / values.sum()).tolist()
    return Plane(scores.float(), largest.sqrt().float(), tuple(shares))


def measure_separation(points: Tensor, labels: Tensor) -> float:
    """Share 0..1 of the points that lie nearest to the centre of their own class; a tenth by
    chance.

    Args:
        points: `(N, 2)`.
        labels: `(N,)` int64; classes without a point have no centre.
    """
    classes = labels.unique()
    centres = torch.stack([points[labels == label].mean(dim=0) for label in classes])
    nearest = classes[torch.cdist(points, centres).argmin(dim=1)]
    return float((nearest == labels).double().mean())


def _prepare(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features centred and divided by their first singular value, that centre and that value."""
    exact = features.double()
    origin = exact.mean(dim=0)
    centred = exact - origin
    scale = torch.linalg.matrix_norm(centred, 2)
    return centred / scale, origin, scale
