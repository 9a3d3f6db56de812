"""Short runs behind the recipes' free choices, compared on the validation split:
`python -m bench.choices --backbone FILE [--only NAMES]`, about half an hour on two cores.

Writes docs/choices.json and docs/choices.md; runs of recipes not named are kept.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from bench.photographs import SIDES, Photographs, load_photographs
from trainer import checkpoint
from trainer.data import load_dataset, split_validation
from trainer.device import find_precision
from trainer.engine import Trainer
from trainer.events import EpochFinished, Event
from trainer.model import load_backbone
from trainer.placement import Placement
from trainer.recipe import NATIVE_PX, PRESETS, RECIPE_NAMES
from trainer.stop import StopRequest

RESULTS = Path("docs/choices.json")
PAGE = Path("docs/choices.md")
_FEW = torch.arange(20)

_HALF_EPOCH = {
    "steps": 350, "schedule": "cosine", "average_decay": 0.0, "early_fraction": 0.0, "image_px": 64,
}  # fmt: skip
FULL: list[dict[str, Any]] = [
    _HALF_EPOCH,
    {**_HALF_EPOCH, "batch_norm_momentum": 0.0},
    {**_HALF_EPOCH, "sharpening": 0.0},
    {**_HALF_EPOCH, "steps": 700, "batch_size": 32},
    {**_HALF_EPOCH, "steps": 175, "batch_size": 128},
    {**_HALF_EPOCH, "crop_area_max": 1.0},
    {**_HALF_EPOCH, "crop_area_max": 2.0},
    {**_HALF_EPOCH, "crop_area_min": 1.0, "crop_area_max": 1.0, "crop_padding_px": 4},
    {**_HALF_EPOCH, "colour_jitter": 0.0},
    {**_HALF_EPOCH, "label_smoothing": 0.1},
    {**_HALF_EPOCH, "average_decay": 0.99},
    {**_HALF_EPOCH, "image_px": 32},
    {**_HALF_EPOCH, "image_px": 96},
    {**_HALF_EPOCH, "image_px": 96, "early_fraction": 0.7},
]
_HEAD = {"epochs": 20, "batch_size": 128, "image_px": 96, "schedule": "cosine"}
FROZEN: list[dict[str, Any]] = [
    _HEAD,
    {**_HEAD, "image_px": 64},
    {**_HEAD, "epochs": 10},
    {**_HEAD, "epochs": 40},
    {**_HEAD, "batch_size": 32},
    {**_HEAD, "batch_size": 512},
    {**_HEAD, "schedule": "constant"},
    {**_HEAD, "schedule": "cooldown"},
    {**_HEAD, "warmup_fraction": 0.05},
    {**_HEAD, "label_smoothing": 0.1},
    {**_HEAD, "average_decay": 0.999},
    {**_HEAD, "batch_size": 512, "average_decay": 0.99},
    {**_HEAD, "schedule": "cooldown", "epochs": 40},
    {**_HEAD, "schedule": "cooldown", "epochs": 40, "batch_size": 64},
]
CANDIDATES: dict[str, list[dict[str, Any]]] = {
    "sgd_full": FULL,
    "adam_full": FULL,
    "sgd_frozen": FROZEN,
    "adam_frozen": FROZEN,
}
"""Both recipes of a pair try the same: what they share is chosen for the two together."""


def main() -> None:
    """Runs the candidates and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--only", default=",".join(RECIPE_NAMES), metavar="NAMES")
    options = parser.parse_args()
    data, backbone = load_dataset(options.data), load_backbone(options.backbone)
    training, validation = split_validation(data)
    # The engine wants a test split; a few validation images stand in for what plays no part.
    splits = {"train": training, "validation": validation, "test": validation.subset(_FEW)}
    device = torch.device("cpu")
    photographs = load_photographs()
    with tempfile.TemporaryDirectory() as folder:
        precision = find_precision(device)
        placement = Placement(Path(folder), device, precision, save_every_s=1e9, keep_features=True)
        trainer = Trainer(data, backbone, placement, splits)
        for name in options.only.split(","):
            tried = []
            for changes in CANDIDATES[name]:
                tried.append(_try(trainer, name, changes, photographs))
                # Read again: another process may try another recipe.
                results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
                RESULTS.write_text(json.dumps({**results, name: tried}, indent=1) + "\n")
    PAGE.write_text(_page(json.loads(RESULTS.read_text())))


def _try(
    trainer: Trainer, name: str, changes: dict[str, Any], photographs: Photographs | None
) -> dict[str, Any]:
    recipe = PRESETS["default"][name].changed(**changes)
    epochs: list[EpochFinished] = []

    def on_event(event: Event) -> None:
        if isinstance(event, EpochFinished):
            epochs.append(event)

    trainer.fit(recipe, on_event, StopRequest())
    last = epochs[-1]
    result = {
        "changes": changes,
        "validation_accuracy": last.validation_accuracy,
        "validation_loss": last.validation_loss,
        "train_s": sum(epoch.train_s for epoch in epochs),
        "images": len(trainer.splits["validation"]),
    }
    if photographs is not None:
        loaded = checkpoint.load_checkpoint(trainer.placement.folder, name)
        for key, side in (("photographs_accuracy", NATIVE_PX), ("sharp_accuracy", SIDES[-1])):
            result[key] = photographs.accuracy(loaded.weights, recipe.image_px, side)
    print(name, json.dumps(result), flush=True)
    return result


def _share(one: dict[str, Any], key: str) -> str:
    return f"{one[key]:.1%}" if key in one else "not measured"


def _page(results: dict[str, Any]) -> str:
    lines = [
        "# Choices on the validation split",
        "",
        "Written by `python -m bench.choices`: short runs with the recipe's other settings as in "
        "preset `default` as it was then, compared on the images held out of the training split. "
        "The test split plays no part. Photographs: accuracy on 547 photographs of the ten classes "
        "that are not in the repository, reduced to 32 px, and at 64 px as they are.",
        "",
        "| recipe | tried | validation accuracy | validation loss | photographs, 32 px | 64 px |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, tries in results.items():
        for one in tries:
            tried = ", ".join(f"{key} {value}" for key, value in one["changes"].items())
            lines.append(
                f"| `{name}` | {tried} | {one['validation_accuracy']:.2%} "
                f"| {one['validation_loss']:.3f} "
                f"| {_share(one, 'photographs_accuracy')} | {_share(one, 'sharp_accuracy')} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
