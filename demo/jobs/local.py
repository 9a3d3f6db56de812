"""Jobs on this machine, a child process each: one is always warm, everything imported."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from demo.jobs import words
from demo.jobs.backend import LOG, NAME, ROOT, Order, Payer, Process
from demo.jobs.environment import child_environment
from trainer.data import is_full_data_at_hand

NICENESS = 5
"""Priority below the app's: where both want a core, a job gets a quarter of it (Linux's weights are
335 to 1024, `sched_prio_to_weight`)."""
GRACE_S = 5.0
"""From asking a process to end to making it."""
SUMMARY_EVERY_S = 0.5
"""Between two words of a job on how far it is."""


class ProcessGroup:
    """A job's process and its children."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid
        self.identity = describe_process(self.pid)

    @property
    def status(self) -> int:
        assert self._process.returncode is not None
        return self._process.returncode

    def wait(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def memory_bytes(self) -> int:
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += member.memory_info().rss
        return total

    def ask_to_end(self) -> None:
        # The process alone: its children are its own to end.
        if self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        self._signal(signal.SIGTERM)
        if not self.wait(GRACE_S):
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._signal(signal.SIGKILL)  # children that outlived their parent
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class LocalBackend:
    """Starts `python -m trainer finetune` on this machine.

    Importing torch takes longer than many a job. So once jobs are likely (`prepare`) one process
    waits on `standby`. The next is made ready when a job has ended, not beside it: both cores would
    be taken from who asks meanwhile.
    """

    place: str = words.ON_THIS_SERVER
    leaves = ""
    waiting_s = 0.0
    saving_s = 30.0
    seconds_a_day: float = math.inf
    offers_gpu = False
    takes_payers = False
    leaves_with_payer = ""
    usd_a_second: float = 0.0

    def __init__(self, checkpoints: Path) -> None:
        """
        Args:
            checkpoints: folder of the four; only read.
        """
        self.full_data = is_full_data_at_hand()
        self.threads: int | None = max(1, (os.cpu_count() or 1) // 2)
        self._checkpoints = checkpoints.resolve()
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[bytes] | None = None
        self._closed = False

    def admit(self, folder: Path, payer: Payer | None) -> None:
        """Nothing: no job gets a GPU here, and none costs anything."""

    def release(self, folder: Path) -> None:
        """Nothing."""

    def list_arguments(self, order: Order) -> list[str]:
        """What the trainer is told of a job."""
        settings = order.settings
        if order.start is not None:
            settings = settings.changed(start=str(order.start))
        return [
            *settings.arguments(),
            *([] if self.full_data else ["--sample"]),
            *("--checkpoints", str(self._checkpoints), "--out", str(order.folder)),
            *("--name", NAME, "--summary-every-s", str(SUMMARY_EVERY_S)),
            *(["--own", str(order.own)] if order.own else []),
        ]

    def start(self, order: Order) -> Process:
        with self._lock:
            process = self._take_spare() or self._spawn()
        assert process.stdin is not None
        arguments = self.list_arguments(order)
        line = json.dumps({"arguments": arguments, "log": str(order.folder / LOG)}) + "\n"
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()  # and left open: the process ends when we do
        except BrokenPipeError as error:
            raise OSError(error.errno, "the process ended before it began") from error
        return ProcessGroup(process)

    def end_orphan(self, identity: str) -> None:
        pid, birth = identity.split()
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, ValueError):
            process = psutil.Process(int(pid))
            if _read_birth(process.pid) == birth:
                os.killpg(process.pid, signal.SIGKILL)
                psutil.wait_procs([process], timeout=10)

    def prepare(self) -> None:
        threading.Thread(target=self._warm_up, daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._spare is not None and self._spare.stdin is not None:
                self._spare.stdin.close()  # standby ends with its input
                self._spare.wait()
                self._spare = None

    def _warm_up(self) -> None:
        with self._lock:
            if self._spare is None and not self._closed:
                with contextlib.suppress(OSError):
                    self._spare = self._spawn()

    def _take_spare(self) -> "subprocess.Popen[bytes] | None":
        spare, self._spare = self._spare, None
        return spare if spare is not None and spare.poll() is None else None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        threads = str(self.threads)
        environment = child_environment(os.environ)
        environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        return subprocess.Popen(
            ["nice", "-n", str(NICENESS), sys.executable, "-m", "trainer", "standby"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def describe_process(pid: int) -> str:
    """A process, told apart from any other that ever had its number.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    return f"{pid} {_read_birth(pid)}"


def _read_birth(pid: int) -> str:
    """When a process began, by a clock that nobody sets: a pid is used again, with this it is not.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    try:
        # Ticks since this start of the machine, and which start that is: proc(5).
        status = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{status.rpartition(')')[2].split()[19]}-{boot}"
    except FileNotFoundError:
        return str(psutil.Process(pid).create_time())  # no Linux, or no such process
