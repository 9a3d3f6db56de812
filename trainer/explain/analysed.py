"""What was computed once about a set of models: one verified file beside their checkpoints.

`analysis.safetensors` (a job's own model: `<name>.analysis.safetensors`) holds tensors and, as
text, the facts below. Its hash covers both; the facts hold the hashes of the weights it was made
from, so that an analysis of other weights is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainer.checkpoint import load_checkpoint
from trainer.errors import CheckpointError
from trainer.explain.neighbours import Bank
from trainer.explain.paths import Path
from trainer.explain.plane import Plane, Projection
from trainer.files import hash_bytes, hash_tensors, write_file
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE
from trainer.record import Part, Record

FILE = "analysis.safetensors"


class ModelFacts(Part):
    """What training changed in one model."""

    weights_sha256: str
    """Of the checkpoint's .safetensors file."""
    image_px: int
    backbone: str
    """The model whose backbone this one has, itself included: the frozen pair has one."""
    start: str = PLAIN_BACKBONE
    """What movement and similarity are measured from: `backbone`, or what its record names."""
    movement: dict[str, float]
    """Layer to relative distance from the start (`movement.measure_movement`)."""
    stage_movement: dict[str, float]
    """The same over whole stages: `stem`, `layer1` to `layer4`."""
    similarity: dict[str, float]
    """Stage (`layer1` to `layer4`, `features`) to linear CKA with the start, on the sample's test
    images at the model's own input size (`similarity.measure_cka`)."""


class PathFacts(Part):
    """How right the models on a straight line are."""

    start: str
    """A model, or what the end's run began with: `backbone` under a new last layer, or what its
    record names."""
    end: str
    right: tuple[int, ...]
    """Of the sample's test images, how many are answered right, at so many
    `paths.list_places`."""


class AnalysisFacts(Part):
    """Everything in an analysis that is no tensor."""

    sample_digest: str
    """Of the images it was made on."""
    test_count: int
    """Test images among them."""
    models: dict[str, ModelFacts]
    paths: tuple[PathFacts, ...]
    explained: tuple[float, ...]
    """Share of the variation of all features that each axis of the map shows, 0..1."""


@dataclass(frozen=True)
class Analysis:
    """An analysis, in memory. Keys are names of models; rows are those of the embedded sample:
    banks of its training part (`data.split_validation`), points of its test images."""

    facts: AnalysisFacts
    plane: Plane
    """What another model's features are placed by."""
    banks: dict[str, Bank]
    projections: dict[str, Projection]
    points: dict[str, Tensor]
    """`(test images, 2)` float32, the test images on the map."""
    heads: dict[str, dict[str, Tensor]]
    """`fc.weight`, `fc.bias`, float32, that a model's run began with, where it was the plain
    backbone under a new last layer."""
    statistics: dict[str, Tensor]
    """`name_path` to BatchNorm's statistics along it; see `paths.Path.statistics`."""

    def find_path(self, start: str, end: str) -> PathFacts:
        """The facts of a path.

        Raises:
            KeyError: there is none between these.
        """
        for path in self.facts.paths:
            if (path.start, path.end) == (start, end):
                return path
        raise KeyError(name_path(start, end))


def name_path(start: str, end: str) -> str:
    """A path's key."""
    return f"{start}-{end}"


def load_path(analysis: Analysis, start: str, end: str, starts: FilePath, ends: FilePath) -> Path:
    """A path whose models can be asked.

    Args:
        start, end: of one of `analysis.facts.paths`.
        starts, ends: folders of the two checkpoints.

    Raises:
        CheckpointError: a checkpoint is missing or damaged.
        KeyError: there is no such path.
    """
    facts = analysis.find_path(start, end)
    checkpoint = load_checkpoint(ends, end)
    if facts.start == PLAIN_BACKBONE:
        backbone = load_checkpoint(starts, BACKBONE_OF).weights
        first: Mapping[str, Tensor] = {**backbone, **analysis.heads[end]}
    else:
        first = load_checkpoint(starts, start).weights
    statistics = analysis.statistics.get(name_path(start, end))
    return Path(first, checkpoint.weights, checkpoint.record.recipe.image_px, statistics)


def save_analysis(path: FilePath, analysis: Analysis) -> int:
    """Writes an analysis, whole or not at all; returns its size in bytes.

    Raises:
        OSError: the disk is full or read-only; an older file is then intact.
    """
    tensors = {
        "plane.scores": analysis.plane.scores,
        "plane.spread": analysis.plane.spread,
    }
    for name, model in analysis.facts.models.items():
        if model.backbone == name:
            tensors |= {
                "labels": analysis.banks[name].labels.to(torch.uint8),
                f"bank.{name}": analysis.banks[name].vectors,
                f"origin.{name}": analysis.projections[name].origin,
                f"directions.{name}": analysis.projections[name].directions,
                f"points.{name}": analysis.points[name],
            }
    for name, head in analysis.heads.items():
        tensors |= {f"head.{name}.{key}": value for key, value in head.items()}
    tensors |= {f"path.{key}": value for key, value in analysis.statistics.items()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    facts = analysis.facts.model_dump_json()
    content = safetensors.torch.save(tensors, {"facts": facts, "sha256": _hash(facts, tensors)})
    write_file(path, content)
    return len(content)


def load_analysis(path: FilePath, records: Mapping[str, Record], sample_digest: str) -> Analysis:
    """Reads an analysis and verifies it.

    Args:
        records: of the models at hand; those that the analysis lacks are no fault.
        sample_digest: `data.Dataset.digest` of the embedded sample.

    Raises:
        CheckpointError: the file is missing, damaged, or of other weights or another sample.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        text = metadata.get("facts", "")
        if metadata.get("sha256") != _hash(text, tensors):
            raise CheckpointError("checkpoint_changed", file=path.name)
        facts = AnalysisFacts.model_validate_json(text)
    except OSError as error:
        raise CheckpointError("analysis_missing", file=path.name) from error
    except (SafetensorError, ValidationError) as error:
        raise CheckpointError("checkpoint_changed", file=path.name) from error
    for name, model in facts.models.items():
        if name in records and records[name].weights_sha256 != model.weights_sha256:
            raise CheckpointError("analysis_outdated", file=path.name)
    if facts.sample_digest != sample_digest:
        raise CheckpointError("analysis_outdated", file=path.name)
    return _assemble(facts, tensors)


def _assemble(facts: AnalysisFacts, tensors: Mapping[str, Tensor]) -> Analysis:
    labels = tensors["labels"].long()
    banks: dict[str, Bank] = {}
    projections, points = {}, {}
    for name, model in facts.models.items():
        shared = model.backbone
        banks[name] = banks[shared] if shared in banks else Bank(tensors[f"bank.{shared}"], labels)
        projections[name] = Projection(tensors[f"origin.{shared}"], tensors[f"directions.{shared}"])
        points[name] = tensors[f"points.{shared}"]
    heads = {
        name: {key: tensors[f"head.{name}.{key}"] for key in ("fc.weight", "fc.bias")}
        for name in facts.models
        if f"head.{name}.fc.weight" in tensors
    }
    statistics = {
        key.removeprefix("path."): tensor
        for key, tensor in tensors.items()
        if key.startswith("path.")
    }
    plane = Plane(tensors["plane.scores"], tensors["plane.spread"], facts.explained)
    return Analysis(facts, plane, banks, projections, points, heads, statistics)


def _hash(facts: str, tensors: Mapping[str, Tensor]) -> str:
    return hash_bytes(f"{facts}\n{hash_tensors(dict(tensors))}".encode())
