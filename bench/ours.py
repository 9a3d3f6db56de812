"""Our side of `bench.training`, in a process of its own: trains recipes of preset `report`
and prints a JSON line of images, seconds and peak memory."""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import torch

from trainer.data import Dataset, load_dataset
from trainer.engine import Trainer
from trainer.model import load_backbone
from trainer.placement import Placement
from trainer.recipe import PRESETS
from trainer.stop import StopRequest


def main() -> None:
    """Trains the recipes in turn, from loaded data to verified checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", required=True, help="names separated by commas")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    options = parser.parse_args()
    data: Dataset = load_dataset(options.folder)
    backbone = load_backbone(options.backbone)
    names = options.recipes.split(",")
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        trainer = Trainer(data, backbone, Placement(Path(out), torch.device("cpu")))
        for name in names:
            recipe = PRESETS["report"][name].changed(epochs=options.epochs)
            trainer.fit(recipe, lambda event: None, StopRequest())
        seconds = time.perf_counter() - started
    images = len(trainer.splits["train"]) * options.epochs * len(names)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"images": images, "seconds": seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
