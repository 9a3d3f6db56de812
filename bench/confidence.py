"""How far the checkpoints' confidence can be believed, before and after one temperature each:
`python -m bench.confidence --checkpoints DIR`, minutes on two cores.

Writes docs/confidence.json. The temperature is fitted on the validation split; the errors and the
bins are of the test split.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import checkpoint
from trainer.calibration import fit_temperature, measure_reliability
from trainer.data import Dataset, load_dataset, split_validation
from trainer.figures import stored_outputs
from trainer.recipe import RECIPE_NAMES

RESULTS = Path("docs/confidence.json")


def main() -> None:
    """Measures every named checkpoint and keeps what is known of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--only", default=",".join(RECIPE_NAMES), metavar="NAMES")
    options = parser.parse_args()
    data = load_dataset(options.data)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.only.split(","):
        results[name] = _measure(options.checkpoints, name, data)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _measure(folder: Path, name: str, data: Dataset) -> dict[str, Any]:
    loaded = checkpoint.load_checkpoint(folder, name)
    _, validation = split_validation(data)
    logits = stored_outputs(
        loaded.weights,
        validation.images,
        loaded.record.recipe.image_px,
        torch.device("cpu"),
        keep=True,
    ).logits
    temperature = fit_temperature(logits, validation.labels)
    predictions = checkpoint.load_predictions(folder, loaded.record)
    # Logits but for a constant an image, which softmax does not see.
    test_logits = predictions.probabilities.double().clamp(min=1e-30).log()
    before = _describe(test_logits, predictions.labels)
    after = _describe(test_logits / temperature, predictions.labels)
    print(
        f"{name}: temperature {temperature:.3f}, calibration error on the test images "
        f"{before['calibration_error']:.2%} before, {after['calibration_error']:.2%} after",
        flush=True,
    )
    return {"temperature": temperature, "before": before, "after": after}


def _describe(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    reliability = measure_reliability(logits.softmax(dim=1), labels)
    return {
        "calibration_error": reliability.error,
        "loss": torch.nn.functional.cross_entropy(logits, labels).item(),
        "counts": reliability.counts.tolist(),
        "confidence": reliability.confidence.tolist(),
        "accuracy": reliability.accuracy.tolist(),
    }


if __name__ == "__main__":
    main()
