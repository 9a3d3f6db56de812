"""What decides a run: every setting declared once, and the four recipes under two presets.

A field's declaration holds its type, bounds, unit, label and explanation. The command line, the
app's form, the JSON of records and jobs, the arguments that repeat a run and the sentence about a
wrong value are all derived from it (`trainer.declared`).

The experiment fixes the optimizer, its learning rate and momentum, and what is frozen.
Everything else in a recipe is ours; each choice was made on the validation split and is
dated in docs/design.md.
"""

import math
import shlex
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.declared import setting, to_error, to_flag
from trainer.errors import SettingError

ClassName = Literal[
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
]
CLASSES: tuple[ClassName, ...] = get_args(ClassName)
"""CIFAR-10's classes in label order, as in the Hub dataset `uoft-cs/cifar10`."""

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Channel mean and standard deviation of ImageNet for pixels in 0..1, the normalisation
torchvision's ImageNet weights were trained with (`ResNet18_Weights.IMAGENET1K_V1.transforms()`)."""

NATIVE_PX = 32
"""Side of a CIFAR-10 image in pixels."""
COOLDOWN_FRACTION = 0.5
PLAIN_BACKBONE = "backbone"
"""A start: the pre-trained backbone under a new last layer."""
BACKBONE_OF = "sgd_frozen"
"""The checkpoint that holds the pre-trained backbone unchanged, and whose settings a start without
settings of its own takes."""
EMPHASIS = 3.0
"""How many times as likely an image of an emphasised class is to be among the chosen."""
AUGMENT_PADDING_PX = 4
"""Random shifts of the full recipes, and of a job that augments."""
MAX_OWN_PICTURES = 50
OWN_REPEATS = 20


class Settings(BaseModel):
    """What every run is decided by, apart from its data and its start.

    Raises:
        SettingError: at construction, when a value is missing, unknown or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    FROM_START: ClassVar[tuple[str, ...]] = (
        "optimizer", "learning_rate", "momentum", "beta2", "weight_decay", "label_smoothing",
        "trained", "batch_size", "image_px",
    )  # fmt: skip
    """Settings that a job takes from what it starts from, where it gives none of its own."""

    optimizer: Literal["sgd", "adam", "adamw"] = setting(
        "sgd", "Optimizer", "How gradients become steps.", labels=("SGD", "Adam", "AdamW")
    )
    learning_rate: float = setting(0.001, "Learning rate", "Size of each step.", gt=0, le=10)
    momentum: float = setting(
        0.9,
        "Momentum, or Adam's beta1",
        "How much of the earlier gradients each step keeps.",
        ge=0,
        lt=1,
    )
    beta2: float = setting(
        0.999, "Adam's beta2", "How long Adam remembers squared gradients.", ge=0, lt=1
    )
    weight_decay: float = setting(
        0.0, "Weight decay", "Pull of the weights towards zero; 0 for none.", ge=0, le=1
    )
    """L2 penalty as torch's SGD and Adam apply it; decoupled, as AdamW does."""
    label_smoothing: float = setting(
        0.0,
        "Label smoothing",
        "Share of each label spread over all ten classes; 0 for none.",
        ge=0,
        le=0.5,
    )
    """Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7."""
    trained: Literal["last_layer", "last_block", "all"] = setting(
        "last_layer",
        "What is trained",
        "The rest stays as it is.",
        labels=("the last layer", "the last block and layer", "all layers"),
    )
    """`all` layers; `last_block` (the last residual block and the last layer; everything before is
    frozen, BatchNorm included); or `last_layer` (the backbone is frozen whole)."""
    epochs: int = setting(1, "Epochs", "Passes over the training images.", ge=1, le=1000)
    """Without effect where `steps` are given."""
    steps: int | None = setting(
        None, "Or steps", "Batches, instead of epochs; empty for epochs.", ge=1, le=1_000_000
    )
    """Ends after so many optimizer steps, in the middle of an epoch if need be."""
    batch_size: int = setting(64, "Batch size", "Images a step.", ge=2, le=10_000)
    """Over all processes."""
    image_px: int = setting(
        NATIVE_PX, "Input size", "Side of the network's input.", unit="px", ge=NATIVE_PX, le=224
    )
    seed: int = setting(
        0,
        "Seed",
        "Decides the new last layer, the order and the draw: the same seed, the same result.",
        ge=0,
        le=2**31 - 1,
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise to_error(type(self), error) from error

    @property
    def frozen(self) -> bool:
        """True when only the last layer is trained."""
        return self.trained == "last_layer"

    def changed(self, **changes: Any) -> Self:
        """The same settings with some of them changed, checked anew."""
        return type(self)(**{**dict(self), **changes})

    def as_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Builds settings from `as_json`'s result.

        Raises:
            SettingError: a setting is unknown, missing or out of range.
        """
        return cls(**values)


class Recipe(Settings):
    """Everything that decides what the engine does, apart from the data and the backbone."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        title="Name",
        json_schema_extra={"shape": "letters, digits, - and _, at most 64"},
    )
    """File name and key everywhere: `sgd_full`, `adam_full`, `sgd_frozen`, `adam_frozen`."""
    preset: str = Field(title="Preset")
    """`default` (tuned), `report` (constant learning rate, 20 epochs, 32 px), or `finetune`."""
    schedule: Literal["constant", "cosine", "cooldown"] = Field("constant", title="Schedule")
    """`constant`; `cosine` (to zero at the last step); or `cooldown` (constant, then linearly
    to zero over the second half of the steps)."""
    warmup_fraction: float = Field(0.0, ge=0, le=1, title="Warm-up")
    """Share of all steps over which the learning rate rises linearly from zero."""
    batch_norm_momentum: float = Field(0.1, ge=0, le=1, title="BatchNorm momentum")
    """Weight of the newest batch in BatchNorm's running statistics; 0 keeps the backbone's
    statistics, and normalises by them while training too."""
    crop_padding_px: int = Field(0, ge=0, le=NATIVE_PX - 1, title="Shifts")
    """Random shifts of up to this many native pixels, edges reflected; 0 for none."""
    flip: bool = Field(True, title="Flips")
    """Mirror every other training image, at random."""
    crop_area_min: float = Field(1.0, ge=0.05, le=1, title="Least crop")
    """Least share of an image's area that a random resized crop shows."""
    crop_area_max: float = Field(1.0, ge=1, le=4, title="Largest crop")
    """Most of it: above 1 the image is shown smaller, its edges mirrored around it. No crops
    where both are 1."""
    colour_jitter: float = Field(0.0, ge=0, le=1, title="Colour jitter")
    """Brightness, contrast and saturation change by factors in 1 - this..1 + this; 0 for none."""
    blur_fraction: float = Field(0.0, ge=0, le=1, title="Blurred images")
    """Share of training images blurred as if they had been reduced and enlarged again."""
    sharpening: float = Field(0.0, ge=0, le=10, title="Sharpened images")
    """Each training image is sharpened by a random strength in 0..this; 0 for none. Enlarged
    CIFAR-10 images lack the fine detail of photographs."""
    early_fraction: float = Field(0.0, ge=0, lt=1, title="Smaller images first")
    """Share of all steps that sees images of `early_px`; the rest sees `image_px`, from the same
    learning rate again. Progressive resizing, as in fast.ai's DAWNBench entry (Howard, 2018)."""
    early_px: int = Field(NATIVE_PX, ge=NATIVE_PX, le=224, title="Size of the smaller images")
    """Without effect where `image_px` is not larger."""
    average_decay: float = Field(0.0, ge=0, lt=1, title="Averaging of weights")
    """What a running average of the weights keeps of itself a step; the average is what is
    measured and stored. 0 for the weights themselves."""

    @model_validator(mode="after")
    def _check_frozen(self) -> Self:
        varied = (self.crop_padding_px, self.flip, self.resampled, self.colour_jitter)
        if self.frozen and any((*varied, self.early_fraction)):
            raise SettingError("settings_contradict_frozen")
        return self

    @property
    def crops(self) -> bool:
        """True when training images are resized crops."""
        return self.crop_area_min < 1 or self.crop_area_max > 1

    @property
    def resampled(self) -> bool:
        """True when augmentation brings training images to the input size itself."""
        return self.crops or self.blur_fraction > 0 or self.sharpening > 0

    @property
    def begins_smaller(self) -> bool:
        """True when the first steps see images of `early_px`."""
        return self.early_px < self.image_px and self.early_fraction > 0

    def early_steps(self, total_steps: int) -> int:
        """How many of `total_steps` see images of `early_px`."""
        return round(self.early_fraction * total_steps) if self.begins_smaller else 0

    def image_px_at(self, step: int, total_steps: int) -> int:
        """Side of what step `step`, counted from 0, sees."""
        return self.early_px if step < self.early_steps(total_steps) else self.image_px

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0, of `total_steps`.

        The steps on smaller images and those on larger ones go through the schedule once each: a
        warm restart (Loshchilov and Hutter, arXiv:1608.03983). The cosine is theirs; the cooldown
        is that of Haegele et al. (arXiv:2405.18392), over `COOLDOWN_FRACTION`.
        """
        early_steps = self.early_steps(total_steps)
        if step < early_steps:
            total_steps = early_steps
        else:
            step, total_steps = step - early_steps, total_steps - early_steps
        warmup_steps = self.warmup_fraction * total_steps
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / (warmup_steps + 1)
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - warmup_steps) / (total_steps - warmup_steps)
        if self.schedule == "cooldown":
            return self.learning_rate * min(1.0, (1 - progress) / COOLDOWN_FRACTION)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


class JobSettings(Settings):
    """Everything about a short fine-tuning run but its files. Its learning rate is constant."""

    start: str = setting(
        "sgd_full",
        "Start from",
        "Whose weights the job begins with: a recipe's name, 'backbone' (pre-trained, new last "
        "layer), or a checkpoint's .safetensors file.",
        pattern=r"^[^-\s]",
    )
    images: int = setting(2000, "Training images", "Drawn at random.", ge=0, le=50_000)
    """Drawn once for all epochs."""
    emphasised: tuple[ClassName, ...] = setting(
        (), "Classes to emphasise", f"Drawn {EMPHASIS:g} times as often as the others."
    )
    augment: bool = setting(
        False, "Flip and shift the images", "Not when only the last layer is trained."
    )
    own_repeats: int = setting(
        OWN_REPEATS,
        "Repeats of own pictures",
        "How often each of your own pictures is shown an epoch.",
        ge=1,
        le=1_000,
    )
    evaluated: int | None = setting(
        None,
        "Images measured on",
        "Validation and test images to measure on; empty for all.",
        ge=len(CLASSES),
        le=50_000,
    )

    @classmethod
    def like(cls, recipe: Settings, start: str, **changes: Any) -> Self:
        """The settings a start was trained with, some of them changed.

        Args:
            recipe: the start's own, as its record tells.
        """
        own = {name: getattr(recipe, name) for name in cls.FROM_START}
        return cls(start=start, **{**own, **changes})

    def recipe(self, name: str) -> Recipe:
        """The engine's recipe for these settings."""
        augmented = self.augment and not self.frozen
        shared = {
            setting_name: getattr(self, setting_name) for setting_name in Settings.model_fields
        }
        return Recipe(
            name=name,
            preset="finetune",
            crop_padding_px=AUGMENT_PADDING_PX if augmented else 0,
            flip=augmented,
            **shared,
        )

    def arguments(self) -> list[str]:
        """The arguments of `python -m trainer finetune` that repeat the run, less its files."""
        arguments = ["finetune"]
        for name, value in self:
            match value:
                case None | False | ():
                    continue
                case True:
                    arguments.append(to_flag(name))
                case tuple():
                    arguments += [to_flag(name), *value]
                case _:
                    arguments += [to_flag(name), str(value)]
        return arguments


def join_command(arguments: list[str]) -> str:
    """A command line for people to copy into a shell."""
    return f"python -m trainer {shlex.join(arguments)}"


def _recipes(preset: str, full: dict[str, Any], frozen: dict[str, Any]) -> dict[str, Recipe]:
    """The experiment's four recipes with a preset's free choices, which each pair shares."""
    full = {"learning_rate": 0.001, "momentum": 0.9, "trained": "all", **full}
    frozen = {"learning_rate": 0.01, "momentum": 0.9, "trained": "last_layer", **frozen}
    every = (
        Recipe(name="sgd_full", preset=preset, optimizer="sgd", **full),
        Recipe(name="adam_full", preset=preset, optimizer="adam", **full),
        Recipe(name="sgd_frozen", preset=preset, optimizer="sgd", flip=False, **frozen),
        Recipe(name="adam_frozen", preset=preset, optimizer="adam", flip=False, **frozen),
    )
    return {recipe.name: recipe for recipe in every}


PRESETS: dict[str, dict[str, Recipe]] = {
    "default": _recipes(
        "default",
        full={
            "epochs": 18,
            "batch_size": 64,
            "schedule": "cooldown",
            "warmup_fraction": 1 / 14,
            "early_fraction": 14 / 18,
            "early_px": 64,
            "image_px": 96,
            "crop_area_min": 0.5,
            "crop_area_max": 1.5,
            "colour_jitter": 0.2,
            "sharpening": 4.0,
            "average_decay": 0.999,
        },
        frozen={"epochs": 40, "batch_size": 128, "schedule": "cosine", "image_px": 96},
    ),
    "report": _recipes(
        "report",
        full={"epochs": 20, "batch_size": 32, "crop_padding_px": AUGMENT_PADDING_PX},
        frozen={"epochs": 20, "batch_size": 128},
    ),
}
RECIPE_NAMES = tuple(PRESETS["default"])
PAIRS = (("sgd_full", "adam_full"), ("sgd_frozen", "adam_frozen"))
"""Recipes that differ in the optimizer alone."""
