"""Which detector tells pictures of none of the ten classes:
`QUARTET_PHOTOS=DIR python -m bench.familiarity --checkpoints DIR`, some minutes on two cores.

Writes docs/familiarity.json and docs/familiarity.md. Nothing is fitted to the photographs but the
choice itself; banks and Gaussians are of training features, thresholds of validation features.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.detectors import Bank, build_bank, fit_gaussians, mahalanobis, measure_strangeness
from bench.photographs import Photographs, load_photographs
from trainer import checkpoint, metrics
from trainer.data import Split, load_dataset, split_validation
from trainer.examples import features_of
from trainer.familiarity import fit_familiarity, measure_auroc
from trainer.model import build_model, trim_padding
from trainer.recipe import RECIPE_NAMES

RESULTS = Path("docs/familiarity.json")
PAGE = Path("docs/familiarity.md")
TRAINING_IMAGES = 10_000
"""Of the training split, the first so many: enough for any bank that fits."""
MAX_FALSE_ALARMS = 0.08
"""Share of familiar photographs that may be called foreign."""
ACCEPTED = 0.95
"""Share of validation images below the threshold that needs no photographs."""
BANKS = ((1500, 512, 50), (1500, 512, 100), (5000, 128, 50), (10_000, 64, 50), (10_000, 64, 500))
"""Vectors, their dimensions, and the neighbour measured to."""
DIMENSIONS = (32, 64, 128)


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
    parts = {
        "training": training.images,
        "validation": validation.images,
        "photographs": photographs.images,
        "sharp photographs": photographs.sharp,
    }
    features = {
        part: features_of(model, images, image_px, keep=True) for part, images in parts.items()
    }
    with torch.no_grad():
        logits = {part: model.fc(features[part]) for part in parts}
    rows = []
    for detector, score in _detectors(features["training"], training.labels, model.fc):
        usual = score(features["validation"], logits["validation"])
        for part in ("photographs", "sharp photographs"):
            scores = score(features[part], logits[part])
            familiar, foreign = scores[photographs.familiar], scores[~photographs.familiar]
            right = logits[part].argmax(dim=1) == photographs.labels
            rows.append(
                {
                    "detector": detector,
                    "of": part,
                    "accuracy": _share(right[photographs.familiar]),
                    **_compare(usual, familiar, foreign),
                }
            )
            print(name, json.dumps(rows[-1]), flush=True)
    return rows


def _compare(usual: Tensor, familiar: Tensor, foreign: Tensor) -> dict[str, float]:
    """What a detector's scores of validation images and photographs come to."""
    by_validation = usual.quantile(ACCEPTED)
    by_photographs = familiar.quantile(1 - MAX_FALSE_ALARMS)
    return {
        "auroc": measure_auroc(familiar, foreign),
        "caught": _share(foreign > by_photographs),
        "threshold": by_photographs.item(),
        "validation_false_alarms": _share(usual > by_photographs),
        "caught_at_validation": _share(foreign > by_validation),
        "false_alarms_at_validation": _share(familiar > by_validation),
    }


def _share(true: Tensor) -> float:
    return true.double().mean().item()


def _to_neighbours(bank: Bank, neighbour: int) -> "Score":
    return lambda given, _: measure_strangeness(bank, given, neighbour)


Score = Callable[[Tensor, Tensor], Tensor]


def _detectors(features: Tensor, labels: Tensor, head: nn.Linear) -> Iterator[tuple[str, Score]]:
    """Every detector's name, and its scores of features and logits, fitted to training images."""
    yield "energy", lambda _, logits: metrics.energy(logits).float()
    yield "softmax", lambda _, logits: -logits.softmax(dim=1).amax(dim=1)
    gaussians = fit_gaussians(features, labels)
    yield "mahalanobis", lambda given, _: mahalanobis(gaussians, given)
    yield "relative mahalanobis", lambda given, _: mahalanobis(gaussians, given, relative=True)
    for size, dimensions, neighbour in BANKS:
        bank = build_bank(features, labels, size, dimensions)
        yield (
            f"neighbours, {size} of {dimensions}, k {neighbour}, {bank.nbytes / 1e6:.1f} MB",
            _to_neighbours(bank, neighbour),
        )
    for dimensions in DIMENSIONS:
        weight, bias = head.weight.detach(), head.bias.detach()
        fitted = fit_familiarity(features, weight, bias, dimensions)
        yield f"virtual logit, {dimensions}, {fitted.nbytes / 1e6:.2f} MB", fitted.measure


def _page(results: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "# Detectors of foreign pictures",
        "",
        "Written by `python -m bench.familiarity` on 547 photographs of the ten classes and 1,000 "
        "of other things, which are not in the repository. Caught: share of foreign photographs "
        f"above the threshold that {MAX_FALSE_ALARMS:.0%} of the familiar ones exceed; then the "
        f"same at the threshold that {1 - ACCEPTED:.0%} of the validation images exceed.",
        "",
        "Sharp: the photographs at 64 px as they are, not reduced to 32 px first.",
        "",
        "| model | detector | photographs | right | AUROC | caught at 8 % false alarms "
        "| caught, and false alarms, at the validation threshold |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, rows in results.items():
        for row in rows:
            size = "sharp" if row["of"].startswith("sharp") else "32 px"
            lines.append(
                f"| `{name}` | {row['detector']} | {size} | {row['accuracy']:.1%} "
                f"| {row['auroc']:.1%} | {row['caught']:.1%} "
                f"| {row['caught_at_validation']:.1%}, {row['false_alarms_at_validation']:.1%} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
