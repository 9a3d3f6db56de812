"""The weights that a run began with, and how far it moved them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.errors import CheckpointError
from trainer.explain.analysed import ModelFacts
from trainer.explain.movement import measure_movement, measure_stage_movement
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE, RECIPE_NAMES
from trainer.record import Record
from trainer.resnet import STAGE_NAMES

SAME = dict.fromkeys((*STAGE_NAMES, "features"), 1.0)
"""The similarity of a backbone to itself (`ModelFacts.similarity`), which needs no pass."""


@dataclass(frozen=True)
class Start:
    """What a run began with."""

    name: str
    """As its record tells: a model of the set, `backbone`, or an earlier run."""
    weights: Mapping[str, Tensor]
    """torchvision's state dict as stored; the last layer beside `backbone` is another model's."""


def find_start(record: Record, folder: Path, earlier: Path | None = None) -> Start:
    """The start that a record names, verified by the hash in it.

    Args:
        folder: of the set's checkpoints.
        earlier: of the checkpoint that a run went on from, where that is none of the set.

    Raises:
        CheckpointError: it is not there, damaged, or other weights have its name by now.
    """
    origin = record.origin
    name = PLAIN_BACKBONE if origin is None else origin.start
    ours = name in (PLAIN_BACKBONE, *RECIPE_NAMES)
    at = folder if ours else earlier
    file = BACKBONE_OF if name == PLAIN_BACKBONE else name
    if at is None:
        raise CheckpointError("start_missing", name=record.name, start=name)
    loaded = load_checkpoint(at, file)
    if origin is not None and loaded.record.weights_sha256 != origin.start_sha256:
        raise CheckpointError("start_missing", name=record.name, start=name)
    return Start(name, loaded.weights)


def describe_weights(
    model: Checkpoint, start: Start, backbone: str, similarity: Mapping[str, float]
) -> ModelFacts:
    """The facts of a model: what its weights alone tell, and what is given.

    Args:
        backbone, similarity: see `ModelFacts`.
    """
    return ModelFacts(
        weights_sha256=model.record.weights_sha256,
        image_px=model.record.recipe.image_px,
        backbone=backbone,
        start=start.name,
        movement=measure_movement(start.weights, model.weights),
        stage_movement=measure_stage_movement(start.weights, model.weights),
        similarity=dict(similarity),
    )
