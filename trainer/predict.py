"""The four models on one picture: `Quartet.classify`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from trainer.augment import normalise
from trainer.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from trainer.model import build_model, compute_features, is_head, trim_padding
from trainer.recipe import RECIPE_NAMES


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
        self.checkpoints: dict[str, Checkpoint] = {}
        self.faults: dict[str, str] = {}
        """Recipe name to the sentence that says why its model is missing."""
        self._bodies: list[_Body] = []
        for name in RECIPE_NAMES:
            try:
                checkpoint = load_checkpoint(folder, name)
            except CheckpointError as error:
                self.faults[name] = str(error)
                continue
            self.checkpoints[name] = checkpoint
            self._add(checkpoint)
        if not self.checkpoints:
            raise CheckpointError(
                f"{folder} holds no usable checkpoint ({next(iter(self.faults.values()))}) "
                f"Train them with 'python -m trainer train'."
            )

    def classify(self, pixels: np.ndarray) -> dict[str, Tensor]:
        """Classifies one picture.

        Args:
            pixels: `(3, 32, 32)` uint8, from `picture.to_pixels`.

        Returns:
            Recipe name to logits `(10,)` float32, for every loaded model.
        """
        images = torch.from_numpy(pixels)[None]
        logits: dict[str, Tensor] = {}
        with torch.inference_mode():
            for body in self._bodies:
                features = compute_features(body.model, normalise(images, body.image_px))
                logits |= {name: head(features)[0] for name, head in body.heads.items()}
        return {name: logits[name] for name in self.checkpoints}

    def _add(self, checkpoint: Checkpoint) -> None:
        model = build_model()
        model.load_state_dict(checkpoint.weights)
        image_px = checkpoint.record["recipe"]["image_px"]
        for body in self._bodies:
            twin = self.checkpoints[next(iter(body.heads))].weights
            if body.image_px == image_px and all(
                torch.equal(tensor, twin[name])
                for name, tensor in checkpoint.weights.items()
                if not is_head(name)
            ):
                body.heads[checkpoint.name] = model.fc.eval()
                return
        trim_padding(model, image_px)
        model.eval().to(memory_format=torch.channels_last)
        self._bodies.append(_Body(model, image_px, {checkpoint.name: model.fc}))
