"""What is trained and how: the `Recipe` record, and the four recipes under two presets.

The experiment fixes the optimizer, its learning rate and momentum, and what is frozen.
Everything else in a recipe is ours; each choice was made on the validation split and is
dated in docs/design.md.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""CIFAR-10's classes in label order, as in the Hub dataset `uoft-cs/cifar10`."""

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Channel mean and standard deviation of ImageNet for pixels in 0..1, the normalisation
torchvision's ImageNet weights were trained with (`ResNet18_Weights.IMAGENET1K_V1.transforms()`)."""

COOLDOWN_FRACTION = 0.5
GENTLE = 0.25
"""What gentle epochs keep of the augmentation's strength and of the peak learning rate."""
OPTIMIZERS = ("sgd", "adam", "adamw")
TRAINED = ("last_layer", "last_block", "all")

NATIVE_PX = 32
"""Side of a CIFAR-10 image in pixels."""


class RecipeError(ValueError):
    """A recipe's field is out of range or two contradict. The message says which."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a fine-tuning run, apart from the data and the backbone.

    Raises:
        RecipeError: at construction, when a field is out of range or two contradict.
    """

    name: str
    """File name and key everywhere: `sgd_full`, `adam_full`, `sgd_frozen`, `adam_frozen`."""
    preset: str
    """`default` (tuned) or `report` (constant learning rate, 20 epochs, 32 px)."""
    optimizer: str
    """`sgd`, `adam` or `adamw`."""
    learning_rate: float
    """Peak learning rate."""
    momentum: float
    """SGD's momentum, or Adam's beta1."""
    trained: str
    """`all` layers; `last_block` (the last residual block and the last layer; everything before is
    frozen, BatchNorm included); or `last_layer` (the backbone is frozen whole)."""
    epochs: int
    """Passes over the training images; without effect where `steps` are given."""
    batch_size: int
    """Images a step, over all processes."""
    schedule: str = "constant"
    """`constant`; `cosine` (to zero at the last step); or `cooldown` (constant, then linearly
    to zero over the second half of the steps)."""
    warmup_fraction: float = 0.0
    """Share of all steps over which the learning rate rises linearly from zero."""
    gentle_epochs: int = 0
    """Last epochs, after the schedule has run: the augmentation has `GENTLE` of its strength, and
    the learning rate falls linearly from `GENTLE` of its peak to zero, `gentle_cycles` times."""
    gentle_cycles: int = 1
    """Parts of the gentle epochs, equally long (warm restarts: Loshchilov and Hutter)."""
    weight_decay: float = 0.0
    """L2 penalty as torch's SGD and Adam apply it; decoupled, as AdamW does."""
    beta2: float = 0.999
    """Adam's second decay rate."""
    batch_norm_momentum: float = 0.1
    """Weight of the newest batch in BatchNorm's running statistics."""
    image_px: int = NATIVE_PX
    """Side the images are resized to before the network sees them."""
    crop_padding_px: int = 0
    """Random shifts of up to this many native pixels, edges reflected; 0 for none."""
    flip: bool = True
    """Mirror every other training image, at random."""
    crop_area_min: float = 1.0
    """Least share of an image's area that a random resized crop shows."""
    crop_area_max: float = 1.0
    """Most of it: above 1 the image is shown smaller, its edges mirrored around it. No crops
    where both are 1."""
    colour_jitter: float = 0.0
    """Brightness, contrast and saturation change by factors in 1 - this..1 + this; 0 for none."""
    blur_fraction: float = 0.0
    """Share of training images blurred as if they had been reduced and enlarged again."""
    label_smoothing: float = 0.0
    """Share of each target spread evenly over all classes."""
    average_decay: float = 0.0
    """What a running average of the weights keeps of itself a step; the average is what is
    measured and stored. 0 for the weights themselves."""
    steps: int | None = None
    """Ends after so many optimizer steps, in the middle of an epoch if need be."""
    seed: int = 0
    """Seeds the new last layer, the order of images and the augmentation."""

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("learning_rate", 0.0, 10.0),
            ("momentum", 0.0, 1.0),
            ("beta2", 0.0, 1.0),
            ("weight_decay", 0.0, 1.0),
            ("warmup_fraction", 0.0, 1.0),
            ("batch_norm_momentum", 0.0, 1.0),
            ("crop_area_min", 0.05, 1.0),
            ("crop_area_max", 1.0, 4.0),
            ("colour_jitter", 0.0, 1.0),
            ("blur_fraction", 0.0, 1.0),
            ("label_smoothing", 0.0, 0.5),
            ("average_decay", 0.0, 0.99999),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and lowest <= value <= highest):
                raise RecipeError(f"{name} must lie in {lowest:g}..{highest:g}, not {value!r}")
        if self.learning_rate == 0 or self.momentum == 1 or self.beta2 == 1:
            raise RecipeError("learning_rate must be above 0, momentum and beta2 below 1")
        for name, lowest_int, highest_int in (
            ("epochs", 1, 1000),
            ("batch_size", 2, 10_000),
            ("image_px", NATIVE_PX, 224),
            ("crop_padding_px", 0, NATIVE_PX - 1),
            ("gentle_epochs", 0, 999),
            ("gentle_cycles", 1, 100),
            ("seed", 0, 2**31 - 1),
            *([] if self.steps is None else [("steps", 1, 1_000_000)]),
        ):
            count = getattr(self, name)
            if type(count) is not int or not lowest_int <= count <= highest_int:
                raise RecipeError(
                    f"{name} must be a whole number in {lowest_int}..{highest_int}, not {count!r}"
                )
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("trained", TRAINED),
            ("schedule", ("constant", "cosine", "cooldown")),
        ):
            if getattr(self, name) not in allowed:
                raise RecipeError(
                    f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )
        if self.gentle_epochs and (self.gentle_epochs >= self.epochs or self.steps is not None):
            raise RecipeError("gentle_epochs must be fewer than epochs, and steps not given")
        if self.gentle_epochs % self.gentle_cycles:
            raise RecipeError("gentle_epochs must be a multiple of gentle_cycles")
        if self.frozen and (
            self.crop_padding_px
            or self.flip
            or self.crops
            or self.colour_jitter
            or self.blur_fraction
        ):
            raise RecipeError(
                "a frozen recipe reads features computed once, so it takes no augmentation: "
                "set crop_padding_px, colour_jitter and blur_fraction to 0, crop_area_min and "
                "crop_area_max to 1 and flip to False"
            )

    @property
    def frozen(self) -> bool:
        """True when only the last layer is trained."""
        return self.trained == "last_layer"

    @property
    def crops(self) -> bool:
        """True when training images are resized crops."""
        return self.crop_area_min < 1 or self.crop_area_max > 1

    def in_epoch(self, epoch: int) -> "Recipe":
        """The recipe with the augmentation of epoch number `epoch`, counted from 1."""
        if epoch <= self.epochs - self.gentle_epochs or not self.gentle_epochs:
            return self
        return dataclasses.replace(
            self,
            crop_area_min=1 - GENTLE * (1 - self.crop_area_min),
            crop_area_max=1 + GENTLE * (self.crop_area_max - 1),
            colour_jitter=GENTLE * self.colour_jitter,
            blur_fraction=GENTLE * self.blur_fraction,
        )

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Builds a recipe from `as_dict`'s result, refusing unknown or missing fields.

        Raises:
            RecipeError: a field is unknown, missing or out of range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise RecipeError(f"not a recipe: {error}") from error

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0, of `total_steps`.

        The cosine is SGDR's without restarts (Loshchilov and Hutter, arXiv:1608.03983); the
        cooldown is that of Haegele et al. (arXiv:2405.18392), over `COOLDOWN_FRACTION`.
        """
        gentle_steps = total_steps * self.gentle_epochs // self.epochs
        total_steps -= gentle_steps
        if step >= total_steps:
            cycle_steps = gentle_steps // self.gentle_cycles
            share = GENTLE * (1 - (step - total_steps) % cycle_steps / cycle_steps)
            return self.learning_rate * share
        warmup_steps = self.warmup_fraction * total_steps
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / (warmup_steps + 1)
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - warmup_steps) / (total_steps - warmup_steps)
        if self.schedule == "cooldown":
            return self.learning_rate * min(1.0, (1 - progress) / COOLDOWN_FRACTION)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _recipes(preset: str, full: dict[str, Any], frozen: dict[str, Any]) -> dict[str, Recipe]:
    """The experiment's four recipes with a preset's free choices, which each pair shares."""
    every = (
        Recipe("sgd_full", preset, "sgd", 0.001, 0.9, "all", **full),
        Recipe("adam_full", preset, "adam", 0.001, 0.9, "all", **full),
        Recipe("sgd_frozen", preset, "sgd", 0.01, 0.9, "last_layer", **frozen),
        Recipe("adam_frozen", preset, "adam", 0.01, 0.9, "last_layer", **frozen),
    )
    return {recipe.name: recipe for recipe in every}


PRESETS: dict[str, dict[str, Recipe]] = {
    "default": _recipes(
        "default",
        full={
            "epochs": 12,
            "gentle_epochs": 6,
            "gentle_cycles": 2,
            "batch_size": 32,
            "schedule": "cooldown",
            "warmup_fraction": 1 / 12,
            "image_px": 64,
            "crop_area_min": 0.5,
            "crop_area_max": 2.0,
            "colour_jitter": 0.2,
        },
        frozen={
            "epochs": 40,
            "batch_size": 128,
            "schedule": "cosine",
            "image_px": 96,
            "flip": False,
        },
    ),
    "report": _recipes(
        "report",
        full={"epochs": 20, "batch_size": 32, "crop_padding_px": 4},
        frozen={"epochs": 20, "batch_size": 128, "flip": False},
    ),
}
RECIPE_NAMES = tuple(PRESETS["default"])
