"""The command line: `python -m trainer`, one typed function a command."""

import difflib
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

import trainer
from trainer.commands.explaining import analyse, explain, sweep
from trainer.commands.flags import FLAGS, MARKERS
from trainer.commands.publishing import publish
from trainer.commands.results import collect, evaluate, mistakes, predict, report
from trainer.commands.standby import await_arguments, end_process
from trainer.commands.training import finetune, train
from trainer.errors import QuartetError, SettingError

Command = Callable[..., int]

COMMANDS: dict[str, Command] = {
    command.__name__: command
    for command in (
        train, finetune, evaluate, predict, explain, collect, mistakes, report, analyse, sweep,
        publish,
    )
}  # fmt: skip
_PROGRAM = "python -m trainer"


def standby() -> int:
    """Wait, imported, for a command as a line of JSON, and run it. For the app, not for people."""
    arguments = await_arguments()
    if arguments is not None:
        end_process(main(arguments))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status: 0 done, 1 a fault, 2 a mistyped line, 130
    or 143 stopped by Ctrl-C or SIGTERM."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] in (["-h"], ["--help"]):
        print(_overview())
        return 0
    if arguments[:1] == ["--version"]:
        print(f"{_PROGRAM} {trainer.__version__}")
        return 0
    try:
        run = parse(arguments)
    except SystemExit as end:  # tyro has said why, or printed a command's help
        return end.code if isinstance(end.code, int) else 2
    try:
        return run()
    except QuartetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1
    except OSError as error:
        print(
            f"error: {error.strerror or error} ({error.filename or 'while writing'}): "
            f"free some space or choose another folder; what was saved before is intact.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> functools.partial[int]:
    """The command that a line asks for, ready to run.

    Args:
        arguments: without a command, `train` is meant.

    Raises:
        SystemExit: the line is mistyped (status 2, and the nearest right word is told), or asks for
            a command's help.
    """
    name, *rest = arguments if arguments and arguments[0][:1] != "-" else ["train", *arguments]
    command = {**COMMANDS, "standby": standby}.get(name)
    if command is None:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else f"use {', '.join(COMMANDS)}."
        print(f"error: {name!r} is not a command: {hint}", file=sys.stderr)
        raise SystemExit(2)

    @functools.wraps(command)
    def keep(**given: Any) -> functools.partial[int]:
        return functools.partial(command, **given)

    run: functools.partial[int] = tyro.cli(
        keep, prog=f"{_PROGRAM} {name}", args=rest, config=MARKERS, registry=FLAGS
    )
    return run


def _overview() -> str:
    """What `--help` tells: every command by the first line of its description."""
    width = max(map(len, COMMANDS))
    lines = [
        f"  {name:<{width}}  {(c.__doc__ or '').splitlines()[0]}" for name, c in COMMANDS.items()
    ]
    return "\n".join(
        [
            f"usage: {_PROGRAM} [COMMAND] [OPTIONS]",
            "",
            "Fine-tune a pre-trained ResNet-18 on CIFAR-10 in four ways and compare them.",
            "",
            "commands:",
            *lines,
            "",
            f"'{_PROGRAM} COMMAND --help' tells a command's options. --version tells the version.",
            f"Without a command, 'train' is meant: {_PROGRAM} --sample",
        ]
    )
