"""Augmentation and normalisation of whole batches, on the device the images live on.

All random choices of an epoch are drawn at once, from the seed and the epoch's number
alone. A run therefore resumes at any step without a generator's state, one process and
many see the same images, and a GPU never waits for the host.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.recipe import IMAGE_MEAN, IMAGE_STD, NATIVE_PX, Recipe


@dataclass(frozen=True)
class EpochPlan:
    """One epoch's order and augmentation, for every training image, on one device.

    `order (N,)` int64 rows; `flip (N,)` bool; `shift (N, 2)` int64 offsets (down, right) of
    the crop in the padded image. The latter two follow `order`.
    """

    order: Tensor
    flip: Tensor
    shift: Tensor


def plan_epoch(recipe: Recipe, epoch: int, count: int, device: torch.device) -> EpochPlan:
    """Draws epoch number `epoch` (from 1) of `count` images; depends on nothing else."""
    generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
    order = torch.randperm(count, generator=generator)
    flip = torch.rand(count, generator=generator) < (0.5 if recipe.flip else 0.0)
    shift = torch.randint(0, 2 * recipe.crop_padding_px + 1, (count, 2), generator=generator)
    return EpochPlan(order.to(device), flip.to(device), shift.to(device))


def augment(images: Tensor, flip: Tensor, shift: Tensor, padding_px: int) -> Tensor:
    """Shifts and mirrors a batch.

    Args:
        images: `(N, 3, H, W)` uint8.
        flip: `(N,)` bool, which to mirror left to right.
        shift: `(N, 2)` int64 in 0..2*padding_px, the crop's corner in the padded image.
        padding_px: pixels of reflected edge on each side.

    Returns:
        `(N, 3, H, W)` float32, still in 0..255.
    """
    pixels = images.float()
    count, _, height, width = pixels.shape
    if padding_px:
        pixels = F.pad(pixels, (padding_px,) * 4, mode="reflect")
        rows = shift[:, :1] + torch.arange(height, device=pixels.device)
        columns = shift[:, 1:] + torch.arange(width, device=pixels.device)
        image = torch.arange(count, device=pixels.device)[:, None, None]
        # Advanced indices around a slice put their dimensions first: (N, H, W, 3).
        pixels = pixels[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return torch.where(flip[:, None, None, None], pixels.flip(3), pixels)


def normalise(pixels: Tensor, image_px: int) -> Tensor:
    """Turns `(N, 3, 32, 32)` pixels in 0..255 into the network's input.

    Returns:
        `(N, 3, image_px, image_px)` float32 in channels_last, resized bilinearly, with the
        channel mean and standard deviation of `IMAGE_MEAN` and `IMAGE_STD` removed.
    """
    mean, std = _statistics(pixels.device)
    inputs = (pixels.float() - mean) / std
    if image_px != NATIVE_PX:
        inputs = F.interpolate(inputs, size=image_px, mode="bilinear", align_corners=False)
    return inputs.contiguous(memory_format=torch.channels_last)


@functools.lru_cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Channel mean and standard deviation in 0..255, `(3, 1, 1)` each, sent once a device."""
    mean = torch.tensor(IMAGE_MEAN).mul(255)[:, None, None]
    std = torch.tensor(IMAGE_STD).mul(255)[:, None, None]
    return mean.to(device), std.to(device)
