"""The models between two models: weights on the straight line from one to the other."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.augment import normalise
from trainer.resnet import FoldedBackbone, is_head, list_statistics

STATISTICS = ("running_mean", "running_var")
BATCH = 50
"""Images at once: so few that a layer's maps stay in a processor's caches."""


@dataclass(frozen=True)
class Path:
    """A straight line between two sets of weights.

    Source: Goodfellow, Vinyals and Saxe, "Qualitatively characterizing neural network optimization
    problems", ICLR 2015, section 3. Between the ends BatchNorm's statistics belong to neither, so
    they are estimated anew on the sample, as Izmailov et al. do for averaged weights ("Averaging
    Weights Leads to Wider Optima", UAI 2018, section 3); the ends keep their own.
    """

    start: Mapping[str, Tensor]
    end: Mapping[str, Tensor]
    """torchvision's state dicts, any floating dtype."""
    image_px: int
    """Side of the inputs at every point."""
    statistics: Tensor | None
    """`(P, 2, 4800)` float32: BatchNorm's running means and variances at P places between the
    ends, evenly apart, in the order of `resnet.list_statistics`; None where the ends have the same
    backbone, and only the last layer changes along the path."""

    def weights_at(self, place: float) -> dict[str, Tensor]:
        """The state dict, float32, at a place between 0 (the start) and 1 (the end).

        Statistics between two points are interpolated. The ends are the models themselves.
        """
        weights = interpolate(self.start, self.end, place)
        if self.statistics is not None and 0 < place < 1:
            weights |= unpack_statistics(self._statistics_at(place), weights)
        return weights

    def classify(self, place: float, images: Tensor) -> Tensor:
        """Logits `(N, 10)` float32 of the model at a place, for `images (N, 3, S, S)` uint8.

        The model is made anew: some 50 ms on two cores.
        """
        weights = self.weights_at(place)
        with torch.inference_mode():
            backbone = FoldedBackbone(weights, self.image_px)
            batches = images.split(BATCH)
            features = [backbone(normalise(batch, self.image_px)) for batch in batches]
        return self.classify_features(place, torch.cat(features))

    def classify_features(self, place: float, features: Tensor) -> Tensor:
        """Logits `(N, 10)` float32 of the last layer at a place, for `features (N, 512)`.

        Where the ends have the same backbone, the features of either (`Answers.features`) are those
        of every place, and no pass is needed.
        """
        head = interpolate(self.start, _head_of(self.end), place)
        return F.linear(features, head["fc.weight"], head["fc.bias"])

    def _statistics_at(self, place: float) -> Tensor:
        assert self.statistics is not None
        ends = [pack_statistics(self.start)[None], pack_statistics(self.end)[None]]
        known = torch.cat([ends[0], self.statistics, ends[1]])
        steps = place * (len(known) - 1)
        before = min(int(steps), len(known) - 2)
        between: Tensor = torch.lerp(known[before], known[before + 1], steps - before)
        return between


def list_places(points: int) -> list[float]:
    """So many places from 0 to 1, evenly apart: of 11, 0, 0.1, ..., 1."""
    return [index / (points - 1) for index in range(points)]


def interpolate(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], place: float
) -> dict[str, Tensor]:
    """(1 - place) * start + place * end of what `end` holds, float32; counters are the end's."""
    return {
        name: (1 - place) * start[name].float() + place * tensor.float()
        if tensor.is_floating_point()
        else tensor
        for name, tensor in end.items()
    }


def _head_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if is_head(name)}


def have_one_backbone(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> bool:
    """True where two models differ at most in their last layer."""
    return all(torch.equal(start[name], end[name]) for name in end if not is_head(name))


def pack_statistics(weights: Mapping[str, Tensor]) -> Tensor:
    """BatchNorm's running means and variances of a state dict, `(2, 4800)` float32."""
    return torch.stack(
        [
            torch.cat([weights[name].float() for name in list_statistics(part)])
            for part in STATISTICS
        ]
    )


def unpack_statistics(statistics: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `pack_statistics`, shapes as in `like`."""
    unpacked: dict[str, Tensor] = {}
    for part, values in zip(STATISTICS, statistics, strict=True):
        names = list_statistics(part)
        sizes = [len(like[name]) for name in names]
        unpacked |= dict(zip(names, values.split(sizes), strict=True))
    return unpacked
