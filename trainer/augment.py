"""Augmentation and normalisation of whole batches, on the device the images live on.

All random choices of an epoch are drawn at once, from the seed and the epoch's number
alone. A run therefore resumes at any step without a generator's state, one process and
many see the same images, and a GPU never waits for the host.
"""

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.recipe import IMAGE_MEAN, IMAGE_STD, NATIVE_PX, Recipe

CROP_ASPECT = 4 / 3
"""A random resized crop is at most so many times as wide as high, or the reverse: the ratio of
Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6."""
BLUR_PX = (1.25, 2.0)
"""Native pixels that a blurred image mixes into one, from and to."""
_GREY = (0.299, 0.587, 0.114)
"""Luma of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True)
class EpochPlan:
    """One epoch's order and augmentation, for every training image, on one device.

    All but the first follow `order`.
    """

    order: Tensor
    """`(N,)` int64 rows."""
    flip: Tensor
    """`(N,)` bool, which to mirror left to right."""
    shift: Tensor
    """`(N, 2)` int64 in 0..2*padding, the crop's corner (down, right) in the padded image."""
    box: Tensor
    """`(N, 4)` float32: top, left, height and width of the resized crop, in the image's sides."""
    colour: Tensor
    """`(N, 3)` float32 factors of brightness, contrast and saturation."""
    blur: Tensor
    """`(N,)` float32 native pixels mixed into one; 1 leaves an image as it is."""
    sharpening: Tensor
    """`(N,)` float32 strength of the unsharp mask; 0 leaves an image as it is."""

    def part(self, part: slice) -> "EpochPlan":
        """The plan of some positions."""
        return EpochPlan(**{name: tensor[part] for name, tensor in vars(self).items()})


def plan_epoch(recipe: Recipe, epoch: int, count: int, device: torch.device) -> EpochPlan:
    """Draws epoch number `epoch` (from 1) of `count` images; depends on nothing else."""
    generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)

    def draw(columns: int, lowest: float, highest: float) -> Tensor:
        return torch.empty(count, columns).uniform_(lowest, highest, generator=generator)

    order = torch.randperm(count, generator=generator)
    flip = torch.rand(count, generator=generator) < (0.5 if recipe.flip else 0.0)
    shift = torch.randint(0, 2 * recipe.crop_padding_px + 1, (count, 2), generator=generator)
    area = draw(1, recipe.crop_area_min, recipe.crop_area_max)
    aspect = draw(1, -math.log(CROP_ASPECT), math.log(CROP_ASPECT)).exp()
    size = (
        torch.cat([area / aspect, area * aspect], dim=1)
        .sqrt()
        .clamp(max=max(1.0, recipe.crop_area_max**0.5))
    )
    if not recipe.crops:
        size.fill_(1.0)
    corner = draw(2, 0.0, 1.0) * (1.0 - size)
    colour = draw(3, 1.0 - recipe.colour_jitter, 1.0 + recipe.colour_jitter)
    blurred = draw(1, 0.0, 1.0)[:, 0] < recipe.blur_fraction
    blur = torch.where(blurred, draw(1, *BLUR_PX)[:, 0], 1.0)
    sharpening = draw(1, 0.0, recipe.sharpening)[:, 0]
    drawn = (order, flip, shift, torch.cat([corner, size], dim=1), colour, blur, sharpening)
    return EpochPlan(*(tensor.to(device) for tensor in drawn))


def augment(images: Tensor, plan: EpochPlan, recipe: Recipe, image_px: int) -> Tensor:
    """Shifts, recolours, crops, blurs, sharpens and mirrors a batch.

    Args:
        images: `(N, 3, 32, 32)` uint8.
        plan: of these very images.
        image_px: side of what is seen.

    Returns:
        `(N, 3, S, S)` float32, still in 0..255; S is `image_px` where the recipe resamples, else
        32.
    """
    pixels = images.float()
    if recipe.crop_padding_px:
        pixels = _shift(pixels, plan.shift, recipe.crop_padding_px)
    if recipe.colour_jitter:
        pixels = _recolour(pixels, plan.colour)
    if not recipe.resampled:
        return torch.where(plan.flip[:, None, None, None], pixels.flip(3), pixels)
    rows = _resampling(plan.box[:, 0], plan.box[:, 2], plan.blur, image_px)
    columns = _resampling(plan.box[:, 1], plan.box[:, 3], plan.blur, image_px)
    columns = torch.where(plan.flip[:, None, None], columns.flip(1), columns)
    enlarged = rows[:, None] @ pixels @ columns[:, None].mT
    if not recipe.sharpening:
        return enlarged
    soft = _soften(rows)[:, None] @ pixels @ _soften(columns)[:, None].mT
    return (enlarged + plan.sharpening[:, None, None, None] * (enlarged - soft)).clamp(0, 255)


def _shift(pixels: Tensor, shift: Tensor, padding_px: int) -> Tensor:
    """Crops of the size of `pixels (N, 3, H, W)` at `shift`, edges reflected."""
    count, _, height, width = pixels.shape
    pixels = F.pad(pixels, (padding_px,) * 4, mode="reflect")
    rows = shift[:, :1] + torch.arange(height, device=pixels.device)
    columns = shift[:, 1:] + torch.arange(width, device=pixels.device)
    image = torch.arange(count, device=pixels.device)[:, None, None]
    # Advanced indices around a slice put their dimensions first: (N, H, W, 3).
    return pixels[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _recolour(pixels: Tensor, colour: Tensor) -> Tensor:
    """Scales brightness, contrast (about the mean grey) and saturation (about each pixel's grey)
    of `pixels (N, 3, H, W)` in 0..255, in this order, as torchvision's `ColorJitter` does each."""
    brightness, contrast, saturation = colour[:, :, None, None, None].unbind(1)
    weights = _grey_weights(pixels.device)
    pixels = (pixels * brightness).clamp(max=255)
    grey = (pixels * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    pixels = torch.lerp(grey, pixels, contrast).clamp(0, 255)
    grey = (pixels * weights).sum(1, keepdim=True)
    return torch.lerp(grey, pixels, saturation).clamp(0, 255)


def _resampling(start: Tensor, length: Tensor, blur: Tensor, size: int) -> Tensor:
    """Matrices that enlarge one side of a crop, `(N, size, 32)` float32.

    Each output pixel is a mean of the input pixels around its centre, weighted by a triangle:
    bilinear at a half-width of one pixel, as if the image had been reduced at more.

    Args:
        start, length: `(N,)` in sides of the image; what lies outside is mirrored at its edges.
        blur: `(N,)` the triangle's half-width in native pixels.
    """
    steps = (torch.arange(size, device=start.device) + 0.5) / size
    centres = (start[:, None] + length[:, None] * steps) * NATIVE_PX - 0.5
    edge = NATIVE_PX - 0.5
    centres = edge - (edge - (centres + 0.5).abs() + 0.5).abs()  # mirrored at either edge
    centres = centres.clamp(0, NATIVE_PX - 1)[:, :, None]
    distance = (centres - torch.arange(NATIVE_PX, device=start.device)).abs()
    weights = (1 - distance / blur[:, None, None]).clamp(min=0)
    return weights / weights.sum(2, keepdim=True)


def _soften(weights: Tensor) -> Tensor:
    """Resampling matrices `(N, S, 32)` with their output blurred by the binomial 1, 2, 1 (edges
    reflected), as an unsharp mask needs it."""
    padded = torch.cat([weights[:, 1:2], weights, weights[:, -2:-1]], dim=1)
    return (padded[:, :-2] + 2 * weights + padded[:, 2:]) / 4


def normalise(pixels: Tensor, image_px: int) -> Tensor:
    """Turns `(N, 3, S, S)` pixels in 0..255 into the network's input.

    Returns:
        `(N, 3, image_px, image_px)` float32 in channels_last, resized bilinearly, with the
        channel mean and standard deviation of `IMAGE_MEAN` and `IMAGE_STD` removed.
    """
    mean, std = _statistics(pixels.device)
    inputs = (pixels.float() - mean) / std
    if pixels.shape[-1] != image_px:
        inputs = F.interpolate(inputs, size=image_px, mode="bilinear", align_corners=False)
    return inputs.contiguous(memory_format=torch.channels_last)


@functools.lru_cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Channel mean and standard deviation in 0..255, `(3, 1, 1)` each, sent once a device."""
    mean = torch.tensor(IMAGE_MEAN).mul(255)[:, None, None]
    std = torch.tensor(IMAGE_STD).mul(255)[:, None, None]
    return mean.to(device), std.to(device)


@functools.lru_cache
def _grey_weights(device: torch.device) -> Tensor:
    """`_GREY` as `(3, 1, 1)` float32, sent once a device."""
    return torch.tensor(_GREY)[:, None, None].to(device)
