"""What a finished run says of itself: the contract between trainer and app, typed.

A record is the `.json` beside a checkpoint. It is written and read here and nowhere else; fractions
lie in 0..1, losses are mean cross-entropies in nats, times are seconds.
"""

import json
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.errors import CheckpointError, SettingError
from trainer.recipe import CLASSES, IMAGE_MEAN, IMAGE_STD, ClassName, JobSettings, Recipe

RECORD_FORMAT = 2
"""Version of the record's layout; raised when a reader of the old one would fail."""
READABLE_FORMATS = (1, RECORD_FORMAT)
"""1 had `energy_threshold`, which nothing reads any more, and no `familiarity`."""

T = TypeVar("T")
PerClass = Annotated[tuple[T, ...], Field(min_length=len(CLASSES), max_length=len(CLASSES))]
"""A value a class, in label order."""
Matrix = PerClass[PerClass[int]]
"""Counts of images, rows the true class, columns the predicted one."""


class Part(BaseModel):
    """A part of a record. What a newer version added is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DataFacts(Part):
    """The images a run saw."""

    name: str
    """For people: `CIFAR-10` or `CIFAR-10 sample`."""
    digest: str
    """SHA-256 over the source files' contents."""
    train_count: int
    validation_count: int
    test_count: int


class BackboneFacts(Part):
    """What a run started from."""

    name: str
    sha256: str
    """Of the file it was read from."""


class OwnPictures(Part):
    """The visitor's pictures among the training images."""

    count: int
    sha256: str


class Origin(Part):
    """What else decided a short run."""

    start: str
    """A recipe's name, `backbone`, or that of an earlier run."""
    start_sha256: str
    settings: JobSettings
    own_pictures: OwnPictures | None = None
    threads: int
    ended_early: bool = False
    """True where the run was asked to end before its last step, and kept what it had learned."""


class Epoch(Part):
    """One pass over the training images. Training figures are means over the epoch, on augmented
    images, while the weights change."""

    epoch: int
    """Counted from 1."""
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    test_loss: float
    test_accuracy: float
    learning_rate: float
    """At the epoch's last step."""
    train_s: float
    """Seconds spent on the epoch's steps, evaluation and saving left out."""
    seconds: float
    """Wall seconds of the epoch, evaluation included; in the first, preparation too."""
    step_sizes: dict[str, float] | None = None
    """Stage (`stem`, `layer1` to `layer4`, `fc`; only what was trained) to how far one step moved
    its weights, relative to their norm: the mean over a few steps of the epoch, as
    `step_sizes.StepSizes` measures it. None in records of earlier versions."""


class Figures(Part):
    """What a model does on one split."""

    accuracy: float
    loss: float
    confusion: Matrix
    per_class_accuracy: PerClass[float]
    best_class: ClassName
    worst_class: ClassName
    calibration_error: float
    """See `metrics.calibration_error`: of the logits as they are, before any temperature."""


class OnPhotographs(Part):
    """What a detector does on photographs that nothing was fitted to."""

    side_px: int
    """Of the squares that the model was handed, before they are resized to its input."""
    familiar_count: int
    """Photographs of the ten classes."""
    foreign_count: int
    """Photographs of other things."""
    auroc: float
    """See `familiarity.measure_auroc`."""
    false_alarms: float
    """Share of the familiar ones above the threshold."""
    caught: float
    """Share of the foreign ones above the threshold."""


class FamiliarityFacts(Part):
    """What is known of a model's detector of pictures of none of the ten classes."""

    threshold: float
    """The strangeness (`familiarity.Familiarity.measure`) above which a picture is said to be
    foreign; by `familiarity.find_threshold` from the validation images."""
    validation_false_alarms: float
    """Share of the validation images above it."""
    test_false_alarms: float
    photographs: tuple[OnPhotographs, ...] = ()
    """One a size of square; empty where none were at hand."""

    def on_photographs(self, side_px: int | None = None) -> OnPhotographs | None:
        """What it does on photographs in squares of about that side (default: the largest)."""
        sides = self.photographs
        if side_px is None:
            return max(sides, key=lambda one: one.side_px, default=None)
        return min(sides, key=lambda one: abs(one.side_px - side_px), default=None)


class Hardware(Part):
    """The machine of a run."""

    device: str
    cpu: str
    cores: int | None
    threads: int
    memory_bytes: int
    gpu: str | None = None
    gpu_memory_bytes: int | None = None


class Record(Part):
    """Everything known of a finished run."""

    format: int = RECORD_FORMAT
    name: str
    recipe: Recipe
    classes: tuple[str, ...] = CLASSES
    mean: tuple[float, ...] = IMAGE_MEAN
    std: tuple[float, ...] = IMAGE_STD
    data: DataFacts
    backbone: BackboneFacts
    origin: Origin | None = None
    """Of a short run."""
    history: tuple[Epoch, ...] = Field(min_length=1)
    validation: Figures
    test: Figures
    familiarity: FamiliarityFacts | None = None
    """Of the detector stored beside the weights; None in short runs, which have none, and in
    records of earlier versions."""
    temperature: float = Field(default=1.0, gt=0)
    """What logits are divided by before they become probabilities for people
    (`calibration.temper`), fitted on the validation images. The stored weights, the recorded
    predictions and all figures here are without it. 1, no change, in records of earlier
    versions."""
    precision: str
    """Of the training steps and of the history's evaluations: `fp32` or `bf16`. `validation` and
    `test` are always measured in fp32."""
    processes: int = 1
    hardware: Hardware
    versions: dict[str, str]
    date: str
    train_s: float
    """Seconds of training steps over the whole run."""
    features_s: float | None = None
    """Seconds a frozen backbone's features took, once for all recipes that share them; None where
    nothing was shared, and in records of earlier versions, whose first frozen run holds them."""
    weights_sha256: str = ""
    predictions_sha256: str = ""
    familiarity_sha256: str = ""
    """Empty where there is no detector."""

    @property
    def seconds(self) -> float:
        """Wall seconds of the run, evaluation included, shared features left out where known."""
        return sum(epoch.seconds for epoch in self.history)

    def as_json(self) -> str:
        """The file's text."""
        values = self.model_dump(mode="json", exclude_none=True) | {"format": RECORD_FORMAT}
        return json.dumps(values, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> Self:
        """Reads a record.

        Args:
            source: the file's name, for the error.

        Raises:
            CheckpointError: it is not JSON, of another format, or not a record.
        """
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError("record_damaged", file=source, reason="not JSON") from error
        if not isinstance(values, dict) or values.get("format") not in READABLE_FORMATS:
            raise CheckpointError("record_format", file=source, format=RECORD_FORMAT)
        try:
            return cls(**values)
        except (ValidationError, SettingError) as error:
            where = str(error) if isinstance(error, SettingError) else _locate(error)
            raise CheckpointError("record_damaged", file=source, reason=where) from error


Records = dict[str, Record]
"""Recipe name to record."""


def _locate(error: ValidationError) -> str:
    """The field that is wrong, `history.3.test_loss`."""
    return ".".join(map(str, error.errors()[0]["loc"]))
