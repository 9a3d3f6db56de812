"""An app's processes, as a soak finds, names and hinders them. Linux."""

import contextlib
import resource

import psutil

from bench.app import Server
from bench.reliability import DECODING, GONE, TRAINING


def list_family(server: Server) -> list[psutil.Process]:
    """An app's process and all it started."""
    return [server.process, *server.process.children(recursive=True)]


def name_process(process: psutil.Process) -> str:
    """What a process of an app is for."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return GONE
    marks = {"trainer.decoding_child": DECODING, "trainer standby": TRAINING, "app.py": "app"}
    return next((name for mark, name in marks.items() if mark in command), command)


def is_there(process: psutil.Process) -> bool:
    """True for a process that runs, False for one of which only the parent's look is missing."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def set_file_limit(process: psutil.Process, most_bytes: int | None) -> None:
    """Lets a process's files grow to so many bytes, or again as long as they may."""
    with contextlib.suppress(psutil.NoSuchProcess):
        _, hard = process.rlimit(resource.RLIMIT_FSIZE)
        process.rlimit(resource.RLIMIT_FSIZE, (hard if most_bytes is None else most_bytes, hard))
