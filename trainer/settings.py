"""What decides a short fine-tuning run, checked before anything starts, and its command line."""

import dataclasses
import shlex
from dataclasses import dataclass
from typing import Any

from trainer.recipe import CLASSES, NATIVE_PX, PRESETS, Recipe, RecipeError

PLAIN_BACKBONE = "backbone"
"""A start: the pre-trained backbone under a new last layer."""
EMPHASIS = 3.0
"""How many times as likely an image of an emphasised class is to be among the chosen."""
AUGMENT_PADDING_PX = 4
"""Random shifts when augmenting, as in the full recipes."""
MAX_OWN_PICTURES = 50
OWN_REPEATS = 20


@dataclass(frozen=True)
class Settings:
    """Everything about a short run but its files.

    Raises:
        RecipeError: at construction, when a field is out of range or two contradict.
    """

    start: str = "sgd_full"
    """A recipe's name, `backbone`, or the path of a checkpoint's .safetensors file."""
    optimizer: str = "sgd"
    learning_rate: float = 0.001
    """Constant over the run."""
    momentum: float = 0.9
    """SGD's momentum, or Adam's beta1."""
    beta2: float = 0.999
    weight_decay: float = 0.0
    trained: str = "last_layer"
    """`last_layer`, `last_block` (and the last layer) or `all`."""
    epochs: int = 1
    steps: int | None = None
    """Instead of epochs."""
    batch_size: int = 64
    images: int = 2000
    """Training images, drawn once for all epochs."""
    emphasised: tuple[str, ...] = ()
    """Classes drawn `EMPHASIS` times as often as the others."""
    augment: bool = False
    """Flips and shifts; without effect when only the last layer is trained."""
    own_repeats: int = OWN_REPEATS
    """How often each of the visitor's own pictures is among the training images."""
    evaluated: int | None = None
    """Images of the validation and of the test split to measure on; None for all."""
    image_px: int = NATIVE_PX
    """Side of the network's input; the start's own."""
    seed: int = 0

    def __post_init__(self) -> None:
        self.recipe("settings")
        if not isinstance(self.start, str) or not self.start or self.start.startswith("-"):
            raise RecipeError(f"start must be {PLAIN_BACKBONE}, a recipe or a file, not this")
        for name, lowest, highest in (
            ("images", 0, 50_000),
            ("own_repeats", 1, 1_000),
        ):
            _check_count(name, getattr(self, name), lowest, highest)
        if self.evaluated is not None:
            _check_count("evaluated", self.evaluated, len(CLASSES), 50_000)
        if not isinstance(self.augment, bool):
            raise RecipeError(f"augment must be true or false, not {self.augment!r}")
        unknown = [name for name in self.emphasised if name not in CLASSES]
        if unknown:
            raise RecipeError(f"{unknown[0]!r} is not a class: use {', '.join(CLASSES)}")

    @classmethod
    def like(cls, recipe: Recipe | None, start: str, **changes: Any) -> "Settings":
        """The settings a recipe was trained with, some of them changed.

        Args:
            recipe: None takes those of `sgd_frozen`, for a start from the plain backbone.
        """
        base = recipe or PRESETS["default"]["sgd_frozen"]
        taken = {
            name: getattr(base, name)
            for name in (
                "optimizer", "learning_rate", "momentum", "beta2", "weight_decay", "trained",
                "batch_size", "image_px",
            )
        }  # fmt: skip
        return cls(start=start, **{**taken, **changes})

    def recipe(self, name: str) -> Recipe:
        """The engine's recipe for these settings."""
        augmented = self.augment is True and self.trained != "last_layer"
        return Recipe(
            name=name,
            preset="finetune",
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            trained=self.trained,
            epochs=self.epochs,
            steps=self.steps,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            beta2=self.beta2,
            image_px=self.image_px,
            crop_padding_px=AUGMENT_PADDING_PX if augmented else 0,
            flip=augmented,
            seed=self.seed,
        )

    def arguments(self) -> list[str]:
        """The arguments of `python -m trainer finetune` that repeat the run, less its files."""
        arguments = ["finetune"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None or value is False or value == ():
                continue
            flag = f"--{FLAGS.get(field.name, field.name).replace('_', '-')}"
            if value is True:
                arguments.append(flag)
            else:
                shown = ",".join(value) if isinstance(value, tuple) else repr(value).strip("'")
                arguments += [flag, shown]
        return arguments

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON values."""
        return {**dataclasses.asdict(self), "emphasised": list(self.emphasised)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Builds settings from `as_dict`'s result.

        Raises:
            RecipeError: a field is unknown or out of range.
        """
        try:
            return cls(**{**values, "emphasised": tuple(values.get("emphasised", ()))})
        except TypeError as error:
            raise RecipeError(f"not settings of a run: {error}") from error


FLAGS = {"emphasised": "emphasise"}
"""Field to its flag, where they differ."""


def join_command(arguments: list[str]) -> str:
    """A command line for people to copy."""
    return f"python -m trainer {shlex.join(arguments)}"


def _check_count(name: str, value: Any, lowest: int, highest: int) -> None:
    if type(value) is not int or not lowest <= value <= highest:
        raise RecipeError(f"{name} must be a whole number in {lowest}..{highest}, not {value!r}")
