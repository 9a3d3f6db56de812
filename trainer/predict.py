"""The four models side by side: `Quartet.classify`."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.augment import normalise
from trainer.calibration import temper
from trainer.checkpoint import Checkpoint, load_checkpoint, load_familiarity
from trainer.decoding import shared_decoder
from trainer.errors import CheckpointError, QuartetError
from trainer.familiarity import ALLOWED_FALSE_ALARMS, Familiarity
from trainer.files import hash_tensors
from trainer.picture import Crop
from trainer.recipe import CLASSES, RECIPE_NAMES
from trainer.record import Record
from trainer.resnet import FoldedBackbone, is_head


@dataclass(frozen=True)
class Answers:
    """What the models say of a batch of pictures."""

    logits: dict[str, Tensor]
    """Recipe name to `(N, 10)` float32, for every loaded model."""
    probabilities: dict[str, Tensor]
    """Recipe name to `(N, 10)` float64, of the logits divided by the model's temperature: what
    people are told."""
    seconds: dict[str, float]
    """Recipe name to the time of its pass over the whole batch, shared or not."""
    familiar: Tensor | None
    """`(N,)` bool, False for a picture that looks like none of the ten classes; None where no model
    can tell."""
    features: dict[str, Tensor]
    """Recipe name to `(N, 512)` float32: what its last layer was handed."""
    maps: dict[str, Tensor]
    """Recipe name to `(N, C, h, w)` float32: the map from which its backbone's `finish` goes on, so
    that an explanation (`explain.heat`) needs no second pass."""

    def alone(self, row: int) -> "Answers":
        """Those to one picture of the batch, N = 1; nothing of the others is kept."""
        if len(next(iter(self.logits.values()))) == 1:
            return self
        logits, probabilities, features, maps = (
            {name: tensor[row, None].clone() for name, tensor in tensors.items()}
            for tensors in (self.logits, self.probabilities, self.features, self.maps)
        )
        familiar = None if self.familiar is None else self.familiar[row, None].clone()
        return Answers(logits, probabilities, self.seconds, familiar, features, maps)

    def of_picture(self, row: int) -> dict[str, dict[str, float]]:
        """Recipe name to class to probability, 0..1, of one picture of the batch."""
        return {
            name: dict(zip(CLASSES, shares[row].tolist(), strict=True))
            for name, shares in self.probabilities.items()
        }


@dataclass(frozen=True)
class Body:
    """A backbone and the last layers that share it."""

    backbone: FoldedBackbone
    image_px: int
    digest: str
    """The same for backbones that are equal to the bit and see pictures of one size."""
    heads: dict[str, tuple[Tensor, Tensor]]
    """Recipe name to weight `(10, 512)` and bias `(10,)`, float32."""


class Quartet:
    """The models of a folder of checkpoints, read-only, on the CPU.

    Models whose backbones are equal to the bit, as the two frozen ones' are, share one pass.
    """

    def __init__(self, folder: Path, names: Sequence[str] = RECIPE_NAMES) -> None:
        """Loads and verifies the named checkpoints; a missing or damaged one is left out.

        Raises:
            CheckpointError: not one of them could be loaded.
        """
        self.records: dict[str, Record] = {}
        """Recipe name to the record of every loaded model."""
        self.faults: dict[str, QuartetError] = {}
        """Recipe name to why its model is missing."""
        self._bodies: dict[str, Body] = {}
        self._detectors: dict[str, Familiarity] = {}
        for name in names:
            try:
                checkpoint = load_checkpoint(folder, name)
                detector = load_familiarity(folder, checkpoint.record)
            except CheckpointError as error:
                self.faults[name] = error
                continue
            self._add(checkpoint)
            self.records[name] = checkpoint.record
            if detector is not None:
                self._detectors[name] = detector
        self.decider = choose_decider(self.records)
        """The model whose detector says whether a picture is of the ten classes."""
        if not self.records:
            fault = next(iter(self.faults.values()))
            raise CheckpointError("checkpoints_unusable", folder=folder, fault=fault)

    def classify(self, images: Tensor) -> Answers:
        """Classifies pictures.

        Args:
            images: `(N, 3, S, S)` uint8, squares as `read_picture` gives them.
        """
        familiar: Tensor | None = None
        logits: dict[str, Tensor] = {}
        seconds: dict[str, float] = {}
        features: dict[str, Tensor] = {}
        maps: dict[str, Tensor] = {}
        with torch.inference_mode():
            for body in self._bodies.values():
                start = time.perf_counter()
                early, vectors = body.backbone.look(normalise(images, body.image_px))
                logits |= {name: F.linear(vectors, *head) for name, head in body.heads.items()}
                if self.decider in body.heads:
                    familiar = self._judge(self.decider, vectors, logits[self.decider])
                seconds |= dict.fromkeys(body.heads, time.perf_counter() - start)
                features |= dict.fromkeys(body.heads, vectors)
                maps |= dict.fromkeys(body.heads, early)
            probabilities = {
                name: temper(logits[name], record.temperature)
                for name, record in self.records.items()
            }
        return Answers(
            {name: logits[name] for name in self.records},
            probabilities,
            {name: seconds[name] for name in self.records},
            familiar,
            {name: features[name] for name in self.records},
            {name: maps[name] for name in self.records},
        )

    def body_of(self, name: str) -> Body:
        """The backbone of a loaded model and the last layers on it; the frozen pair's is one."""
        return next(body for body in self._bodies.values() if name in body.heads)

    def ask(
        self, picture: str | os.PathLike[str] | bytes, crop: Crop = "centre"
    ) -> dict[str, dict[str, float]]:
        """What the models say of one picture.

        Args:
            picture, crop: as for `read_picture`.

        Returns:
            Recipe name to class to probability, 0..1.

        Raises:
            PictureError: it is not a picture we take.
            OSError: the file cannot be read.
        """
        return self.classify(read_picture(picture, crop)).of_picture(0)

    def _judge(self, name: str, features: Tensor, logits: Tensor) -> Tensor:
        """True `(N,)` where a model's detector finds nothing strange."""
        facts = self.records[name].familiarity
        assert facts is not None
        return self._detectors[name].measure(features, logits) <= facts.threshold

    def _add(self, checkpoint: Checkpoint) -> None:
        """Adds a model, or only its last layer where another brought the same backbone."""
        weights, image_px = checkpoint.weights, checkpoint.record.recipe.image_px
        backbone = {name: tensor for name, tensor in weights.items() if not is_head(name)}
        key = f"{image_px} {hash_tensors(backbone)}"
        if key not in self._bodies:
            self._bodies[key] = Body(FoldedBackbone(weights, image_px), image_px, key, {})
        head = weights["fc.weight"].float(), weights["fc.bias"].float()
        self._bodies[key].heads[checkpoint.name] = head


def read_picture(picture: str | os.PathLike[str] | bytes, crop: Crop = "centre") -> Tensor:
    """What the models see of a picture, `(1, 3, S, S)` uint8.

    Args:
        picture: a file's path or content: JPEG, PNG, WebP, GIF or BMP.
        crop: `centre`, the largest centred square, or `fit`, the whole picture on white.

    Raises:
        PictureError: it is not a picture we take.
        OSError: the file cannot be read.
    """
    content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return torch.from_numpy(shared_decoder().decode(content, crop))[None]


def choose_decider(records: Mapping[str, Record]) -> str | None:
    """The model whose detector says whether a picture is of the ten classes, or None.

    Of those measured on photographs, in the largest squares: the one with the fewest false alarms
    beyond `ALLOWED_FALSE_ALARMS`, then the one that notices most. It must notice more than it
    alarms falsely. Where none was measured, the first with a frozen backbone: its features were
    learned on more than the ten classes. What a backbone trained on nothing else makes of
    photographs nobody can tell without any.
    """
    detectors = {name: r.familiarity for name, r in records.items() if r.familiarity is not None}
    figures = {name: facts.on_photographs() for name, facts in detectors.items()}
    measured = {name: one for name, one in figures.items() if one is not None}
    if not measured:
        return next((name for name in detectors if records[name].recipe.frozen), None)
    useful = [name for name, one in measured.items() if one.caught > one.false_alarms]
    return min(
        useful,
        key=lambda name: (
            max(measured[name].false_alarms, ALLOWED_FALSE_ALARMS),
            -measured[name].caught,
        ),
        default=None,
    )
