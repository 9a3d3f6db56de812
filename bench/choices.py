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

from trainer.data import load_dataset
from trainer.engine import Placement, Trainer
from trainer.events import EpochFinished, Event
from trainer.model import load_backbone
from trainer.recipe import PRESETS, RECIPE_NAMES
from trainer.stop import StopRequest

RESULTS = Path("docs/choices.json")
PAGE = Path("docs/choices.md")

FROZEN: list[dict[str, Any]] = [
    {"epochs": 20, "batch_size": 128},
    {"epochs": 40, "batch_size": 128},
    {"epochs": 20, "batch_size": 128, "schedule": "constant"},
]
CANDIDATES: dict[str, list[dict[str, Any]]] = {
    "sgd_full": [{"epochs": 1, "batch_size": size} for size in (16, 32, 64)],
    "adam_full": [{"epochs": 1, "batch_size": size} for size in (64, 128)],
    "sgd_frozen": FROZEN,
    "adam_frozen": FROZEN,
}


def main() -> None:
    """Runs the candidates and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--only", default=",".join(RECIPE_NAMES), metavar="NAMES")
    options = parser.parse_args()
    data, backbone = load_dataset(options.data), load_backbone(options.backbone)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        placement = Placement(Path(folder), torch.device("cpu"), save_every_s=1e9)
        trainer = Trainer(data, backbone, placement)
        for name in options.only.split(","):
            results[name] = [_try(trainer, name, changes) for changes in CANDIDATES[name]]
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(_page(results))


def _try(trainer: Trainer, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    recipe = PRESETS["default"][name].changed(**changes)
    epochs: list[EpochFinished] = []

    def on_event(event: Event) -> None:
        if isinstance(event, EpochFinished):
            epochs.append(event)

    trainer.fit(recipe, on_event, StopRequest())
    last = epochs[-1]
    print(name, changes, f"validation {last.validation_accuracy:.2%}", flush=True)
    return {
        "changes": changes,
        "validation_accuracy": last.validation_accuracy,
        "validation_loss": last.validation_loss,
        "train_s": sum(epoch.train_s for epoch in epochs),
        "images": len(trainer.splits["validation"]),
    }


def _page(results: dict[str, Any]) -> str:
    lines = [
        "# Choices on the validation split",
        "",
        "Written by `python -m bench.choices`: short runs with the recipe's other settings as in "
        "preset `default`, compared on the images held out of the training split. The test "
        "split plays no part.",
        "",
        "| recipe | tried | validation accuracy | validation loss |",
        "| --- | --- | --- | --- |",
    ]
    for name, tries in results.items():
        for one in tries:
            tried = ", ".join(f"{key} {value}" for key, value in one["changes"].items())
            lines.append(
                f"| `{name}` | {tried} | {one['validation_accuracy']:.2%} "
                f"| {one['validation_loss']:.3f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
