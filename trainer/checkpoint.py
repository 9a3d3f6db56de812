"""Checkpoints: what a finished run leaves, and the state a run resumes from.

A finished recipe leaves these files, the contract between trainer and app:

* `<recipe>.safetensors`: torchvision's `resnet18(num_classes=10)` state dict, weights fp16,
  BatchNorm statistics fp32, with text metadata (`describe`).
* `<recipe>.predictions.safetensors`: `probabilities (N, 10)` fp32 and `labels (N,)` uint8 of
  the test images, in the data set's order.
* `<recipe>.familiarity.safetensors`: the detector of pictures of none of the ten classes
  (`familiarity.Familiarity`); not of short runs.
* `<recipe>.json`: the record (history, figures, recipe, hashes of the files above). It
  is written last: a set without it, or whose hashes differ, was not finished.

Every file is written beside its place, flushed to disk, read back, and only then renamed.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainer.errors import CheckpointError, TrainingError
from trainer.familiarity import Familiarity
from trainer.files import hash_bytes, hash_file, replacing, write_file
from trainer.recipe import CLASSES, RECIPE_NAMES
from trainer.record import Record
from trainer.resnet import weight_shapes

KEPT_STATES = 2
SUFFIXES = {
    "weights": ".safetensors",
    "predictions": ".predictions.safetensors",
    "familiarity": ".familiarity.safetensors",
}


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    name: str
    weights: dict[str, Tensor]
    """torchvision's state dict, as stored."""
    metadata: dict[str, str]
    """The .safetensors file's text metadata."""
    record: Record
    """The .json file."""


@dataclass(frozen=True)
class Predictions:
    """A checkpoint's recorded answers on the test images, in the data set's order."""

    probabilities: Tensor
    """`(N, 10)` float32, of the logits as they are: not divided by the record's temperature."""
    labels: Tensor
    """`(N,)` int64, the true classes."""
    start_probabilities: Tensor | None = None
    """`(N, 10)` float32: what a short run's start said before the first step; None elsewhere."""


def save_checkpoint(
    folder: Path,
    name: str,
    weights: dict[str, Tensor],
    metadata: dict[str, str],
    predictions: Predictions,
    record: Record,
    familiarity: Familiarity | None = None,
) -> None:
    """Writes a recipe's files, replacing older ones, the record last.

    Args:
        weights: torchvision's state dict in its stored dtypes (`to_stored`).
        record: its hashes are filled in here.
        familiarity: whose facts the record holds.

    Raises:
        OSError: the disk is full or read-only; the old files are then intact.
    """
    answers = {
        "probabilities": predictions.probabilities.float().cpu(),
        "labels": predictions.labels.to(torch.uint8).cpu(),
    }
    if predictions.start_probabilities is not None:
        answers["start_probabilities"] = predictions.start_probabilities.float().cpu()
    parts = {
        "weights": safetensors.torch.save(weights, metadata),
        "predictions": safetensors.torch.save(answers),
    }
    if familiarity is not None:
        parts["familiarity"] = familiarity.to_bytes()
    _replace_files(folder, record, parts)
    if familiarity is None:
        (folder / f"{name}{SUFFIXES['familiarity']}").unlink(missing_ok=True)


def save_familiarity(folder: Path, record: Record, familiarity: Familiarity) -> None:
    """Replaces a checkpoint's detector and record, the record last; its other files stay.

    Args:
        record: as loaded, with the detector's facts; its hash of the detector is filled in here.

    Raises:
        OSError: the disk is full or read-only; the old files are then intact.
    """
    _replace_files(folder, record, {"familiarity": familiarity.to_bytes()})


def _replace_files(folder: Path, record: Record, parts: dict[str, bytes]) -> None:
    """Writes some of a checkpoint's files, and the record with their hashes."""
    hashes = {f"{part}_sha256": hash_bytes(content) for part, content in parts.items()}
    text = record.model_copy(update=hashes).as_json()
    with contextlib.ExitStack() as unfinished:
        # All are safely on disk before the first old file is replaced. A stack ends with what it
        # began with, so the record is renamed last.
        unfinished.enter_context(replacing(folder / f"{record.name}.json", text.encode()))
        for part, content in parts.items():
            path = folder / f"{record.name}{SUFFIXES[part]}"
            unfinished.enter_context(replacing(path, content))


def load_checkpoint(folder: Path, name: str) -> Checkpoint:
    """Reads `<folder>/<name>.safetensors` and its record, and verifies both.

    Raises:
        CheckpointError: a file is missing, its hash is not the recorded one, or its tensors
            have other names, shapes or dtypes than a stored ResNet-18, or are not finite.
    """
    record = load_record(folder, name)
    path = folder / f"{name}.safetensors"
    try:
        digest = hash_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if digest != record.weights_sha256:
        raise CheckpointError("checkpoint_changed", file=path.name)
    weights, metadata = load_weights(path)
    return Checkpoint(name, weights, metadata, record)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a .safetensors file without its record, and holds it against what it must contain.

    Returns:
        The state dict as stored, and the text metadata.

    Raises:
        CheckpointError: it is missing, or not a stored ResNet-18.
    """
    try:
        with safe_open(path, framework="pt") as file:
            # Mapped, not copied: 22 MB a checkpoint that the heap would keep.
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except OSError as error:
        raise _unreadable(path, error) from error
    except SafetensorError as error:
        raise CheckpointError("checkpoint_not_safetensors", file=path.name) from error
    verify_weights(weights, path.name)
    return weights, metadata


def load_record(folder: Path, name: str) -> Record:
    """Reads `<folder>/<name>.json`.

    Raises:
        CheckpointError: it is missing, or not a record.
    """
    path = folder / f"{name}.json"
    return Record.from_json(_read(path), path.name)


def list_names(folder: Path) -> list[str]:
    """Names of the four recipes that have a record in `folder`.

    Raises:
        CheckpointError: there is none.
    """
    names = [name for name in RECIPE_NAMES if (folder / f"{name}.json").exists()]
    if not names:
        raise CheckpointError("checkpoints_missing", folder=folder)
    return names


def load_predictions(folder: Path, record: Record) -> Predictions:
    """Reads a checkpoint's recorded answers on the test images.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    _, content = _read_part(folder, record, "predictions")
    tensors = safetensors.torch.load(content)
    return Predictions(
        tensors["probabilities"], tensors["labels"].long(), tensors.get("start_probabilities")
    )


def load_familiarity(folder: Path, record: Record) -> Familiarity | None:
    """Reads a checkpoint's detector, or nothing where its record tells of none.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if record.familiarity is None:
        return None
    source, content = _read_part(folder, record, "familiarity")
    return Familiarity.from_bytes(content, source)


def to_stored(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Converts a state dict to what is stored: fp16, but for BatchNorm's statistics.

    Running variances of this backbone reach below fp16's smallest normal number, and are
    few, so they stay fp32.
    """
    return {
        name: (tensor.half() if _stored_dtype(name) == torch.float16 else tensor).cpu().contiguous()
        for name, tensor in weights.items()
    }


def verify_weights(weights: dict[str, Tensor], source: str) -> None:
    """Holds a stored state dict against a ten-class ResNet-18's names, shapes and dtypes.

    Raises:
        CheckpointError: anything differs, or a value is not finite.
    """
    expected = {name: (shape, _stored_dtype(name)) for name, shape in weight_shapes().items()}
    if weights.keys() != expected.keys():
        raise CheckpointError("checkpoint_not_resnet", file=source)
    for name, tensor in weights.items():
        shape, dtype = expected[name]
        if (tuple(tensor.shape), tensor.dtype) != (shape, dtype):
            raise CheckpointError(
                "checkpoint_wrong_tensor",
                file=source,
                tensor=name,
                found=f"{tuple(tensor.shape)} {tensor.dtype}",
                expected=f"{shape} {dtype}",
            )
        if not tensor.isfinite().all():
            raise CheckpointError("checkpoint_not_finite", file=source, tensor=name)


def describe(record: Record) -> dict[str, str]:
    """The text metadata of a checkpoint's .safetensors file, from its record."""
    recipe = record.recipe
    texts = {
        "format": "pt",
        "architecture": "torchvision resnet18(num_classes=10)",
        "recipe": record.name,
        "preset": recipe.preset,
        "image_px": recipe.image_px,
        "mean": json.dumps(record.mean),
        "std": json.dumps(record.std),
        "classes": json.dumps(CLASSES),
        "backbone": record.backbone.name,
        "backbone_sha256": record.backbone.sha256,
        "data": record.data.name,
        "epochs": recipe.epochs,
        "seed": recipe.seed,
        "test_accuracy": record.test.accuracy,
        "versions": json.dumps(record.versions),
        "date": record.date,
    }
    return {key: str(value) for key, value in texts.items()}


def save_state(folder: Path, name: str, step: int, tensors: dict[str, Tensor], info: Any) -> None:
    """Saves what a run needs to continue after `step` steps, and drops older states.

    The file's name holds the step and its content's hash, so one rename commits both.

    Args:
        tensors: weights, optimizer state and running sums.
        info: JSON values (history, recipe, seconds).

    Raises:
        OSError: the disk is full or read-only; older states are then intact.
    """
    stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    content = safetensors.torch.save(stored, {"info": json.dumps(info)})
    write_file(folder / f"{name}.{step:08d}.{hash_bytes(content)[:32]}.state", content)
    for old in _states(folder, name)[KEPT_STATES:]:
        old.unlink(missing_ok=True)


def load_newest_state(folder: Path, name: str) -> tuple[dict[str, Tensor], Any] | None:
    """The newest state that is whole, as (tensors, info), or None where there is no state.

    Raises:
        TrainingError: there are states, and all are damaged.
    """
    paths = _states(folder, name)
    for path in paths:
        content = path.read_bytes()
        if path.name.split(".")[-2] == hash_bytes(content)[:32]:
            return safetensors.torch.load(content), json.loads(_metadata(content)["info"])
    if paths:
        raise TrainingError("states_damaged", folder=folder, name=name)
    return None


def count_states_after(folder: Path, name: str, step: int) -> int:
    """States in `folder` that were saved after more than `step` steps. Behind the newest whole
    state they are damaged ones."""
    return sum(int(path.name.split(".")[-3]) > step for path in _states(folder, name))


def has_state(folder: Path, name: str) -> bool:
    """True when an unfinished run of `name` left a state in `folder`."""
    return bool(_states(folder, name))


def drop_states(folder: Path, name: str) -> None:
    """Removes a finished run's states."""
    for path in _states(folder, name):
        path.unlink(missing_ok=True)


def _states(folder: Path, name: str) -> list[Path]:
    """State files of a run, newest first."""
    return sorted(folder.glob(f"{name}.*.state"), reverse=True)


def _read_part(folder: Path, record: Record, part: str) -> tuple[str, bytes]:
    """Name and content of one of a checkpoint's files, which is held against its hash."""
    path = folder / f"{record.name}{SUFFIXES[part]}"
    content = _read(path)
    if hash_bytes(content) != getattr(record, f"{part}_sha256"):
        raise CheckpointError("checkpoint_changed", file=path.name)
    return path.name, content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    reason = error.strerror or type(error).__name__
    return CheckpointError("checkpoint_unreadable", file=path.name, reason=reason)


def _metadata(content: bytes) -> dict[str, str]:
    """The text metadata of a safetensors file (its header is JSON behind an 8-byte length)."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _stored_dtype(name: str) -> torch.dtype:
    if name.endswith("num_batches_tracked"):
        return torch.int64
    return torch.float32 if "running_" in name else torch.float16
