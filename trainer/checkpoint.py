"""Checkpoints: what a finished run leaves, and the state a run resumes from.

A finished recipe leaves three files, the contract between trainer and app:

* `<recipe>.safetensors`: torchvision's `resnet18(num_classes=10)` state dict, weights fp16,
  BatchNorm statistics fp32, with text metadata (`describe`).
* `<recipe>.predictions.safetensors`: `probabilities (N, 10)` fp32 and `labels (N,)` uint8 of
  the test images, in the data set's order.
* `<recipe>.json`: the record (history, figures, recipe, hashes of the two files above). It
  is written last: a set without it, or whose hashes differ, was not finished.

Every file is written beside its place, flushed to disk, read back, and only then renamed.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainer.hashing import hash_file
from trainer.recipe import CLASSES
from trainer.resnet import weight_shapes

RECORD_FORMAT = 1
"""Version of the record's layout; raised when a reader of the old one would fail."""
KEPT_STATES = 2


class CheckpointError(Exception):
    """A checkpoint is missing, damaged or not ours. The message names it and the fault."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    name: str
    weights: dict[str, Tensor]
    """torchvision's state dict, as stored."""
    metadata: dict[str, str]
    """The .safetensors file's text metadata."""
    record: dict[str, Any]
    """The .json file."""


@dataclass(frozen=True)
class Predictions:
    """A checkpoint's recorded answers on the test images, in the data set's order."""

    probabilities: Tensor
    """`(N, 10)` float32."""
    labels: Tensor
    """`(N,)` int64, the true classes."""


def save_checkpoint(
    folder: Path,
    name: str,
    weights: dict[str, Tensor],
    metadata: dict[str, str],
    predictions: Predictions,
    record: dict[str, Any],
) -> None:
    """Writes a recipe's three files, replacing older ones, the record last.

    Args:
        weights: torchvision's state dict in its stored dtypes (`to_stored`).
        record: the record without `weights_sha256` and `predictions_sha256`, added here.

    Raises:
        OSError: the disk is full or read-only; the old files are then intact.
    """
    weights_bytes = safetensors.torch.save(weights, metadata)
    predictions_bytes = safetensors.torch.save(
        {
            "probabilities": predictions.probabilities.float().cpu(),
            "labels": predictions.labels.to(torch.uint8).cpu(),
        }
    )
    record = {
        **record,
        "weights_sha256": _sha256(weights_bytes),
        "predictions_sha256": _sha256(predictions_bytes),
    }
    record_bytes = (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
    with contextlib.ExitStack() as unfinished:
        # All three are safely on disk before the first old file is replaced.
        for suffix, content in (
            (".predictions.safetensors", predictions_bytes),
            (".safetensors", weights_bytes),
            (".json", record_bytes),
        ):
            unfinished.enter_context(_replacing(folder / f"{name}{suffix}", content))


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
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from error
    if digest != record["weights_sha256"]:
        raise CheckpointError(f"{path.name} is damaged: its hash is not the recorded one.")
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
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is not a safetensors file.") from error
    verify_weights(weights, path.name)
    return weights, metadata


def load_record(folder: Path, name: str) -> dict[str, Any]:
    """Reads `<folder>/<name>.json`.

    Raises:
        CheckpointError: it is missing, not JSON, or of another format.
    """
    try:
        record = json.loads(_read(folder / f"{name}.json"))
    except ValueError as error:
        raise CheckpointError(f"{name}.json is damaged: it is not JSON.") from error
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        raise CheckpointError(f"{name}.json is not a record of format {RECORD_FORMAT}.")
    return record


def load_predictions(folder: Path, record: dict[str, Any]) -> Predictions:
    """Reads a checkpoint's recorded answers on the test images.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    name = f"{record['name']}.predictions.safetensors"
    content = _read(folder / name)
    if _sha256(content) != record["predictions_sha256"]:
        raise CheckpointError(f"{name} is damaged: its hash is not the recorded one.")
    tensors = safetensors.torch.load(content)
    return Predictions(tensors["probabilities"], tensors["labels"].long())


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
        raise CheckpointError(f"{source} does not hold a torchvision ResNet-18's tensors.")
    for name, tensor in weights.items():
        if (tuple(tensor.shape), tensor.dtype) != expected[name]:
            raise CheckpointError(
                f"{source} is damaged: {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"not {expected[name][0]} {expected[name][1]}."
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"{source} is damaged: {name} is not finite.")


def describe(record: dict[str, Any]) -> dict[str, str]:
    """The text metadata of a checkpoint's .safetensors file, from its record."""
    recipe = record["recipe"]
    texts = {
        "format": "pt",
        "architecture": "torchvision resnet18(num_classes=10)",
        "recipe": record["name"],
        "preset": recipe["preset"],
        "image_px": recipe["image_px"],
        "mean": json.dumps(record["mean"]),
        "std": json.dumps(record["std"]),
        "classes": json.dumps(CLASSES),
        "backbone": record["backbone"]["name"],
        "backbone_sha256": record["backbone"]["sha256"],
        "data": record["data"]["name"],
        "epochs": recipe["epochs"],
        "seed": recipe["seed"],
        "test_accuracy": record["test"]["accuracy"],
        "versions": json.dumps(record["versions"]),
        "date": record["date"],
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
    path = folder / f"{name}.{step:08d}.{_sha256(content)[:32]}.state"
    with _replacing(path, content):
        pass
    for old in _states(folder, name)[KEPT_STATES:]:
        old.unlink(missing_ok=True)


def load_newest_state(folder: Path, name: str) -> tuple[dict[str, Tensor], Any] | None:
    """The newest state that is whole, as (tensors, info), or None. Damaged ones are skipped."""
    for path in _states(folder, name):
        content = path.read_bytes()
        if path.name.split(".")[-2] == _sha256(content)[:32]:
            return safetensors.torch.load(content), json.loads(_metadata(content)["info"])
    return None


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


@contextlib.contextmanager
def _replacing(path: Path, content: bytes) -> Iterator[None]:
    """Writes and verifies `content` beside `path` on entry; renames it into place on exit.

    An exception, on entry or inside, leaves `path` as it was and nothing beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        if Path(unfinished).read_bytes() != content:
            raise OSError(f"{path.name} did not read back as written: the disk may be failing")
        yield
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def write_file(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`, or leaves it as it was.

    Raises:
        OSError: the disk is full or read-only.
    """
    with _replacing(path, content):
        pass


def _sync_folder(folder: Path) -> None:
    """Flushes a rename. Windows cannot open folders and needs no such thing."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _metadata(content: bytes) -> dict[str, str]:
    """The text metadata of a safetensors file (its header is JSON behind an 8-byte length)."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _stored_dtype(name: str) -> torch.dtype:
    if name.endswith("num_batches_tracked"):
        return torch.int64
    return torch.float32 if "running_" in name else torch.float16
