"""The report's values, and the two templates that they fill: Markdown, and one page of HTML."""

import base64
import functools
import itertools
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from trainer import checkpoint
from trainer.backbones import tell_backbone
from trainer.calibration import BINS, LEAST_IN_BIN, Confidence, measure_confidence
from trainer.checkpoint import Predictions
from trainer.declared import describe_setting, tell_choice
from trainer.events import ResourceSample, RunStarted, read_events
from trainer.files import write_file
from trainer.metrics import measure_overlap
from trainer.recipe import CLASSES, NATIVE_PX, Recipe
from trainer.record import Hardware, Record, Records
from trainer.reference import load_reference, reference_accuracy
from trainer.report import plots
from trainer.report.observations import (
    Verdicts,
    best_epoch,
    conclude,
    observe,
    tell_label,
)
from trainer.report.pictures import choose_pictures
from trainer.report.seeds import tell_seeds
from trainer.seeds import Runs, load_runs, weigh
from trainer.timing import TrainingTime, time_alone
from trainer.wording import (
    CURVES,
    count,
    describe_confidence,
    describe_sizes,
    duration,
    join,
    percent,
)

TITLE = "Four ways to fine-tune a ResNet-18 on CIFAR-10"
SHOWN = (
    "optimizer", "learning_rate", "momentum", "trained", "epochs", "steps", "batch_size",
    "image_px", "schedule", "warmup_fraction", "crop_padding_px", "flip",
)  # fmt: skip
"""Settings with a column of their own; of the others, the table tells what is not the default."""

Samples = dict[str, list[ResourceSample]]
Row = tuple[str, ...]


def write_report(folder: Path, out: Path, html: Path | None = None) -> None:
    """Writes the report of the checkpoints in `folder`.

    Args:
        folder: checkpoints and, for the resources, `events.jsonl`.
        out: the Markdown file; its figures go to `<stem>-images/` beside it.
        html: also write one self-contained page there.

    Raises:
        CheckpointError: a checkpoint is damaged, or there is none.
        OSError: the disk is full or read-only.
    """
    records: Records = {
        name: checkpoint.load_checkpoint(folder, name).record
        for name in checkpoint.list_names(folder)
    }
    predictions = {
        name: checkpoint.load_predictions(folder, record) for name, record in records.items()
    }
    measured = {
        name: measure_confidence(
            predictions[name].probabilities, predictions[name].labels, record.temperature
        )
        for name, record in records.items()
    }
    samples, runs = _read_samples(folder, records), load_runs(folder, records)
    figures = _draw_figures(records, predictions, samples)
    figures["reliability"] = plots.plot_reliability(measured)
    if runs:
        figures["seeds"] = plots.plot_seeds(runs, records)
    images = f"{out.stem}-images"
    for name, content in figures.items():
        write_file(out.parent / images / f"{name}.svg", content)
    verdicts = _weigh_pairs(records, predictions, runs)
    text = _environment().get_template("report.md.j2").render(
        images=images,
        figures=figures,
        **_describe_runs(records),
        **_describe_results(records, verdicts),
        seeds=tell_seeds(runs, records),
        **_describe_confidence(measured),
        resources=[_resource_row(name, run) for name, run in samples.items()],
    )  # fmt: skip
    write_file(out, text.encode())
    if html is not None:
        write_file(html, _to_html(text, images, figures).encode())


def _read_samples(folder: Path, records: Records) -> Samples:
    """Each recipe's resource samples since it last started from step 0, where there are any."""
    samples: Samples = {name: [] for name in records}
    for event in read_events(folder / "events.jsonl"):
        if event.recipe not in samples:
            continue
        if isinstance(event, RunStarted) and event.step == 0:
            samples[event.recipe] = []
        elif isinstance(event, ResourceSample):
            samples[event.recipe].append(event)
    return {name: run for name, run in samples.items() if run}


def _weigh_pairs(records: Records, predictions: dict[str, Predictions], runs: Runs) -> Verdicts:
    """What decides between every two models that were measured on the same images."""
    verdicts = {}
    for first, second in itertools.combinations(records, 2):
        labels = predictions[first].labels
        same_data = records[first].data.digest == records[second].data.digest
        if same_data and torch.equal(labels, predictions[second].labels):
            overlap = measure_overlap(
                labels,
                *(predictions[name].probabilities.argmax(dim=1) for name in (first, second)),
            )
            verdicts[first, second] = weigh(records[first], records[second], runs, overlap)
    return verdicts


def _draw_figures(
    records: Records, predictions: dict[str, Predictions], samples: Samples
) -> dict[str, bytes]:
    figures = {
        **{name: plots.plot_curves(records, *curve) for name, curve in CURVES.items()},
        "confusion": plots.plot_confusions(records),
    }
    chosen = choose_pictures(records)
    if chosen is not None:
        pictures, rows = chosen
        answers = {
            name: predictions[name].probabilities[rows[name]].argmax(dim=1).tolist()
            for name in records
        }
        figures["predictions"] = plots.plot_predictions(
            pictures.images.numpy(), pictures.labels.tolist(), answers
        )
    if samples:
        figures["resources"] = plots.plot_resources(samples)
    return figures


def _describe_runs(records: Records) -> dict[str, Any]:
    """What the template tells of the task and the runs."""
    every = list(records.values())
    return {
        "title": TITLE,
        "classes": CLASSES,
        "native_px": NATIVE_PX,
        "presets": _list_codes({record.recipe.preset for record in every}),
        "optimizers": _list_choices(every, "optimizer"),
        "trained": _list_choices(every, "trained"),
        "first": every[0],
        "one_backbone": len({record.backbone.sha256 for record in every}) == 1,
        "backbone_story": tell_backbone(every[0].backbone.name, every[0].backbone.sha256),
        "one_data": len({record.data.model_dump_json() for record in every}) == 1,
        "one_machine": len({record.hardware.model_dump_json() for record in every}) == 1,
        "machine": _describe_machine(every[0].hardware),
        "precisions": _list_codes({record.precision for record in every}),
        "versions": ", ".join(f"{name} {number}" for name, number in every[0].versions.items()),
        "recipes": [_recipe_row(record) for record in every],
        "sizes": describe_sizes({f"`{name}`": one.recipe for name, one in records.items()}),
        "times": [_time_row(name, time) for name, time in time_alone(records).items()],
    }


def _describe_results(records: Records, verdicts: Verdicts) -> dict[str, Any]:
    """What the template tells of the figures."""
    reference = load_reference()
    return {
        "results": [_result_row(record, reference) for record in records.values()],
        "classes_by_run": [_class_row(record) for record in records.values()],
        "observations": observe(records, verdicts),
        "conclusions": conclude(records, verdicts, reference),
    }


def _describe_confidence(measured: dict[str, Confidence]) -> dict[str, Any]:
    """What the template tells of how far percentages can be believed."""
    return {
        "bins": BINS,
        "least_in_bin": LEAST_IN_BIN,
        "confidences": [_confidence_row(name, one) for name, one in measured.items()],
        "trust": describe_confidence({f"`{name}`": one for name, one in measured.items()}),
    }


def _confidence_row(name: str, confidence: Confidence) -> Row:
    trained, shown = confidence.trained, confidence.shown
    return (
        f"`{name}`",
        f"{confidence.temperature:.2f}" if confidence.fitted else "not fitted",
        percent(trained.right, 2),
        percent(trained.stated, 2),
        percent(shown.stated, 2),
        percent(trained.error, 2),
        percent(shown.error, 2),
    )


def _recipe_row(record: Record) -> Row:
    recipe = record.recipe
    schedule = "" if recipe.schedule == "constant" else f", {recipe.schedule}"
    warmup = f", warm-up {percent(recipe.warmup_fraction, 0)}" if recipe.warmup_fraction else ""
    augmentation = [
        *(["flips"] if recipe.flip else []),
        *([f"shifts to {recipe.crop_padding_px} px"] if recipe.crop_padding_px else []),
    ]
    return (
        f"`{record.name}`",
        tell_choice(recipe, "optimizer"),
        f"{recipe.learning_rate:g}{schedule}{warmup}",
        f"{recipe.momentum:g}",
        tell_choice(recipe, "trained"),
        count(recipe.steps, "step") if recipe.steps else f"{recipe.epochs}",
        f"{recipe.batch_size}",
        f"{recipe.image_px} px",
        " and ".join(augmentation) or "none",
        ", ".join(_tell_other_settings(recipe)) or "none",
    )


def _tell_other_settings(recipe: Recipe) -> list[str]:
    """Settings without a column that are not at their default, `BatchNorm momentum 0.01`."""
    return [
        f"{tell_label(name)} {getattr(recipe, name):g}"
        for name in Recipe.model_fields
        if name not in (*SHOWN, "name", "preset")
        and getattr(recipe, name) != describe_setting(Recipe, name).default
    ]


def _time_row(name: str, time: TrainingTime) -> Row:
    return f"`{name}`", duration(time.alone_s), duration(time.shared_s) if time.shared_s else "none"


def _result_row(record: Record, reference: dict[str, Any]) -> Row:
    accuracy = record.test.accuracy
    target = reference_accuracy(reference, record.name)
    best = best_epoch(record)
    return (
        f"`{record.name}`",
        percent(accuracy, 2),
        f"{percent(best.test_accuracy, 2)} (epoch {best.epoch})",
        percent(target, 2),
        f"{(accuracy - target) * 100:+.2f} points",
        f"{record.test.loss:.3f}",
        percent(record.test.calibration_error, 2),
    )


def _class_row(record: Record) -> Row:
    def cell(label: str) -> str:
        return f"{label} ({percent(record.test.per_class_accuracy[CLASSES.index(label)])})"

    return f"`{record.name}`", cell(record.test.best_class), cell(record.test.worst_class)


def _resource_row(name: str, run: list[ResourceSample]) -> Row:
    gpu = [sample.gpu_percent for sample in run if sample.gpu_percent is not None]
    return (
        f"`{name}`",
        f"{sum(sample.cpu_percent for sample in run) / len(run):.0f} %",
        f"{max(sample.memory_bytes for sample in run) / 1e9:.2f} GB",
        f"{sum(gpu) / len(gpu):.0f} %" if gpu else "no GPU",
        f"{len(run)}",
    )


def _describe_machine(hardware: Hardware) -> str:
    parts = [
        *([hardware.gpu] if hardware.gpu else []),
        hardware.cpu,
        *([count(hardware.cores, "core")] if hardware.cores else []),
        f"{count(hardware.threads, 'thread')} a run",
        f"{hardware.memory_bytes / 1e9:.0f} GB memory",
    ]
    return ", ".join(parts)


def _list_codes(names: set[str]) -> str:
    return join([f"`{name}`" for name in sorted(names)])


def _list_choices(records: list[Record], name: str) -> str:
    """`SGD or Adam`, in the order of the runs."""
    return " or ".join(dict.fromkeys(tell_choice(record.recipe, name) for record in records))


def _to_html(text: str, images: str, figures: dict[str, bytes]) -> str:
    """The Markdown as one page with the figures inside."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for name, content in figures.items():
        data = base64.b64encode(content).decode()
        body = body.replace(f"{images}/{name}.svg", f"data:image/svg+xml;base64,{data}")
    # Made from Markdown with HTML switched off, so nothing in it is another's markup.
    return _environment().get_template("report.html.j2").render(title=TITLE, body=Markup(body))


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
