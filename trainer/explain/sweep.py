"""A map of learning rates: the last layer trained at many of them, on features kept once."""

import copy
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from trainer.augment import plan_epoch
from trainer.data import Dataset, split_validation
from trainer.distributed import World
from trainer.errors import CheckpointError, SettingError
from trainer.examples import FeatureExamples, compute_all
from trainer.model import Backbone, build_pretrained, prepare_for_training
from trainer.optimizers import build_optimizer
from trainer.recipe import BACKBONE_OF, Recipe
from trainer.record import Part, Record

FILE = "sweep.json"
"""Beside the checkpoints whose recipe it sweeps."""
OPTIMIZERS = ("sgd", "adam")
RATES = tuple(10 ** (half / 2) for half in range(-10, 3))
"""Two a decade, from 0.00001 to 10."""


class SweepCell(Part):
    """One optimizer at one learning rate."""

    optimizer: str
    learning_rate: float
    validation_accuracy: float | None = None
    """0..1. None where the loss was no longer a number."""
    test_accuracy: float | None = None
    own: bool
    """True for the recipe's own rate."""


class Sweep(Part):
    """Accuracy against optimizer and learning rate, everything else as in one recipe."""

    recipe: Recipe
    """What is swept; its optimizer and learning rate are those of the checkpoint."""
    data: str
    train_count: int
    validation_count: int
    test_count: int
    cells: tuple[SweepCell, ...]
    seconds: float
    """Of all cells, features left out."""
    features_s: float


def load_sweep(folder: Path, records: Mapping[str, Record]) -> Sweep | None:
    """Reads the sweep that lies beside checkpoints, or None where there is none.

    Args:
        records: of the models at hand.

    Raises:
        CheckpointError: the file is damaged, or sweeps another recipe than theirs.
    """
    try:
        sweep = Sweep.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, SettingError) as error:
        raise CheckpointError("sweep_damaged", file=FILE) from error
    if BACKBONE_OF in records and records[BACKBONE_OF].recipe != sweep.recipe:
        raise CheckpointError("sweep_outdated", file=FILE)
    return sweep


def sweep_rates(
    recipe: Recipe,
    backbone: Backbone,
    data: Dataset,
    device: torch.device,
    tell: Callable[[SweepCell], None],
) -> Sweep:
    """Trains a last layer for every optimizer and rate, as the engine would train the recipe.

    Same seed, order, schedule and arithmetic; each cell's accuracies are those that `train` records
    for it, of a last layer rounded as it is stored; a running average is not kept.

    Args:
        recipe: a frozen one.
        backbone: its last layer plays no part.
        tell: takes each cell when it is done.
    """
    training, validation = split_validation(data)
    splits = {"train": training, "validation": validation, "test": data.test}
    model = build_pretrained(backbone, recipe.seed)
    prepare_for_training(model, recipe)
    model.to(device)
    features = compute_all(model, recipe.image_px, splits, device, World(), keep=True)
    labels = {name: split.labels.to(device) for name, split in splits.items()}
    started_s = time.monotonic()
    cells = []
    for optimizer in OPTIMIZERS:
        for rate in RATES:
            own = rate == recipe.learning_rate
            head = copy.deepcopy(model.fc)
            swept = recipe.changed(optimizer=optimizer, learning_rate=rate)
            accuracies = {}
            if _train_head(head, swept, features.of, labels["train"]):
                accuracies = {
                    f"{name}_accuracy": _measure(head, features.of[name], labels[name])
                    for name in ("validation", "test")
                }
            cells.append(SweepCell(optimizer=optimizer, learning_rate=rate, own=own, **accuracies))
            tell(cells[-1])
    return Sweep(
        recipe=recipe,
        data=data.name,
        **{f"{name}_count": len(split) for name, split in splits.items()},
        cells=tuple(cells),
        seconds=time.monotonic() - started_s,
        features_s=features.seconds,
    )


def _train_head(
    head: nn.Linear, recipe: Recipe, features: dict[str, Tensor], labels: Tensor
) -> bool:
    """Trains a last layer in place; False where the loss was no longer a number."""
    examples = FeatureExamples(head, recipe.image_px, features, labels)
    optimizer = build_optimizer(recipe, head)
    steps_per_epoch = len(labels) // recipe.batch_size
    total = recipe.steps or recipe.epochs * steps_per_epoch
    for step in range(total):
        epoch, index = divmod(step, steps_per_epoch)
        if index == 0:
            plan = plan_epoch(recipe, epoch + 1, len(labels), labels.device)
        first = index * recipe.batch_size
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, total)
        inputs, targets = examples.train_batch(plan, slice(first, first + recipe.batch_size))
        loss = F.cross_entropy(head(inputs), targets, label_smoothing=recipe.label_smoothing)
        if not loss.isfinite():
            return False
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return True


@torch.no_grad()
def _measure(head: nn.Linear, features: Tensor, labels: Tensor) -> float | None:
    """Accuracy of the last layer as it would be stored, in fp16; None where that cannot hold it."""
    weight, bias = head.weight.half().float(), head.bias.half().float()
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return None
    return (F.linear(features, weight, bias).argmax(dim=1) == labels).double().mean().item()
