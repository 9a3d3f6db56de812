"""`train` and `finetune`: the commands that train."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trainer.commands.flags import (
    Checkpoints,
    File,
    Folder,
    JobFlags,
    Only,
    RecipeFlags,
    Seconds,
    Source,
    Switch,
)
from trainer.errors import TrainingError
from trainer.events import RunFinished
from trainer.progress import listening
from trainer.recipe import PRESETS, JobSettings
from trainer.record import Record
from trainer.stop import Interrupted, stop_on_signals

TRAIN_ORDER = ("sgd_frozen", "adam_frozen", "sgd_full", "adam_full")
"""Minutes before hours."""


def train(
    settings: RecipeFlags,
    source: Source,
    only: Only = (),
    preset: Literal["default", "report"] = "default",
    backbone: File = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/train"),
    resume: Switch = False,
    save_every_s: Seconds = 60.0,
) -> int:
    """Train the recipes in turn; write checkpoints, events and a report.

    Example: python -m trainer train --only sgd_full --epochs 2 --out runs/try

    Args:
        preset: 'default' is tuned for accuracy; 'report' has 20 epochs at a constant learning rate.
        backbone: Safetensors file of a ResNet-18; without it torchvision's ImageNet weights.
        precision: Of the training steps; auto is bf16 on a GPU and on a processor with
            instructions for it, fp32 elsewhere.
        out: Where checkpoints, events.jsonl and report.md go.
        resume: Continue what is in the folder of --out.
        save_every_s: Seconds between saved states.
    """
    names = [name for name in TRAIN_ORDER if not only or name in only]
    recipes = [PRESETS[preset][name].changed(**settings) for name in names]
    from trainer.device import find_precision
    from trainer.distributed import joined_world
    from trainer.engine import Trainer
    from trainer.model import load_backbone
    from trainer.placement import Placement

    if not resume:
        _refuse_to_overwrite(out, names)
    device = source.find_device()
    data, weights = source.load(), load_backbone(backbone)
    with joined_world(device.type) as world, stop_on_signals() as stop:
        used = find_precision(device) if precision == "auto" else precision
        placement = Placement(out, device, used, resume, save_every_s, world=world)
        trainer = Trainer(data, weights, placement)
        try:
            with listening(out, "a training run", names, world.writes) as (on_event, show):
                for recipe in recipes:
                    if resume and (record := trainer.finished(recipe)):
                        show(_tell_finished(record))
                        continue
                    if resume and world.writes and (out / f"{recipe.name}.json").exists():
                        print(f"{recipe.name}: its checkpoint is damaged and is trained anew.")
                    trainer.fit(recipe, on_event, stop)
        except Interrupted as interruption:
            print(f"{interruption}: continue with --resume.", file=sys.stderr)
            return 128 + (stop.signal or signal.SIGINT)
    if world.writes:
        from trainer.report import write_report

        write_report(out, out / "report.md")
        print(f"checkpoints and report.md are in {out}")
    return 0


def finetune(
    settings: JobFlags,
    source: Source,
    checkpoints: Checkpoints = Path("checkpoints"),
    own: Folder = None,
    name: Annotated[str, tyro.conf.arg(metavar="NAME")] = "finetuned",
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/finetune"),
    summary_every_s: Seconds = 5.0,
) -> int:
    """Train one model a little further; write its checkpoint and events.

    Told to stop (SIGTERM or Ctrl-C), it ends after the step it is in and keeps what it has learned.

    Example: python -m trainer finetune --start sgd_full --epochs 1 --images 2000 --out runs/more

    Args:
        own: Your own pictures to mix in, DIR/<class>/*.
        name: Of the files written.
        out: Where checkpoint and events.jsonl go.
        summary_every_s: Seconds between progress events.
    """
    JobSettings(**settings).recipe(name)  # what is wrong in itself is said before torch is imported
    with stop_on_signals() as stop:
        from trainer import api

        finetuned = api.finetune(
            checkpoints=checkpoints,
            data=source.data,
            sample=source.sample,
            device=source.device,
            own=own,
            out=out,
            name=name,
            summary_every_s=summary_every_s,
            stop=stop,
            **settings,
        )
    print(f"{finetuned.weights} is written")
    return 0


def _refuse_to_overwrite(folder: Path, names: list[str]) -> None:
    from trainer.checkpoint import has_state

    for name in names:
        if (folder / f"{name}.json").exists() or has_state(folder, name):
            raise TrainingError("run_exists", folder=folder, name=name)


def _tell_finished(record: Record) -> RunFinished:
    """A run of an earlier process, as its own would have told it."""
    return RunFinished(
        recipe=record.name,
        test_accuracy=record.test.accuracy,
        test_loss=record.test.loss,
        train_s=record.train_s,
        seconds=record.seconds,
        checkpoint=f"{record.name}.safetensors",
    )
