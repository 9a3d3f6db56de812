"""Ours against a plain PyTorch script, in turn in one run:
`python -m bench.training --backbone FILE`, about ten minutes on two cores.

Both train recipes of preset `report` on the embedded sample, repeated, as PNG files
in class folders, evaluate after every epoch, and run as processes of their own. Writes
docs/benchmarks.json and docs/benchmarks.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bench.tables import describe_run, measured_on, spread
from trainer.data import load_dataset
from trainer.recipe import CLASSES

RESULTS = Path("docs/benchmarks.json")
PAGE = Path("docs/benchmarks.md")

CASES = (
    ("sgd_full", ["sgd_full"], 1, 2),
    ("adam_full", ["adam_full"], 1, 2),
    ("both frozen recipes", ["sgd_frozen", "adam_frozen"], 20, 1),
)
"""Title, recipes, epochs, and how often each training image of the sample is taken."""


def main() -> None:
    """Measures and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, required=True, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    options = parser.parse_args()
    results: dict[str, Any] = {
        **measured_on("torch", "torchvision"),
        "repeats": options.repeats,
        "cases": {},
    }
    for title, recipes, epochs, copies in CASES:
        runs = []
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_folders(folder, copies)
            for _ in range(options.repeats):
                plain = [_run_plain(folder, options.backbone, n, epochs) for n in recipes]
                ours = _run_ours(folder, options.backbone, recipes, epochs)
                runs.append({"plain": _joined(plain), "ours": ours})
                print(title, runs[-1], flush=True)
        results["cases"][title] = {"epochs": epochs, "runs": runs}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(_page(results))


def _write_folders(folder: Path, copies: int) -> None:
    """The sample as class folders: images of the training split `copies` times."""
    sample = load_dataset(sample=True)
    for split, times in ((sample.train, copies), (sample.test, 1)):
        name = "train" if split is sample.train else "test"
        for index, (pixels, label) in enumerate(zip(split.images, split.labels, strict=True)):
            image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
            for copy in range(times):
                path = folder / name / CLASSES[label] / f"{index:05d}_{copy}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path)


def _run_plain(folder: Path, backbone: Path, recipe: str, epochs: int) -> dict[str, Any]:
    return _run("bench.plain", folder, backbone, "--recipe", recipe, epochs)


def _run_ours(folder: Path, backbone: Path, recipes: list[str], epochs: int) -> dict[str, Any]:
    return _run("bench.ours", folder, backbone, "--recipes", ",".join(recipes), epochs)


def _run(
    module: str, folder: Path, backbone: Path, flag: str, recipes: str, epochs: int
) -> dict[str, Any]:
    command = [
        sys.executable, "-m", module, "--folder", str(folder), "--backbone", str(backbone),
        flag, recipes, "--epochs", str(epochs),
    ]  # fmt: skip
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    result["images_per_s"] = result["images"] / result["seconds"]
    return result


def _joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs one after the other, as one."""
    images = sum(result["images"] for result in results)
    seconds = sum(result["seconds"] for result in results)
    peak = max(result["peak_bytes"] for result in results)
    return {
        "images": images,
        "seconds": seconds,
        "peak_bytes": peak,
        "images_per_s": images / seconds,
    }


def _page(results: dict[str, Any]) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"{describe_run(results)} "
        f"The plain script ([bench/plain.py](../bench/plain.py)) and ours train the same recipes "
        f"of preset `report` in turn, {results['repeats']} times, on PNG files of the embedded "
        f"sample, evaluating after every epoch. Times begin when the process has its data at "
        f"hand (ours: decoded; plain: listed) and end with the last evaluation (ours: with "
        f"verified checkpoints on disk). Ours evaluates on a validation split too and trains on "
        f"what is left, so images a second compare what was trained on. Given are median and, "
        f"in brackets, minimum and maximum.",
        "",
        "| case | epochs | plain, images/s | ours, images/s | ratio | plain, peak MB "
        "| ours, peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, case in results["cases"].items():
        runs = case["runs"]
        ratios = [run["ours"]["images_per_s"] / run["plain"]["images_per_s"] for run in runs]
        cells = [
            title if " " in title else f"`{title}`",
            str(case["epochs"]),
            spread([run["plain"]["images_per_s"] for run in runs], "{:,.0f}"),
            spread([run["ours"]["images_per_s"] for run in runs], "{:,.0f}"),
            spread(ratios, "{:.2f}x"),
            spread([run["plain"]["peak_bytes"] / 1e6 for run in runs], "{:,.0f}"),
            spread([run["ours"]["peak_bytes"] / 1e6 for run in runs], "{:,.0f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
