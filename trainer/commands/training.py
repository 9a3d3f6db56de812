"""`train` and `finetune`: the commands that train."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from trainer.events import Event, EventLog, OnEvent, RunFailed, RunFinished
from trainer.files import hash_tensors, lock_folder
from trainer.progress import show_progress
from trainer.recipe import PRESETS, JobSettings
from trainer.record import Origin, OwnPictures, Record
from trainer.stop import Interrupted, stop_on_signals

if TYPE_CHECKING:
    from trainer.data import Dataset, Split

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
    from trainer.device import is_bf16_fast
    from trainer.distributed import joined_world
    from trainer.engine import Placement, Trainer
    from trainer.model import load_backbone

    if not resume:
        _refuse_to_overwrite(out, names)
    device = source.find_device()
    if precision == "auto":
        precision = "bf16" if is_bf16_fast(device) else "fp32"
    data, weights = source.load(), load_backbone(backbone)
    with joined_world(device.type) as world, stop_on_signals() as stop:
        placement = Placement(out, device, precision, resume, save_every_s, world=world)
        trainer = Trainer(data, weights, placement)
        try:
            with _listening(out, "a training run", names, world.writes) as (on_event, show):
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
    if (out / f"{name}.json").exists():
        raise TrainingError("finetuned_exists", folder=out, name=name)
    given = JobSettings(**settings)
    given.recipe(name)  # what is wrong in itself is said before torch is imported
    with stop_on_signals() as stop:
        with _telling_failure(out, name):
            from trainer.engine import Placement, Trainer
            from trainer.finetune import load_start, read_own_pictures, settings_like_start

            job = settings_like_start(checkpoints=checkpoints, **{**settings, "start": given.start})
            start = load_start(job.start, checkpoints)
            data = source.load()
            pictures = None if own is None else read_own_pictures(own)
            splits = _choose_splits(data, job, pictures)
            recipe = job.recipe(name)
            if 2 <= len(splits["train"]) < recipe.batch_size:
                recipe = recipe.changed(batch_size=len(splits["train"]))
            placement = Placement(
                out,
                source.find_device(),
                summary_every_s=summary_every_s,
                keep_features=True,
                measure_start=True,
                keep_stopped=True,
            )
            origin = _describe_origin(job.changed(start=start.name), start.sha256, pictures)
        trainer = Trainer(data, start, placement, splits, origin)
        with _listening(out, "a fine-tuning run", [name]) as (on_event, _):
            trainer.fit(recipe, on_event, stop)
    print(f"{out / name}.safetensors is written")
    return 0


@contextlib.contextmanager
def _listening(
    folder: Path, holder: str, names: list[str], writes: bool = True
) -> Iterator[tuple[OnEvent, OnEvent]]:
    """Locks the folder, and yields who takes events: log and screen, and the screen alone.

    Args:
        holder: what the lock says of who holds it.
        writes: False in a process whose events another one tells.
    """
    if not writes:
        yield _ignore, _ignore
        return
    with (
        lock_folder(folder, holder),
        contextlib.closing(EventLog(folder / "events.jsonl")) as log,
        show_progress(names) as screen,
    ):

        def on_event(event: Event) -> None:
            log(event)
            screen(event)

        yield on_event, screen


@contextlib.contextmanager
def _telling_failure(folder: Path, name: str) -> Iterator[None]:
    """Says in a folder that is there why its run did not begin, as the engine does of one that has;
    whoever made the folder waits for that."""
    try:
        yield
    except Exception as error:
        if folder.is_dir():
            with contextlib.closing(EventLog(folder / "events.jsonl")) as log:
                log(RunFailed.tell(name, error, step=0))
        raise


def _ignore(_: Event) -> None:
    pass


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


def _choose_splits(
    data: "Dataset", settings: JobSettings, pictures: "Split | None"
) -> "dict[str, Split]":
    """The images a short run sees."""
    from trainer.data import evaluated_rows, split_validation
    from trainer.finetune import choose_images, mix_in

    training, validation = split_validation(data)
    training = choose_images(training, settings)
    if pictures is not None:
        training = mix_in(training, pictures, settings.own_repeats)
    measured = {"validation": validation, "test": data.test}
    return {
        "train": training,
        **{
            name: split.subset(evaluated_rows(len(split), settings.evaluated))
            for name, split in measured.items()
        },
    }


def _describe_origin(settings: JobSettings, start_sha256: str, pictures: "Split | None") -> Origin:
    import torch

    own = None
    if pictures is not None:
        own = OwnPictures(count=len(pictures), sha256=hash_tensors(vars(pictures)))
    return Origin(
        start=settings.start,
        start_sha256=start_sha256,
        settings=settings,
        own_pictures=own,
        threads=torch.get_num_threads(),
    )
