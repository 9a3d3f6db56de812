"""Frozen recipes under several seeds, their features computed once:
`python -m bench.seeds --backbone FILE --out DIR [--preset report]`, minutes on two cores.

Writes DIR/seed-0 to DIR/seed-4, each with the checkpoints and events of one seed; what is
finished is kept. `python -m trainer collect DIR/seed-*` then lists them beside the checkpoints.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from trainer.checkpoint import load_record
from trainer.data import load_dataset
from trainer.engine import Trainer
from trainer.events import EventLog
from trainer.model import load_backbone
from trainer.placement import Placement
from trainer.recipe import PRESETS
from trainer.stop import StopRequest

SEEDS = 5
FROZEN = ("sgd_frozen", "adam_frozen")


def main() -> None:
    """Trains each frozen recipe under each seed, and prints the test accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="default")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    place = Placement(options.out, torch.device("cpu"), save_every_s=1e9, keep_features=True)
    trainer = Trainer(load_dataset(options.data), load_backbone(options.backbone), place)
    for seed in range(SEEDS):
        folder = options.out / f"seed-{seed}"
        trainer.placement = dataclasses.replace(place, folder=folder)
        log = EventLog(folder / "events.jsonl")
        for name in FROZEN:
            recipe = PRESETS[options.preset][name].changed(seed=seed)
            if not trainer.finished(recipe):
                trainer.fit(recipe, log, StopRequest())
            record = load_record(folder, name)
            print(
                f"{name} seed {seed}: validation {record.validation.accuracy:.2%}, "
                f"test {record.test.accuracy:.2%}",
                flush=True,
            )
        log.close()


if __name__ == "__main__":
    main()
