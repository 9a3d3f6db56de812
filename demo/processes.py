"""Child processes for jobs: one is always warm, waiting with everything imported."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

NICENESS = 5
"""Priority below the app's: where both want a core, a job gets about a quarter of it."""
GRACE_S = 5.0
"""From asking a process to end to making it."""


class Process:
    """A job's process group."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid
        self.created_s = psutil.Process(process.pid).create_time()

    @property
    def status(self) -> int:
        """Exit status of a process that has ended; negative for a signal."""
        assert self._process.returncode is not None
        return self._process.returncode

    def wait(self, timeout_s: float) -> bool:
        """True when the process ends within the time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def memory_bytes(self) -> int:
        """Resident memory of the group."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += member.memory_info().rss
        return total

    def end(self) -> None:
        """Ends the whole group, politely at first, and reaps it."""
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


class LocalProcesses:
    """Starts `python -m trainer` on this machine.

    Importing torch takes longer than many a job. So once jobs are likely (`prepare`) one process
    waits on `standby`, and the next is made ready as soon as it is taken.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self, arguments: list[str], log: Path) -> Process:
        """Runs `python -m trainer ARGUMENTS...`, its output appended to `log`.

        Raises:
            OSError: no process could be started, or the log cannot be written.
        """
        with self._lock:
            process = self._take_spare() or self._spawn()
        assert process.stdin is not None
        line = json.dumps({"arguments": arguments, "log": str(log)}) + "\n"
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()  # and left open: the process ends when we do
        except BrokenPipeError as error:
            raise OSError(error.errno, "the process ended before it began") from error
        self.prepare()
        return Process(process)

    def prepare(self) -> None:
        """Makes a waiting process ready, in the background."""
        threading.Thread(target=self._warm_up, daemon=True).start()

    def close(self) -> None:
        """Ends the waiting process."""
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
        threads = str(self._threads)
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        return subprocess.Popen(
            ["nice", "-n", str(NICENESS), sys.executable, "-m", "trainer", "standby"],
            cwd=Path(__file__).parent.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
