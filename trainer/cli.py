"""The command line: `python -m trainer`, one subcommand a function."""

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from trainer import checkpoint, metrics
from trainer.data import evaluated_rows, load_dataset, split_validation
from trainer.decoding import shared_decoder
from trainer.distributed import joined_world
from trainer.engine import Placement, Trainer
from trainer.errors import PictureError, QuartetError, TrainingError
from trainer.events import Event, EventLog, OnEvent
from trainer.figures import stored_logits
from trainer.files import hash_tensors, lock_folder
from trainer.finetune import (
    choose_images,
    load_start,
    mix_in,
    read_own_pictures,
    settings_like_start,
)
from trainer.model import load_backbone
from trainer.predict import Quartet
from trainer.progress import show_progress
from trainer.recipe import (
    CLASSES,
    EMPHASIS,
    PLAIN_BACKBONE,
    PRESETS,
    RECIPE_NAMES,
    JobSettings,
    Recipe,
)
from trainer.record import Origin, OwnPictures
from trainer.stop import Interrupted, stop_on_signals

OPTIMIZERS = ("sgd", "adam", "adamw")
TRAINED = ("last_layer", "last_block", "all")

TRAIN_ORDER = ("sgd_frozen", "adam_frozen", "sgd_full", "adam_full")
"""Minutes before hours."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status: 0 done, 1 a fault, 130 or 143 stopped
    by Ctrl-C or SIGTERM."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _build_parser()
    if not arguments or (arguments[0] not in commands and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "train")
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except QuartetError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"error: {error.strerror or error} ({error.filename or 'while writing'}): "
            f"free some space or choose another folder; what was saved before is intact.",
            file=sys.stderr,
        )
    return 1


def train(options: argparse.Namespace) -> int:
    """Trains the chosen recipes in turn and writes checkpoints, events and the report."""
    from trainer.report import write_report

    recipes = _chosen_recipes(options)
    folder: Path = options.out
    if not options.resume:
        for recipe in recipes:
            finished = (folder / f"{recipe.name}.json").exists()
            if finished or checkpoint.has_state(folder, recipe.name):
                raise TrainingError("run_exists", folder=folder, name=recipe.name)
    device = _device(options.device)
    precision = options.precision
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    data = load_dataset(options.data, options.sample)
    backbone = load_backbone(options.backbone)
    with joined_world(device.type) as world, contextlib.ExitStack() as stack:
        placement = Placement(
            folder, device, precision, options.resume, options.save_every_s, world=world
        )
        trainer = Trainer(data, backbone, placement)
        stop = stack.enter_context(stop_on_signals())
        listeners: list[OnEvent] = []
        if world.writes:
            stack.enter_context(lock_folder(folder, "a training run"))
            log = EventLog(folder / "events.jsonl")
            stack.callback(log.close)
            listeners = [log, stack.enter_context(show_progress([r.name for r in recipes]))]

        def on_event(event: Event) -> None:
            for listener in listeners:
                listener(event)

        try:
            for recipe in recipes:
                if options.resume and trainer.finished(recipe):
                    continue
                trainer.fit(recipe, on_event, stop)
        except Interrupted as interruption:
            stack.close()
            print(f"{interruption}: continue with --resume.", file=sys.stderr)
            return 128 + (stop.signal or signal.SIGINT)
    if world.writes:
        write_report(folder, folder / "report.md")
        print(f"checkpoints and report.md are in {folder}")
    return 0


def finetune(options: argparse.Namespace) -> int:
    """Trains one model for a short while and writes its checkpoint."""
    folder: Path = options.out
    if (folder / f"{options.name}.json").exists():
        raise TrainingError("finetuned_exists", folder=folder, name=options.name)
    names = [name for name in JobSettings.model_fields if name != "start"]
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    settings = settings_like_start(options.start, options.checkpoints, **given)
    recipe = settings.recipe(options.name)
    start = load_start(options.start, options.checkpoints)
    data = load_dataset(options.data, options.sample)
    training, validation = split_validation(data)
    training = choose_images(training, settings)
    own = None
    if options.own is not None:
        own = read_own_pictures(options.own)
        training = mix_in(training, own, settings.own_repeats)
    if 2 <= len(training) < recipe.batch_size:
        recipe = recipe.changed(batch_size=len(training))
    splits = {
        "train": training,
        "validation": validation.subset(evaluated_rows(len(validation), settings.evaluated)),
        "test": data.test.subset(evaluated_rows(len(data.test), settings.evaluated)),
    }
    origin = Origin(
        start=start.name,
        start_sha256=start.sha256,
        settings=settings.changed(start=start.name),
        own_pictures=None
        if own is None
        else OwnPictures(count=len(own), sha256=hash_tensors(vars(own))),
        threads=torch.get_num_threads(),
    )
    placement = Placement(
        folder,
        _device(options.device),
        summary_every_s=options.summary_every_s,
        keep_features=True,
        measure_start=True,
        keep_stopped=True,
    )
    trainer = Trainer(data, start, placement, splits, origin)
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_folder(folder, "a fine-tuning run"))
        stop = stack.enter_context(stop_on_signals())
        log = EventLog(folder / "events.jsonl")
        stack.callback(log.close)
        screen = stack.enter_context(show_progress([recipe.name]))

        def on_event(event: Event) -> None:
            log(event)
            screen(event)

        trainer.fit(recipe, on_event, stop)
    print(f"{folder / recipe.name}.safetensors is written")
    return 0


def standby(options: argparse.Namespace) -> int:
    """Waits, everything imported, for one line of JSON: a command's `arguments`, and the `log`
    file that takes its output. Ends when the input does, so that no run outlives who asked."""
    line = sys.stdin.readline()
    if not line:
        return 0
    asked = json.loads(line)
    with open(asked["log"], "ab", buffering=0) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())

    def end_with_input() -> None:
        # Not through sys.stdin, whose lock a waiting thread would hold when Python ends.
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_input, daemon=True).start()
    status = main(asked["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # unloading torch takes time, and nothing is left to close


def evaluate(options: argparse.Namespace) -> int:
    """Recomputes recorded test figures; returns 1 where one differs."""
    data = load_dataset(options.data, options.sample)
    device = _device(options.device)
    names = options.only or [*checkpoint.list_names(options.checkpoints)]
    status = 0
    for name in names:
        loaded = checkpoint.load_checkpoint(options.checkpoints, name)
        recorded = loaded.record.test
        image_px = loaded.record.recipe.image_px
        logits = stored_logits(loaded.weights, data.test.images, image_px, device)
        figures = metrics.measure(logits, data.test.labels)
        print(
            f"{name}: test accuracy {figures.accuracy:.2%}, loss {figures.loss:.4f} "
            f"on {len(data.test):,} images",
            end="; ",
        )
        # The digest tells files apart, not images: PNG and WebP copies must compare equal.
        same_count = len(data.test) == loaded.record.data.test_count
        if loaded.record.data.digest != data.digest and not same_count:
            print(f"recorded {recorded.accuracy:.2%} is of another data set")
        elif figures.confusion == recorded.confusion:
            print("equals the recorded figures")
        else:
            print(f"DIFFERS from the recorded {recorded.accuracy:.2%}")
            status = 1
    return status


def predict(options: argparse.Namespace) -> int:
    """Classifies pictures with every model at hand."""
    quartet = Quartet(options.checkpoints)
    for name, fault in quartet.faults.items():
        print(f"{name} is left out: {fault}", file=sys.stderr)
    results, status = {}, 0
    for path in options.images:
        try:
            pixels = shared_decoder().decode(path.read_bytes(), options.crop)
        except (PictureError, OSError) as error:
            print(f"error: {path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            status = 1
            continue
        results[str(path)] = {
            name: dict(zip(CLASSES, logits[0].softmax(dim=0).tolist(), strict=True))
            for name, logits in quartet.classify(torch.from_numpy(pixels)[None]).logits.items()
        }
    if options.json:
        print(json.dumps(results, indent=1))
        return status
    for picture, models in results.items():
        print(picture)
        for name, probabilities in models.items():
            top = sorted(probabilities.items(), key=lambda item: -item[1])[: options.top]
            cells = "".join(f"{label:>12} {share:6.1%}" for label, share in top)
            print(f"  {name:<12}{cells}")
    return status


def report(options: argparse.Namespace) -> int:
    """Writes the report of a folder of checkpoints."""
    from trainer.report import write_report

    write_report(options.checkpoints, options.out, options.html)
    print(f"wrote {options.out}" + (f" and {options.html}" if options.html else ""))
    return 0


def _chosen_recipes(options: argparse.Namespace) -> list[Recipe]:
    changes = {
        name: value
        for name in ("epochs", "batch_size", "image_px", "seed")
        if (value := getattr(options, name)) is not None
    }
    preset = PRESETS[options.preset]
    names = [name for name in TRAIN_ORDER if not options.only or name in options.only]
    return [preset[name].changed(**changes) for name in names]


def _device(name: str) -> torch.device:
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not mps):
        raise TrainingError(f"this machine has no {name} device: use --device cpu or auto.")
    if name == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


def _recipe_names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in RECIPE_NAMES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not a recipe: choose from {', '.join(RECIPE_NAMES)}"
            )
    return names


def _checkpoint_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise argparse.ArgumentTypeError("use letters, digits, - and _, at most 64")
    return text


def _build_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description="Fine-tune a pre-trained ResNet-18 on CIFAR-10 in four ways and compare them.",
        epilog="Without a command, 'train' is meant: python -m trainer --sample",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"Example: python -m trainer {name} {example}",
        )
        command.set_defaults(run=run)
        return command

    def add_data(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            help="local CIFAR-10: the Hub dataset's Parquet files or an ImageFolder "
            "(default: $QUARTET_DATA, else the Hub)",
        )
        command.add_argument(
            "--sample",
            action="store_true",
            help="use the 2,500 embedded images: offline, and quick",
        )
        command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")

    def add_checkpoints(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--checkpoints",
            type=Path,
            default=Path("checkpoints"),
            metavar="DIR",
            help="folder of checkpoints (default: checkpoints)",
        )

    def add_only(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--only",
            type=_recipe_names,
            metavar="NAMES",
            help=f"some of {', '.join(RECIPE_NAMES)}, separated by commas",
        )

    command = add(
        "train",
        train,
        "Train the recipes in turn; write checkpoints, events and a report.",
        "--only sgd_full --epochs 2 --out runs/try",
    )
    add_only(command)
    command.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="default",
        help="'default' is tuned for accuracy; 'report' keeps the learning rate constant "
        "for 20 epochs at 32 px (default: default)",
    )
    command.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    command.add_argument("--image-px", type=int, metavar="PX", help="input side, 32 to 224")
    command.add_argument("--batch-size", type=int, metavar="N", help="images a step")
    command.add_argument(
        "--seed", type=int, metavar="N", help="of the last layer, the order and the augmentation"
    )
    command.add_argument(
        "--backbone",
        type=Path,
        metavar="FILE",
        help="safetensors file of a ResNet-18 (default: torchvision's ImageNet weights)",
    )
    add_data(command)
    command.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="of the training steps; auto is bf16 on a GPU, fp32 elsewhere",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("runs/train"),
        metavar="DIR",
        help="where checkpoints, events.jsonl and report.md go (default: runs/train)",
    )
    command.add_argument("--resume", action="store_true", help="continue what is in --out")
    command.add_argument(
        "--save-every-s",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds between saved states (default: 60)",
    )

    command = add(
        "finetune",
        finetune,
        "Train one model a little further; write its checkpoint and events.",
        "--start sgd_full --epochs 1 --images 2000 --out runs/more",
    )
    command.add_argument(
        "--start",
        default="sgd_full",
        metavar="NAME",
        help=f"{', '.join(RECIPE_NAMES)}, {PLAIN_BACKBONE} (pre-trained, new last layer), or a "
        f"checkpoint's .safetensors file (default: sgd_full)",
    )
    command.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the start's own")
    command.add_argument("--learning-rate", type=float, metavar="X", help="constant")
    command.add_argument("--momentum", type=float, metavar="X", help="or Adam's beta1")
    command.add_argument("--beta2", type=float, metavar="X", help="of Adam and AdamW")
    command.add_argument("--weight-decay", type=float, metavar="X")
    command.add_argument("--label-smoothing", type=float, metavar="X")
    command.add_argument("--trained", choices=TRAINED, help="default: as the start was")
    command.add_argument("--epochs", type=int, default=1, metavar="N", help="default: 1")
    command.add_argument("--steps", type=int, metavar="N", help="instead of epochs")
    command.add_argument("--batch-size", type=int, metavar="N", help="images a step")
    command.add_argument("--image-px", type=int, metavar="PX", help="default: the start's own")
    command.add_argument(
        "--images", type=int, default=2000, metavar="N", help="training images (default: 2000)"
    )
    command.add_argument(
        "--emphasised",
        nargs="+",
        choices=CLASSES,
        help=f"classes drawn {EMPHASIS:g} times as often",
    )
    command.add_argument(
        "--augment", action="store_true", help="flips and shifts; not when only the last layer is"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    command.add_argument(
        "--own", type=Path, metavar="DIR", help="your own pictures to mix in, DIR/<class>/*"
    )
    command.add_argument(
        "--own-repeats",
        type=int,
        default=20,
        metavar="N",
        help="how often each of them is shown an epoch (default: 20)",
    )
    command.add_argument(
        "--evaluated",
        type=int,
        metavar="N",
        help="validation and test images to measure on (default: all)",
    )
    add_data(command)
    add_checkpoints(command)
    command.add_argument(
        "--name", type=_checkpoint_name, default="finetuned", help="of the files written"
    )
    command.add_argument("--out", type=Path, default=Path("runs/finetune"), metavar="DIR")
    command.add_argument(
        "--summary-every-s",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds between progress events (default: 5)",
    )

    command = add(
        "standby", standby, "Wait, imported, for a command as a line of JSON, and run it.", "< FILE"
    )

    command = add(
        "evaluate",
        evaluate,
        "Recompute the recorded test figures; exit with 1 if one differs.",
        "--only adam_full",
    )
    add_checkpoints(command)
    add_only(command)
    add_data(command)

    command = add("predict", predict, "Classify pictures with the four models.", "cat.jpg --top 3")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add_checkpoints(command)
    command.add_argument("--crop", choices=("centre", "fit"), default="centre")
    command.add_argument("--top", type=int, default=3, metavar="N", help="classes shown")
    command.add_argument("--json", action="store_true", help="all ten probabilities as JSON")

    command = add(
        "report", report, "Write the report of a folder of checkpoints.", "--html report.html"
    )
    add_checkpoints(command)
    command.add_argument("--out", type=Path, default=Path("docs/report.md"), metavar="FILE")
    command.add_argument(
        "--html", type=Path, metavar="FILE", help="also as one self-contained page"
    )
    return parser, list(commands.choices)
