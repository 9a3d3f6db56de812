"""What one step and one evaluation see: images for the full recipes, features for the frozen.

Both kinds offer the same three things, so the loop in `engine` has one path: the `network`
to train, `train_batch` to feed it, and `logits` to evaluate it.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from trainer.augment import EpochPlan, augment, normalise
from trainer.data import Split
from trainer.distributed import World
from trainer.model import compute_features, set_training_mode
from trainer.recipe import Recipe

EVALUATION_BATCH = 500


class Examples(Protocol):
    """Training and evaluation inputs for one recipe, resident on the device."""

    network: nn.Module
    """Maps what `train_batch` returns to logits."""

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        """Inputs and labels `(B,)` of the plan's positions `part`, augmented."""

    def logits(self, split: str) -> Tensor:
        """Logits `(N, 10)` float32 of `validation` or `test`, in evaluation mode, on the CPU."""


class ImageExamples:
    """Images `(N, 3, 32, 32)` uint8 on the device, augmented and normalised there."""

    def __init__(
        self,
        model: ResNet,
        recipe: Recipe,
        splits: dict[str, Split],
        device: torch.device,
        world: World,
    ) -> None:
        self.network = model
        self._recipe = recipe
        self._world = world
        self._splits = {
            name: Split(split.images.to(device), split.labels.to(device))
            for name, split in splits.items()
        }

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        rows = plan.order[part]
        train = self._splits["train"]
        pixels = augment(
            train.images[rows], plan.flip[part], plan.shift[part], self._recipe.crop_padding_px
        )
        return normalise(pixels, self._recipe.image_px), train.labels[rows]

    def logits(self, split: str) -> Tensor:
        self.network.eval()
        logits = over_images(
            self.network, self._splits[split].images, self._recipe.image_px, self._world
        )
        set_training_mode(self.network, self._recipe)
        return logits.cpu()


class FeatureExamples:
    """A frozen backbone's outputs, computed once and shared by every head trained on them."""

    def __init__(
        self,
        model: ResNet,
        recipe: Recipe,
        splits: dict[str, Split],
        device: torch.device,
        world: World,
    ) -> None:
        def features(images: Tensor) -> Tensor:
            return over_images(
                lambda inputs: compute_features(model, inputs),
                images.to(device),
                recipe.image_px,
                world,
            )

        self.network: nn.Module = model.fc
        self._features = {name: features(split.images) for name, split in splits.items()}
        self._labels = splits["train"].labels.to(device)

    def with_head(self, head: nn.Module) -> "FeatureExamples":
        """The same features under another last layer; nothing is computed again."""
        twin = object.__new__(FeatureExamples)
        twin.__dict__.update(self.__dict__, network=head)
        return twin

    def train_batch(self, plan: EpochPlan, part: slice) -> tuple[Tensor, Tensor]:
        rows = plan.order[part]
        return self._features["train"][rows], self._labels[rows]

    @torch.no_grad()
    def logits(self, split: str) -> Tensor:
        logits: Tensor = self.network(self._features[split])
        return logits.float().cpu()


@torch.no_grad()
def over_images(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    image_px: int,
    world: World | None = None,
) -> Tensor:
    """Applies `network` to `images (N, 3, 32, 32)` uint8 in batches, normalised, in float32.

    With several processes each does its share, and all get all rows.

    Returns:
        `(N, K)` float32 on the images' device, in the images' order.
    """
    world = world or World()
    share = images.tensor_split(world.size)[world.rank]
    batches = share.split(EVALUATION_BATCH)
    mine = torch.cat([network(normalise(batch, image_px)).float() for batch in batches])
    if world.size == 1:
        return mine
    rows = torch.zeros(len(images), mine.shape[1], device=images.device)
    first = sum(len(before) for before in images.tensor_split(world.size)[: world.rank])
    rows[first : first + len(mine)] = mine
    return world.sum(rows)
