"""Jobs on ZeroGPU: a Space there borrows a GPU of Hugging Face's for as long as a decorated
function runs, and gives it back.

Answers stay on the CPU: a pass is shorter than the wait for a GPU. A job uses one where its visitor
asks for it, for a time that is declared before it begins; other jobs run as `demo.jobs.local` runs
them. Elsewhere the decorator does nothing, and a job that asks takes the GPU that there is, or
none. Tested that way; has not met the real service.
"""

import contextlib
import contextvars
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from demo.jobs import words
from demo.jobs.backend import LOG, ROOT, Order, Payer, Process
from demo.jobs.environment import child_environment
from demo.jobs.local import GRACE_S, LocalBackend, describe_process

LEAST_S, USUAL_S, MOST_S = 20, 60, 120
"""Declared at least, where nothing is known yet, and at most. The usual is the service's own
default; its visitors without an account have two minutes a day."""
MARGIN, STARTING_S = 1.5, 15.0
"""Of a declared time over the estimate; a GPU's process imports torch and sets CUDA up first."""
SAVING_S = 10.0
"""Before the declared time is over a job is asked to write its model."""
PID, END = ".gpu-pid", ".gpu-end"
"""Files in a job's folder: which process it is, and that it must not begin."""

Train = Callable[[list[str], str, float], int]


def is_zero_gpu() -> bool:
    """True in a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def declare_seconds(estimate_s: float | None) -> float:
    """How long to ask for a GPU, by how long the job would take; None where nobody knows."""
    if estimate_s is None:
        return USUAL_S
    return min(MOST_S, max(LEAST_S, math.ceil(estimate_s * MARGIN + STARTING_S)))


def borrow_gpu(train: Train) -> Train:
    """`train` as a function that has a GPU while it runs, where that can be had."""
    if not is_zero_gpu():
        return train
    import spaces

    borrowing: Train = spaces.GPU(duration=lambda command, folder, seconds: seconds)(train)
    return borrowing


def train(command: list[str], folder: str, seconds: float) -> int:
    """Runs a job in a process that sees the GPU, and has it write its model in time.

    On ZeroGPU this runs in a process of the service's making, so it tells by files what is to be
    known of it.

    Returns:
        The exit status.
    """
    home = Path(folder)
    if (home / END).exists():
        return -signal.SIGTERM
    with (home / LOG).open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env=child_environment(os.environ),
        )  # fmt: skip
    (home / PID).write_text(describe_process(process.pid))
    try:
        process.wait(max(seconds - SAVING_S, seconds / 2))
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(SAVING_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


class ZeroBackend(LocalBackend):
    """Starts jobs on this machine, and those that ask for it with a borrowed GPU."""

    offers_gpu = True

    def __init__(self, checkpoints: Path) -> None:
        super().__init__(checkpoints)
        # Before the app is launched: the service looks for such a function then.
        self._train = borrow_gpu(train)
        self._visitors: dict[str, contextvars.Context] = {}

    def admit(self, folder: Path, payer: Payer | None) -> None:
        # The service counts GPU time by the request of the visitor, which lies in this context.
        self._visitors[folder.name] = contextvars.copy_context()

    def release(self, folder: Path) -> None:
        self._visitors.pop(folder.name, None)

    def start(self, order: Order) -> Process:
        visitor = self._visitors.pop(order.folder.name, None) or contextvars.copy_context()
        seconds = order.gpu_s
        if seconds is None:
            return super().start(order)
        device = "cuda" if is_zero_gpu() else "auto"
        command = [
            *(sys.executable, "-m", "trainer", *self.list_arguments(order), "--device", device),
        ]
        return GpuProcess(
            lambda: visitor.run(self._train, command, str(order.folder), seconds), order.folder
        )

    def end_orphan(self, identity: str) -> None:
        super().end_orphan(_read(Path(identity) / PID) or identity)


class GpuProcess:
    """A job that waits for a GPU or has one, and the thread that waits for it."""

    def __init__(self, run: Callable[[], int], folder: Path) -> None:
        self.identity = str(folder)
        self.status = 1
        self._folder = folder
        self._run = run
        self._thread = threading.Thread(target=self._follow, name="gpu", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def memory_bytes(self) -> int:
        with contextlib.suppress(psutil.NoSuchProcess):
            if (pid := self._find_pid()) is not None:
                return int(psutil.Process(pid).memory_info().rss)
        return 0

    def ask_to_end(self) -> None:
        (self._folder / END).touch()
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        if self._thread.is_alive():
            self.ask_to_end()
            if not self.wait(GRACE_S):
                self._signal(signal.SIGKILL)
                self.wait(GRACE_S)

    def _follow(self) -> None:
        try:
            self.status = self._run()
        except Exception as error:  # the service's refusals, such as a quota that is used up
            reason = re.sub(r"(<[^>]*>|\s)+", " ", str(error)).strip()
            with (self._folder / LOG).open("a") as log:
                log.write(f"error: {words.describe_no_gpu(reason)}\n")

    def _find_pid(self) -> int | None:
        """None before it has begun, and once it has ended: its number may be another's then."""
        known = _read(self._folder / PID)
        pid = int(known.split()[0]) if known else 0
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid and describe_process(pid) == known:
                return pid
        return None

    def _signal(self, number: int) -> None:
        if (pid := self._find_pid()) is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number) if number == signal.SIGKILL else os.kill(pid, number)


def _read(path: Path) -> str:
    """A file's text, or nothing."""
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
