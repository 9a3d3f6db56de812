"""The folder of a model repository: the four models, what reads them, and the card."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trainer.backbones import tell_backbone
from trainer.checkpoint import list_names, load_checkpoint, load_familiarity, load_predictions
from trainer.declared import tell_choice
from trainer.files import write_file
from trainer.hub import MODEL_SUFFIXES
from trainer.publication.card import build_card_data
from trainer.recipe import CLASSES, NATIVE_PX
from trainer.record import Record, Records
from trainer.report import plots
from trainer.wording import percent

CONFIG, CARD = "config.json", "README.md"
PICTURES = "images"


def write_models(checkpoints: Path, folder: Path, repo: str) -> None:
    """Writes the folder of the repository `repo`: every verified model of `checkpoints` as it is,
    `config.json`, the card and its pictures.

    Raises:
        CheckpointError: there is no model, or one is damaged; nothing is written then.
        OSError: the folder cannot be written.
    """
    records: Records = {}
    for name in list_names(checkpoints):
        record = load_checkpoint(checkpoints, name).record
        load_predictions(checkpoints, record)
        load_familiarity(checkpoints, record)
        records[name] = record
    _copy(checkpoints, records, folder)
    pictures = {
        "accuracy": plots.plot_curves(records, "test_accuracy", "test accuracy, %", True, "png"),
        "confusion": plots.plot_confusions(records, "png"),
    }
    for name, content in pictures.items():
        write_file(folder / PICTURES / f"{name}.png", content)
    write_file(folder / CARD, _write_card(records, repo).encode())


def write_model(checkpoints: Path, name: str, folder: Path, card: str) -> None:
    """Writes the folder of a repository of one model: it as it is, `config.json` and a card.

    Raises:
        CheckpointError: it is missing or damaged; nothing is written then.
        OSError: the folder cannot be written.
    """
    _copy(checkpoints, {name: load_checkpoint(checkpoints, name).record}, folder)
    write_file(folder / CARD, card.encode())


def _copy(checkpoints: Path, records: Records, folder: Path) -> None:
    """Writes the models' files and what describes them to programs."""
    for name in records:
        for suffix in MODEL_SUFFIXES:
            path = checkpoints / f"{name}{suffix}"
            if path.exists():
                write_file(folder / path.name, path.read_bytes())
    write_file(folder / CONFIG, (json.dumps(_configure(records), indent=1) + "\n").encode())


def _configure(records: Records) -> dict[str, Any]:
    """What a program needs to know that does not read our records."""
    first = next(iter(records.values()))
    return {
        "architectures": ["torchvision.models.resnet18"],
        "num_classes": len(CLASSES),
        "id2label": dict(enumerate(CLASSES)),
        "mean": first.mean,
        "std": first.std,
        "models": {
            name: {
                "file": f"{name}.safetensors",
                "sha256": record.weights_sha256,
                "image_px": record.recipe.image_px,
                "temperature": record.temperature,
                "test_accuracy": record.test.accuracy,
            }
            for name, record in records.items()
        },
    }


def _write_card(records: Records, repo: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, of our own words and figures alone
    )
    every = list(records.values())
    return environment.get_template("card.md.j2").render(
        front_matter=build_card_data(every).to_yaml(),
        repo=repo,
        pictures=PICTURES,
        first=every[0],
        classes=CLASSES,
        native_px=NATIVE_PX,
        backbones={
            (one.backbone.name, one.backbone.sha256): tell_backbone(
                one.backbone.name, one.backbone.sha256
            )
            for one in every
        },
        rows=[_list_cells(record) for record in every],
    )


def _list_cells(record: Record) -> tuple[str, ...]:
    recipe, test = record.recipe, record.test
    return (
        f"`{record.name}`",
        tell_choice(recipe, "optimizer"),
        f"{recipe.learning_rate:g}",
        tell_choice(recipe, "trained"),
        f"{recipe.image_px} px",
        percent(test.accuracy, 2),
        f"{test.loss:.3f}",
        percent(test.calibration_error, 2),
    )
