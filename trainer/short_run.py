"""Short fine-tuning runs: which weights they start from and which images they see.

A run is the engine's, with the same checkpoint contract; here is only what `train` has no use for.
Everything follows from the arguments and the seed, so a run can be repeated to the bit on a CPU.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.checkpoint import load_checkpoint, load_record, load_weights
from trainer.data import Dataset, Split, evaluated_rows, split_validation
from trainer.decoding import shared_decoder
from trainer.errors import DataError, PictureError
from trainer.files import hash_file, hash_tensors
from trainer.model import Backbone, load_backbone
from trainer.recipe import (
    BACKBONE_OF,
    CLASSES,
    EMPHASIS,
    MAX_OWN_PICTURES,
    NATIVE_PX,
    PLAIN_BACKBONE,
    PRESETS,
    RECIPE_NAMES,
    JobSettings,
    Recipe,
)
from trainer.record import Origin, OwnPictures
from trainer.resnet import is_head


def load_start(start: str, checkpoints: Path) -> Backbone:
    """The weights a run starts from.

    Args:
        start: `backbone` (the pre-trained one under a new last layer), a recipe's name, or the
            path of a checkpoint's .safetensors file, verified by its record where one lies beside.
        checkpoints: folder of the four.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    if start == PLAIN_BACKBONE:
        backbone = load_backbone(checkpoints / f"{BACKBONE_OF}.safetensors")
        return Backbone(PLAIN_BACKBONE, backbone.sha256, backbone.weights)
    path = _find_weights(start, checkpoints)
    name = path.stem
    if start in RECIPE_NAMES or path.with_name(f"{name}.json").exists():
        stored = load_checkpoint(path.parent, name).weights
    else:
        stored, _ = load_weights(path)
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor.clone()
        for name, tensor in stored.items()
    }
    return Backbone(
        name,
        hash_file(path),
        {name: tensor for name, tensor in weights.items() if not is_head(name)},
        {name: tensor for name, tensor in weights.items() if is_head(name)},
    )


def settings_like_start(start: str, checkpoints: Path, **changes: Any) -> JobSettings:
    """The start's own settings, some of them changed: what its record tells, by `JobSettings.like`.

    Args:
        start: as for `load_start`.
        changes: settings that are given.

    Raises:
        CheckpointError: the start's record or, where none lies beside it, the start itself is
            missing or damaged.
        SettingError: a change is out of range.
    """
    return JobSettings.like(_read_recipe(start, checkpoints), start, **changes)


def _read_recipe(start: str, checkpoints: Path) -> Recipe:
    """The recipe a start was trained with; the plain backbone's and that of a file without a record
    are `sgd_frozen`'s, at the input size that the file's metadata names, if it does."""
    if start == PLAIN_BACKBONE:
        return load_record(checkpoints, BACKBONE_OF).recipe
    path = _find_weights(start, checkpoints)
    if start in RECIPE_NAMES or path.with_name(f"{path.stem}.json").exists():
        return load_record(path.parent, path.stem).recipe
    _, metadata = load_weights(path)
    named = metadata.get("image_px", "")
    image_px = int(named) if named.isdecimal() else NATIVE_PX
    return PRESETS["default"][BACKBONE_OF].changed(image_px=image_px)


def _find_weights(start: str, checkpoints: Path) -> Path:
    return checkpoints / f"{start}.safetensors" if start in RECIPE_NAMES else Path(start)


def choose_images(train: Split, settings: JobSettings) -> Split:
    """Draws the run's training images without replacement, emphasised classes more often."""
    count = min(settings.images, len(train))
    weights = torch.ones(len(train), dtype=torch.float64)
    for name in settings.emphasised:
        weights[train.labels == CLASSES.index(name)] = EMPHASIS
    # Efraimidis and Spirakis, 2006: the largest u ** (1 / w) are a weighted sample.
    generator = torch.Generator().manual_seed(settings.seed)
    keys = torch.rand(len(train), generator=generator, dtype=torch.float64).log() / weights
    return train.subset(keys.topk(count).indices.sort().values)


def read_own_pictures(folder: Path) -> Split:
    """Pictures in `folder/<class>/*`, centre-cropped, in the order of class and name.

    Raises:
        DataError: a folder is no class, a file no picture, or there are too many.
    """
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    if not paths:
        raise DataError("own_none", path=folder)
    if len(paths) > MAX_OWN_PICTURES:
        raise DataError("own_too_many", path=folder, most=MAX_OWN_PICTURES)
    images, labels = [], []
    for path in paths:
        if path.parent.name not in CLASSES:
            raise DataError("data_not_a_class", path=path.parent, classes=", ".join(CLASSES))
        try:
            images.append(shared_decoder().decode(path.read_bytes(), side=NATIVE_PX))
        except PictureError as error:
            raise DataError("own_not_a_picture", path=path, reason=error) from error
        labels.append(CLASSES.index(path.parent.name))
    return Split(torch.from_numpy(np.stack(images)), torch.tensor(labels))


def mix_in(train: Split, own: Split, repeats: int) -> Split:
    """Adds each own picture `repeats` times to the training images."""
    return Split(
        torch.cat([train.images, own.images.repeat(repeats, 1, 1, 1)]),
        torch.cat([train.labels, own.labels.repeat(repeats)]),
    )


def choose_splits(
    data: Dataset, settings: JobSettings, own: Split | None = None
) -> dict[str, Split]:
    """The `train`, `validation` and `test` images a run sees, own pictures among the first."""
    training, validation = split_validation(data)
    training = choose_images(training, settings)
    if own is not None:
        training = mix_in(training, own, settings.own_repeats)
    measured = {"validation": validation, "test": data.test}
    return {
        "train": training,
        **{
            name: split.subset(evaluated_rows(len(split), settings.evaluated))
            for name, split in measured.items()
        },
    }


def describe_origin(settings: JobSettings, start_sha256: str, own: Split | None = None) -> Origin:
    """What, besides its recipe, decided a run."""
    pictures = None
    if own is not None:
        pictures = OwnPictures(count=len(own), sha256=hash_tensors(vars(own)))
    return Origin(
        start=settings.start,
        start_sha256=start_sha256,
        settings=settings,
        own_pictures=pictures,
        threads=torch.get_num_threads(),
    )
