"""The experiment's report: events and checkpoints in, Markdown with SVG figures out."""

import base64
import json
from pathlib import Path
from typing import Any

import torch
from markdown_it import MarkdownIt

from trainer import checkpoint, plots
from trainer.data import load_dataset, load_sample_rows
from trainer.events import ResourceSample, RunStarted, read_events
from trainer.observations import (
    Records,
    best_epoch,
    conclude,
    load_reference,
    observe,
    reference_accuracy,
)
from trainer.progress import format_duration
from trainer.recipe import CLASSES, RECIPE_NAMES, Recipe

_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def write_report(folder: Path, out: Path, html: Path | None = None) -> None:
    """Writes the report of the checkpoints in `folder`.

    Args:
        folder: checkpoints and, for the resources, `events.jsonl`.
        out: the Markdown file; its figures go to `<stem>-images/` beside it.
        html: also write one self-contained page there.

    Raises:
        CheckpointError: a checkpoint is damaged, or there is none.
    """
    records: Records = {
        name: checkpoint.load_checkpoint(folder, name).record
        for name in RECIPE_NAMES
        if (folder / f"{name}.json").exists()
    }
    if not records:
        raise checkpoint.CheckpointError(
            f"{folder} holds no finished run: train one with 'python -m trainer train'."
        )
    figures = _draw_figures(folder, records)
    images = f"{out.stem}-images"
    for name, content in figures.items():
        checkpoint.write_file(out.parent / images / f"{name}.svg", content)
    text = _compose(records, _read_samples(folder, records), images)
    checkpoint.write_file(out, text.encode())
    if html is not None:
        checkpoint.write_file(html, _to_html(text, images, figures).encode())


def _draw_figures(folder: Path, records: Records) -> dict[str, bytes]:
    figures = {
        "test-accuracy": plots.plot_curves(records, "test_accuracy", "test accuracy, %", True),
        "train-loss": plots.plot_curves(records, "train_loss", "train loss, nats"),
        "test-loss": plots.plot_curves(records, "test_loss", "test loss, nats"),
        "confusion": plots.plot_confusions(records),
        "predictions": _draw_predictions(folder, records),
    }
    samples = _read_samples(folder, records)
    if any(samples.values()):
        figures["resources"] = plots.plot_resources(samples)
    return figures


def _draw_predictions(folder: Path, records: Records) -> bytes:
    """The embedded sample's first test image of each class, as each model sees it."""
    sample = load_dataset(sample=True)
    chosen = [int((sample.test.labels == label).nonzero()[0]) for label in range(len(CLASSES))]
    predicted = {}
    for name, record in records.items():
        whole = record["data"]["digest"] != sample.digest
        rows = load_sample_rows()[chosen] if whole else torch.tensor(chosen)
        probabilities = checkpoint.load_predictions(folder, record).probabilities
        predicted[name] = probabilities[rows].argmax(dim=1).tolist()
    return plots.plot_predictions(
        sample.test.images[chosen].numpy(), sample.test.labels[chosen].tolist(), predicted
    )


def _read_samples(folder: Path, records: Records) -> dict[str, list[ResourceSample]]:
    """Each recipe's resource samples since it last started from step 0."""
    samples: dict[str, list[ResourceSample]] = {name: [] for name in records}
    for event in read_events(folder / "events.jsonl"):
        if event.recipe not in samples:
            continue
        if isinstance(event, RunStarted) and event.step == 0:
            samples[event.recipe] = []
        elif isinstance(event, ResourceSample):
            samples[event.recipe].append(event)
    return {name: run for name, run in samples.items() if run}


def _compose(records: Records, samples: dict[str, list[ResourceSample]], images: str) -> str:
    reference = load_reference()
    first = next(iter(records.values()))
    data, hardware, versions = first["data"], first["hardware"], first["versions"]
    presets = sorted({record["recipe"]["preset"] for record in records.values()})
    gpu = f"{hardware['gpu']}, " if "gpu" in hardware else ""
    machines = {json.dumps(record["hardware"]) for record in records.values()}
    machine_note = "" if len(machines) == 1 else " (the machine of the first run listed)"
    sections = [
        "# Four ways to fine-tune a ResNet-18 on CIFAR-10",
        f"About preset {_listed(presets)}. Written by `python -m trainer report` from the "
        f"checkpoints' records and `events.jsonl`; no figure is typed in.",
        "## Task and data",
        f"One pre-trained ResNet-18 (`{first['backbone']['name']}`, SHA-256 "
        f"`{first['backbone']['sha256'][:16]}...`) is fine-tuned to tell ten kinds of pictures "
        f"apart, with SGD or Adam, training all layers or only the last.",
        f"{data['name']}: {data['train_count']:,} images to train on, "
        f"{data['validation_count']:,} held out of the training split for every choice we made, "
        f"and {data['test_count']:,} test images that only measure. The images are "
        f"32 x 32 pixels; the labels are {', '.join(CLASSES)}.",
        "## The four runs",
        _table(
            ("run", "optimizer", "learning rate", "momentum or beta1", "trained", "epochs",
             "batch", "input", "augmentation", "time"),
            [_recipe_row(record) for record in records.values()],
        ),
        f"Hardware{machine_note}: {gpu}{hardware['cpu']}, {hardware['cores']} cores, "
        f"{hardware['threads']} thread(s) a run, {hardware['memory_bytes'] / 1e9:.0f} GB memory. "
        f"Precision of the training steps: "
        f"{_listed(sorted({r['precision'] for r in records.values()}))}; all figures are "
        f"measured in fp32 on the weights as stored. Versions: "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}.",
        "## Results",
        _table(
            ("run", "test accuracy", "best epoch's", "reference's best", "difference",
             "test loss", "calibration error"),
            [_result_row(record, reference) for record in records.values()],
        ),
        "*Test accuracy* is the stored checkpoint's, after its last epoch. *Best epoch's* is the "
        "highest the run passed through, as the reference experiment reports its figures; no "
        "choice of ours used it.",
        "## Curves",
        *(
            f"![{label} against epochs]({images}/{name}.svg)"
            for name, label in (
                ("test-accuracy", "Test accuracy"),
                ("train-loss", "Train loss"),
                ("test-loss", "Test loss"),
            )
        ),
        "Train loss is the mean over an epoch while the weights change, on augmented images; "
        "it can lie above the test loss for that reason.",
        "## Predictions",
        "One test image of each class, its true class above, each model's answer below "
        "(blue right, vermilion wrong).",
        f"![Test images with predicted and true classes]({images}/predictions.svg)",
        "## Confusion matrices",
        "Percent of the true class, rows true, columns predicted.",
        f"![Confusion matrices]({images}/confusion.svg)",
        _table(
            ("run", "best class", "worst class"),
            [_class_row(record) for record in records.values()],
        ),
        "## System utilization",
        *_describe_resources(samples, images),
        "## Observations",
        _bullets(observe(records)),
        "## Conclusions",
        _bullets(conclude(records, reference)),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _recipe_row(record: dict[str, Any]) -> tuple[str, ...]:
    recipe = Recipe.from_dict(record["recipe"])
    schedule = "" if recipe.schedule == "constant" else f", {recipe.schedule}"
    warmup = f", warm-up {recipe.warmup_fraction:.0%}" if recipe.warmup_fraction else ""
    augmentation = [
        *(["flips"] if recipe.flip else []),
        *([f"shifts to {recipe.crop_padding_px} px"] if recipe.crop_padding_px else []),
    ]
    return (
        f"`{recipe.name}`",
        _OPTIMIZERS[recipe.optimizer],
        f"{recipe.learning_rate:g}{schedule}{warmup}",
        f"{recipe.momentum:g}",
        "last layer" if recipe.frozen else "all layers",
        f"{recipe.epochs}",
        f"{recipe.batch_size}",
        f"{recipe.image_px} px",
        " and ".join(augmentation) or "none",
        format_duration(record["history"] and sum(e["seconds"] for e in record["history"])),
    )


def _result_row(record: dict[str, Any], reference: dict[str, Any]) -> tuple[str, ...]:
    accuracy = record["test"]["accuracy"]
    target = reference_accuracy(reference, record["name"])
    best = best_epoch(record)
    return (
        f"`{record['name']}`",
        f"{accuracy:.2%}",
        f"{best['test_accuracy']:.2%} (epoch {best['epoch']})",
        f"{target:.2%}",
        f"{(accuracy - target) * 100:+.2f} points",
        f"{record['test']['loss']:.3f}",
        f"{record['test']['calibration_error']:.2%}",
    )


def _class_row(record: dict[str, Any]) -> tuple[str, ...]:
    test = record["test"]

    def cell(label: str) -> str:
        return f"{label} ({test['per_class_accuracy'][CLASSES.index(label)]:.1%})"

    return f"`{record['name']}`", cell(test["best_class"]), cell(test["worst_class"])


def _describe_resources(samples: dict[str, list[ResourceSample]], images: str) -> list[str]:
    if not samples:
        return ["No resource samples are at hand."]
    rows: list[tuple[str, ...]] = []
    for name, run in samples.items():
        gpu = [sample.gpu_percent for sample in run if sample.gpu_percent is not None]
        rows.append(
            (
                f"`{name}`",
                f"{sum(sample.cpu_percent for sample in run) / len(run):.0f} %",
                f"{max(sample.memory_bytes for sample in run) / 1e9:.2f} GB",
                f"{sum(gpu) / len(gpu):.0f} %" if gpu else "no GPU",
                f"{len(run)}",
            )
        )
    return [
        "Of each run's process; 100 % CPU is one busy core. The frozen runs' features are "
        "computed within the first of them.",
        _table(("run", "mean CPU", "peak memory", "mean GPU", "samples"), rows),
        f"![CPU, memory and GPU of each run]({images}/resources.svg)",
    ]


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _listed(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _to_html(text: str, images: str, figures: dict[str, bytes]) -> str:
    """The Markdown as one page with the figures inside."""
    body = MarkdownIt("commonmark").enable("table").render(text)
    for name, content in figures.items():
        data = base64.b64encode(content).decode()
        body = body.replace(f"{images}/{name}.svg", f"data:image/svg+xml;base64,{data}")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Four ways to fine-tune a ResNet-18 on CIFAR-10</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }}
img {{ max-width: 100%; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #ccc; padding: 0.25rem 0.6rem; text-align: left; }}
</style>
{body}</html>
"""
