"""Where a run computes, and what it keeps."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from trainer.distributed import World
from trainer.recipe import Recipe


@dataclass(frozen=True)
class Placement:
    """Where a run computes, writes, and how often it saves."""

    folder: Path
    device: torch.device
    precision: str = "fp32"
    """`fp32`, or `bf16` for autocast of the full recipes' steps and of the evaluations between
    them (the history). A finished checkpoint's `validation` and `test` are always fp32."""
    resume: bool = False
    save_every_s: float = 60.0
    summary_every_s: float = 5.0
    world: World = field(default_factory=World)
    keep_features: bool = False
    """Keeps a frozen backbone's features in the user's cache, for the next run on few images."""
    measure_start: bool = False
    """Measures what the weights do before the first step."""
    keep_stopped: bool = False
    """A run that is told to stop keeps what it has learned as its checkpoint, instead of a state
    to resume from."""

    def precision_of(self, recipe: Recipe) -> str:
        """A recipe's own precision: a single last layer gains nothing from bf16."""
        return "fp32" if recipe.frozen else self.precision
