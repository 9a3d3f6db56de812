"""What one step and one evaluation see: images for the full recipes, features for the frozen.

Both kinds offer the same three things, so the loop in `engine` has one path: the `network`
to evaluate, `train_batch` to feed it, and `logits` to evaluate it.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from trainer.augment import EpochPlan, augment, normalise
from trainer.data import Split
from trainer.distributed import World
from trainer.files import hash_tensors, read_cache, write_cache
from trainer.model import compute_features, set_training_mode
from trainer.recipe import Recipe
from trainer.resnet import is_head

EVALUATION_BATCH = {"cpu": 50, "cuda": 500, "mps": 500}
"""Images at once: on a processor so few that a layer's maps stay in its caches, which is twice as
fast at 64 px as 500."""
FEATURES_KEPT = 32
"""Splits in the cache: 2 kB an image."""


class Examples(Protocol):
    """Training and evaluation inputs for one recipe, resident on the device."""

    network: nn.Module
    """Maps what `train_batch` returns to logits."""
    image_px: int
    """Side of the images it sees."""

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        """Inputs and labels `(B,)` of the plan's positions `part`, augmented."""

    def logits(self, split: str) -> Tensor:
        """Logits `(N, 10)` float32 of `validation` or `test`, in evaluation mode, on the CPU."""


class ImageExamples:
    """Images `(N, 3, 32, 32)` uint8 on the device, augmented and normalised there."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        splits: dict[str, Split],
        device: torch.device,
        world: World,
    ) -> None:
        self.network = network
        self.image_px = recipe.image_px
        self._recipe = recipe
        self._world = world
        self._splits = {
            name: Split(split.images.to(device), split.labels.to(device))
            for name, split in splits.items()
        }

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        rows = plan.order[part]
        train = self._splits["train"]
        pixels = augment(train.images[rows], plan.part(part), self._recipe, self.image_px)
        return normalise(pixels, self.image_px), train.labels[rows]

    def logits(self, split: str) -> Tensor:
        self.network.eval()
        logits = over_images(self.network, self._splits[split].images, self.image_px, self._world)
        set_training_mode(self.network, self._recipe)
        return logits.cpu()


class FeatureExamples:
    """A frozen backbone's outputs, computed once and shared by every head trained on them."""

    def __init__(
        self, head: nn.Module, image_px: int, features: dict[str, Tensor], labels: Tensor
    ) -> None:
        """
        Args:
            image_px: side of the images that the features are of.
            features: split to `(N, 512)` float32, on the device (`features_of`).
            labels: `(N,)` int64 of the training split, on the device.
        """
        self.network = head
        self.image_px = image_px
        self._features = features
        self._labels = labels

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        rows = plan.order[part]
        return self._features["train"][rows], self._labels[rows]

    @torch.no_grad()
    def logits(self, split: str) -> Tensor:
        logits: Tensor = self.network(self._features[split])
        return logits.float().cpu()


@dataclass(frozen=True)
class Features:
    """A frozen backbone's outputs for every split, on the device."""

    of: dict[str, Tensor]
    """Split to `(N, 512)` float32."""
    seconds: float
    """What computing them took."""


def compute_all(
    model: ResNet,
    image_px: int,
    splits: dict[str, Split],
    device: torch.device,
    world: World,
    keep: bool,
) -> Features:
    """The features of every split.

    Args:
        keep: as for `features_of`.
    """
    started_s = time.monotonic()
    features = {
        name: features_of(model, split.images.to(device), image_px, world, keep)
        for name, split in splits.items()
    }
    return Features(features, time.monotonic() - started_s)


def features_of(
    model: ResNet, images: Tensor, image_px: int, world: World | None = None, keep: bool = False
) -> Tensor:
    """The backbone's outputs `(N, 512)` float32 for `images (N, 3, S, S)` uint8.

    Args:
        keep: read them from the user's cache, or leave them there, by content.
    """
    name = _name_features(model, images, image_px) if keep else ""
    cached = read_cache(name) if keep else None
    if cached is not None:
        return cached["features"].to(images.device)
    features = over_images(lambda inputs: compute_features(model, inputs), images, image_px, world)
    if keep:
        write_cache(name, {"features": features.cpu()}, FEATURES_KEPT)
    return features


def _name_features(model: ResNet, images: Tensor, image_px: int) -> str:
    """A name in the cache that says all that decides the features to the bit."""
    weights = {name: t.cpu() for name, t in model.state_dict().items() if not is_head(name)}
    arithmetic = (
        torch.__version__, images.device.type, torch.get_num_threads(),
        torch.backends.cpu.get_cpu_capability(),
        images.is_cuda and torch.backends.cudnn.allow_tf32,
    )  # fmt: skip
    parts = (image_px, arithmetic, hash_tensors(weights), hash_tensors({"images": images.cpu()}))
    return f"features-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


@torch.no_grad()
def over_images(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    image_px: int,
    world: World | None = None,
) -> Tensor:
    """Applies `network` to `images (N, 3, S, S)` uint8 in batches, normalised, in float32.

    With several processes each does its share, and all get all rows.

    Returns:
        `(N, K)` float32 on the images' device, in the images' order.
    """
    world = world or World()
    share = images.tensor_split(world.size)[world.rank]
    batches = share.split(EVALUATION_BATCH[images.device.type])
    mine = torch.cat([network(normalise(batch, image_px)).float() for batch in batches])
    if world.size == 1:
        return mine
    rows = torch.zeros(len(images), mine.shape[1], device=images.device)
    first = sum(len(before) for before in images.tensor_split(world.size)[: world.rank])
    rows[first : first + len(mine)] = mine
    return world.sum(rows)
