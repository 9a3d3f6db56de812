"""The four models side by side: `Quartet.classify`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from trainer.augment import normalise
from trainer.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from trainer.model import build_model, compute_features, is_head, trim_padding
from trainer.recipe import RECIPE_NAMES


@dataclass(frozen=True)
class Answers:
    """What the models say of a batch of pictures."""

    logits: dict[str, Tensor]
    """Recipe name to `(N, 10)` float32, for every loaded model."""
    seconds: dict[str, float]
    """Recipe name to the time of its pass over the whole batch, shared or not."""


@dataclass(frozen=True)
class _Body:
    """A backbone and the last layers that share it."""

    model: ResNet
    image_px: int
    heads: dict[str, nn.Linear]


class Quartet:
    """The models of a folder of checkpoints, read-only, on the CPU.

    Models whose backbones are equal to the bit, as the two frozen ones' are, share one pass.
    """

    def __init__(self, folder: Path) -> None:
        """Loads and verifies every checkpoint; a missing or damaged one is left out.

        Raises:
            CheckpointError: not one of the four could be loaded.
        """
        self.records: dict[str, dict[str, Any]] = {}
        """Recipe name to the record of every loaded model."""
        self.faults: dict[str, str] = {}
        """Recipe name to the sentence that says why its model is missing."""
        self._bodies: list[_Body] = []
        checkpoints: list[Checkpoint] = []
        for name in RECIPE_NAMES:
            try:
                checkpoint = load_checkpoint(folder, name)
            except CheckpointError as error:
                self.faults[name] = str(error)
                continue
            twin = next((c for c in checkpoints if _share_backbone(c, checkpoint)), None)
            self._add(checkpoint, twin)
            checkpoints.append(checkpoint)
            self.records[name] = checkpoint.record
        if not self.records:
            raise CheckpointError(
                f"{folder} holds no usable checkpoint ({next(iter(self.faults.values()))}) "
                f"Train them with 'python -m trainer train'."
            )

    def classify(self, images: Tensor) -> Answers:
        """Classifies pictures.

        Args:
            images: `(N, 3, 32, 32)` uint8, each from `picture.to_pixels`.
        """
        logits: dict[str, Tensor] = {}
        seconds: dict[str, float] = {}
        with torch.inference_mode():
            for body in self._bodies:
                start = time.perf_counter()
                features = compute_features(body.model, normalise(images, body.image_px))
                logits |= {name: head(features) for name, head in body.heads.items()}
                seconds |= dict.fromkeys(body.heads, time.perf_counter() - start)
        return Answers(
            {name: logits[name] for name in self.records},
            {name: seconds[name] for name in self.records},
        )

    def _add(self, checkpoint: Checkpoint, twin: Checkpoint | None) -> None:
        """Builds a model, or only its last layer where `twin` already brought the backbone."""
        name, weights = checkpoint.name, checkpoint.weights
        if twin is not None:
            body = next(body for body in self._bodies if twin.name in body.heads)
            head = nn.Linear(body.model.fc.in_features, body.model.fc.out_features)
            head.load_state_dict({"weight": weights["fc.weight"], "bias": weights["fc.bias"]})
            body.heads[name] = head
            return
        image_px = checkpoint.record["recipe"]["image_px"]
        model = build_model()
        model.load_state_dict(weights)
        trim_padding(model, image_px)
        model.eval().to(memory_format=torch.channels_last)
        self._bodies.append(_Body(model, image_px, {name: model.fc}))


def _share_backbone(first: Checkpoint, second: Checkpoint) -> bool:
    """True where all but the last layer are equal to the bit, at one input size."""
    if first.record["recipe"]["image_px"] != second.record["recipe"]["image_px"]:
        return False
    return all(
        torch.equal(tensor, second.weights[name])
        for name, tensor in first.weights.items()
        if not is_head(name)
    )
