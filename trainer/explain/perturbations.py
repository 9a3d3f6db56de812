"""What would change a model's mind: a picture made worse, little by little."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from trainer.recipe import NATIVE_PX

Kind = Literal["blur", "brightness", "noise", "jpeg", "rotation", "crop"]
Classify = Callable[[Tensor], Mapping[str, Tensor]]
"""Images `(N, 3, S, S)` uint8 to each model's probabilities `(N, 10)`, as they are shown."""
_NOISE_SEED = 0
_TRUNCATE = 3.0
"""A Gaussian is cut off so many standard deviations from its middle."""


@dataclass(frozen=True)
class Perturbation:
    """One way to change a picture, and how far a slider goes."""

    kind: Kind
    label: str
    unit: str
    amounts: tuple[float, ...]
    """Evenly apart, from one end of the slider to the other; `neutral` is among them."""
    neutral: float
    """The amount that changes nothing, to the bit."""

    def strength(self, amount: float) -> float:
        """How far an amount is from neutral, 0..1 of the farther end of the slider."""
        reach = max(abs(end - self.neutral) for end in (self.amounts[0], self.amounts[-1]))
        return abs(amount - self.neutral) / reach


PERTURBATIONS: dict[Kind, Perturbation] = {
    each.kind: each
    for each in (
        Perturbation("blur", "Blur", "px", (0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2), 0.0),
        Perturbation(
            "brightness", "Brightness", "stops", (-3, -2.25, -1.5, -0.75, 0, 0.75, 1.5, 2.25, 3), 0
        ),
        Perturbation("noise", "Noise", "%", (0, 5, 10, 15, 20, 25, 30, 35, 40), 0),
        Perturbation("jpeg", "JPEG", "% lost", (0, 12, 24, 36, 48, 60, 72, 84, 96), 0),
        Perturbation(
            "rotation", "Rotation", "degrees", (-180, -135, -90, -45, 0, 45, 90, 135, 180), 0
        ),
        Perturbation("crop", "Crop", "% cut off", (0, 9, 18, 27, 36, 45, 54, 63, 72), 0),
    )
}
"""Blur: a Gaussian's standard deviation in CIFAR-10 pixels, 32 a side. Brightness: doublings of the
light. Noise: a Gaussian's standard deviation in percent of white, the same grains at every amount.
JPEG: 100 less the quality. Rotation: to the right, the corners mirrored. Crop: what a side loses,
the middle kept and enlarged."""


def perturb(images: Tensor, kind: Kind, amount: float) -> Tensor:
    """Changes pictures.

    Args:
        images: `(N, 3, S, S)` uint8, squares as the models are handed them.
        amount: in the perturbation's unit.

    Returns:
        The same shape and dtype; the very images where `amount` is neutral.
    """
    if amount == PERTURBATIONS[kind].neutral:
        return images
    if kind == "jpeg":
        return torch.stack([_compress(image, round(100 - amount)) for image in images])
    pixels = _CHANGES[kind](images.float(), amount)
    return pixels.round().clamp(0, 255).to(torch.uint8)


def _blur(pixels: Tensor, amount: float) -> Tensor:
    side = pixels.shape[-1]
    sigma = amount * side / NATIVE_PX
    reach = min(round(_TRUNCATE * sigma) or 1, side - 1)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    weights = (weights / weights.sum()).expand(3, 1, 1, -1)
    pixels = F.pad(pixels, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(pixels, weights, groups=3), weights.mT, groups=3)


def _brighten(pixels: Tensor, amount: float) -> Tensor:
    return pixels * float(2.0**amount)


def _add_noise(pixels: Tensor, amount: float) -> Tensor:
    generator = torch.Generator().manual_seed(_NOISE_SEED)
    grains = torch.randn(pixels.shape[1:], generator=generator)
    return pixels + grains * (255 * amount / 100)


def _rotate(pixels: Tensor, amount: float) -> Tensor:
    turn = torch.deg2rad(torch.tensor(float(amount)))
    cosine, sine = turn.cos(), turn.sin()
    zero = torch.zeros(())
    matrix = torch.stack([cosine, sine, zero, -sine, cosine, zero]).reshape(1, 2, 3)
    return _resample(pixels, matrix)


def _crop(pixels: Tensor, amount: float) -> Tensor:
    kept = 1 - amount / 100
    return _resample(pixels, torch.tensor([[[kept, 0.0, 0.0], [0.0, kept, 0.0]]]))


def _resample(pixels: Tensor, matrix: Tensor) -> Tensor:
    """Pictures seen through an affine map `(1, 2, 3)` from places in the result, -1..1, to places
    in `pixels`; bilinear, what lies outside mirrored at the edge."""
    grid = F.affine_grid(matrix.expand(len(pixels), 2, 3), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


_CHANGES: dict[Kind, Callable[[Tensor, float], Tensor]] = {
    "blur": _blur,
    "brightness": _brighten,
    "noise": _add_noise,
    "rotation": _rotate,
    "crop": _crop,
}


def _compress(image: Tensor, quality: int) -> Tensor:
    """`(3, S, S)` uint8 after a JPEG of that quality, 1..95 and, for nearly none lost, to 100."""
    content = io.BytesIO()
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.save(content, "JPEG", quality=max(1, quality))
    with Image.open(content) as compressed:
        return torch.from_numpy(np.asarray(compressed.convert("RGB")).transpose(2, 0, 1).copy())


@dataclass(frozen=True)
class Curve:
    """How each model's confidence in its own answer goes along one slider."""

    perturbation: Perturbation
    images: Tensor
    """`(A, 3, S, S)` uint8, the picture at each of the A amounts."""
    confidence: dict[str, Tensor]
    """Model to `(A,)`, 0..1, at each of the amounts: the probability of the class that
    the model answers to the unchanged picture."""
    answers: dict[str, Tensor]
    """Model to `(A,)` int64, the class of the largest probability at each amount."""
    breaks: dict[str, float | None]
    """Model to the amount nearest to neutral at which it answers otherwise; None for none. Of two
    as near, the one that comes first on the slider."""

    @property
    def first(self) -> tuple[str, ...]:
        """The models that break first, by distance from neutral; none where none breaks."""
        strengths = {
            name: self.perturbation.strength(amount)
            for name, amount in self.breaks.items()
            if amount is not None
        }
        least = min(strengths.values(), default=None)
        return tuple(name for name, strength in strengths.items() if strength == least)


def trace_confidence(classify: Classify, image: Tensor, kind: Kind) -> Curve:
    """Asks all models about a picture at every amount of one perturbation, in one batch.

    Args:
        image: `(3, S, S)` uint8.
    """
    perturbation = PERTURBATIONS[kind]
    images = torch.cat([perturb(image[None], kind, amount) for amount in perturbation.amounts])
    neutral = perturbation.amounts.index(perturbation.neutral)
    confidence, answers, breaks = {}, {}, {}
    for name, probabilities in classify(images).items():
        answers[name] = probabilities.argmax(dim=1)
        own = int(answers[name][neutral])
        confidence[name] = probabilities[:, own]
        breaks[name] = min(
            (
                amount
                for amount, answer in zip(perturbation.amounts, answers[name].tolist(), strict=True)
                if answer != own
            ),
            key=perturbation.strength,
            default=None,
        )
    return Curve(perturbation, images, confidence, answers, breaks)
