"""Short fine-tuning runs: which weights they start from and which images they see.

A run is the engine's, with the same checkpoint contract; here is only what `train` has no use for.
Everything follows from the arguments and the seed, so a run can be repeated to the bit on a CPU.
"""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from trainer.checkpoint import load_checkpoint, load_record, load_weights
from trainer.data import DataError, Split
from trainer.hashing import hash_file
from trainer.model import Backbone, load_backbone
from trainer.picture import PictureError, decode_picture, to_pixels
from trainer.recipe import CLASSES, NATIVE_PX, PRESETS, RECIPE_NAMES, Recipe
from trainer.resnet import is_head
from trainer.settings import EMPHASIS, MAX_OWN_PICTURES, PLAIN_BACKBONE, Settings

_BACKBONE_OF = "sgd_frozen"
"""The shipped checkpoint that holds the pre-trained backbone unchanged."""


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
        return load_backbone(checkpoints / f"{_BACKBONE_OF}.safetensors")
    path = checkpoints / f"{start}.safetensors" if start in RECIPE_NAMES else Path(start)
    name = path.name.removesuffix(".safetensors")
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


def read_start_recipe(path: Path) -> Recipe:
    """The recipe a checkpoint was trained with; where no record lies beside it, that of
    `sgd_frozen` at the input size which its metadata names.

    Raises:
        CheckpointError: the checkpoint or its record is missing or damaged.
    """
    name = path.name.removesuffix(".safetensors")
    if path.with_name(f"{name}.json").exists():
        return Recipe.from_dict(load_record(path.parent, name)["recipe"])
    _, metadata = load_weights(path)
    image_px = int(metadata.get("image_px", NATIVE_PX))
    return dataclasses.replace(PRESETS["default"][_BACKBONE_OF], image_px=image_px)


def choose_images(train: Split, settings: Settings) -> Split:
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
        raise DataError(f"{folder} holds no pictures: put them into {folder}/<class>/.")
    if len(paths) > MAX_OWN_PICTURES:
        raise DataError(f"{folder} holds more than {MAX_OWN_PICTURES} pictures: take some out.")
    images, labels = [], []
    for path in paths:
        if path.parent.name not in CLASSES:
            raise DataError(f"{path.parent} is not named after a class: use {', '.join(CLASSES)}.")
        try:
            images.append(to_pixels(decode_picture(path.read_bytes())))
        except PictureError as error:
            raise DataError(f"{path}: {error}") from error
        labels.append(CLASSES.index(path.parent.name))
    return Split(torch.from_numpy(np.stack(images)), torch.tensor(labels))


def mix_in(train: Split, own: Split, repeats: int) -> Split:
    """Adds each own picture `repeats` times to the training images."""
    return Split(
        torch.cat([train.images, own.images.repeat(repeats, 1, 1, 1)]),
        torch.cat([train.labels, own.labels.repeat(repeats)]),
    )
