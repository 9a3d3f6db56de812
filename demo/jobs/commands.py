"""Commands of the trainer that the app waits for, in a child process that gives way to answers."""

import os
import subprocess
import sys

from demo.jobs.backend import ROOT
from demo.jobs.environment import child_environment
from demo.jobs.local import NICENESS

LONGEST_S = 600.0
"""What has not ended by then is ended."""


def run_trainer(*arguments: str) -> None:
    """Runs `python -m trainer ARGUMENTS...` to its end, on half of the cores.

    Raises:
        OSError: it could not be started.
        subprocess.SubprocessError: it failed, or took too long.
    """
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    subprocess.run(
        ["nice", "-n", str(NICENESS), sys.executable, "-m", "trainer", *arguments],
        cwd=ROOT,
        env=child_environment(os.environ) | {"OMP_NUM_THREADS": threads},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=LONGEST_S,
        check=True,
    )
