"""Which detector tells pictures of none of the ten classes:
`QUARTET_PHOTOS=DIR python -m bench.familiarity --checkpoints DIR`, some minutes on two cores.

Writes docs/familiarity.json and docs/familiarity.md. Nothing is fitted to the photographs but the
choice itself; banks and Gaussians are of training features, thresholds of validation features.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.photographs import Photographs, load_photographs
from trainer import checkpoint, metrics
from trainer.data import Split, load_dataset, split_validation
from trainer.examples import features_of
from trainer.familiarity import (
    build_bank,
    fit_gaussians,
    mahalanobis,
    measure_auroc,
    measure_strangeness,
)
from trainer.model import build_model, trim_padding
from trainer.recipe import RECIPE_NAMES

RESULTS = Path("docs/familiarity.json")
PAGE = Path("docs/familiarity.md")
TRAINING_IMAGES = 20_000
"""Of the training split, the first so many: enough for any bank that fits."""
MAX_FALSE_ALARMS = 0.08
"""Share of familiar photographs that may be called foreign."""
ACCEPTED = 0.95
"""Share of validation images below the threshold that needs no photographs."""
BANKS = ((2000, 64), (5000, 64), (5000, 128), (10_000, 64), (10_000, 128), (1500, 512))
NEIGHBOURS = (1, 5, 10, 20, 50)


def main() -> None:
    """Measures every detector on every checkpoint at hand, and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--only", default=",".join(RECIPE_NAMES), metavar="NAMES")
    options = parser.parse_args()
    photographs = load_photographs()
    if photographs is None:
        raise SystemExit("name the folder of photographs in QUARTET_PHOTOS")
    training, validation = split_validation(load_dataset(options.data))
    training = training.subset(torch.arange(min(TRAINING_IMAGES, len(training))))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.only.split(","):
        results[name] = _measure(options.checkpoints, name, training, validation, photographs)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(_page(results))


def _measure(
    folder: Path, name: str, training: Split, validation: Split, photographs: Photographs
) -> list[dict[str, Any]]:
    loaded = checkpoint.load_checkpoint(folder, name)
    image_px = loaded.record.recipe.image_px
    model = build_model()
    model.load_state_dict(loaded.weights)
    trim_padding(model, image_px)
    model.eval().to(memory_format=torch.channels_last)
    features = {
        part: features_of(model, images, image_px, keep=True)
        for part, images in (
            ("training", training.images),
            ("validation", validation.images),
            ("photographs", photographs.images),
        )
    }
    with torch.no_grad():
        logits = {part: model.fc(features[part]) for part in ("validation", "photographs")}
    rows = []
    for detector, settings, scores in _detect(features, logits, training.labels):
        familiar = scores["photographs"][photographs.familiar]
        foreign = scores["photographs"][~photographs.familiar]
        by_validation = scores["validation"].quantile(ACCEPTED)
        by_photographs = familiar.quantile(1 - MAX_FALSE_ALARMS)
        rows.append(
            {
                "detector": detector,
                **settings,
                "auroc": measure_auroc(familiar, foreign),
                "auroc_validation": measure_auroc(scores["validation"], foreign),
                "false_alarms_at_validation": (familiar > by_validation).double().mean().item(),
                "caught_at_validation": (foreign > by_validation).double().mean().item(),
                "caught": (foreign > by_photographs).double().mean().item(),
                "validation_false_alarms": (
                    (scores["validation"] > by_photographs).double().mean().item()
                ),
            }
        )
        print(name, json.dumps(rows[-1]), flush=True)
    return rows


def _detect(
    features: dict[str, Tensor], logits: dict[str, Tensor], labels: Tensor
) -> Iterator[tuple[str, dict[str, Any], dict[str, Tensor]]]:
    """Every detector with its settings, and its scores of `validation` and `photographs`."""
    parts = ("validation", "photographs")
    yield "energy", {}, {part: metrics.energy(logits[part]).float() for part in parts}
    yield "softmax", {}, {part: -logits[part].softmax(dim=1).amax(dim=1) for part in parts}
    gaussians = fit_gaussians(features["training"], labels)
    for relative in (False, True):
        scores = {part: mahalanobis(gaussians, features[part], relative) for part in parts}
        yield "relative mahalanobis" if relative else "mahalanobis", {}, scores
    for size, dimensions in BANKS:
        bank = build_bank(features["training"], labels, size, dimensions)
        for neighbour in NEIGHBOURS:
            scores = {part: measure_strangeness(bank, features[part], neighbour) for part in parts}
            settings = {
                "size": size, "dimensions": dimensions, "neighbour": neighbour,
                "bytes": bank.nbytes,
            }  # fmt: skip
            yield "neighbours", settings, scores


def _page(results: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "# Detectors of foreign pictures",
        "",
        "Written by `python -m bench.familiarity` on 547 photographs of the ten classes and 1,000 "
        "of other things, which are not in the repository. Caught: share of foreign photographs "
        f"above the threshold that {MAX_FALSE_ALARMS:.0%} of the familiar ones exceed; then the "
        f"same at the threshold that {1 - ACCEPTED:.0%} of the validation images exceed.",
        "",
        "| model | detector | AUROC | caught at 8 % false alarms | caught, and false alarms, at "
        "the validation threshold |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, rows in results.items():
        for row in rows:
            detector = row["detector"]
            if "size" in row:
                detector += (
                    f", {row['size']} vectors of {row['dimensions']}, k {row['neighbour']}, "
                    f"{row['bytes'] / 1e6:.1f} MB"
                )
            lines.append(
                f"| `{name}` | {detector} | {row['auroc']:.1%} | {row['caught']:.1%} "
                f"| {row['caught_at_validation']:.1%}, {row['false_alarms_at_validation']:.1%} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
