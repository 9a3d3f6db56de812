"""What a job on Hugging Face Jobs runs: `python -m demo.jobs.hub_worker TASK`, in the Space's
image.

Fetches the job's inputs from the repository, trains, says every event on standard output, and puts
the checkpoint into the repository. `TASK` is JSON: see `demo.jobs.hub.HubBackend.start`.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from huggingface_hub import HfApi

from demo.jobs.backend import EVENTS, NAME, OWN, ROOT, SHIPPED
from demo.jobs.environment import child_environment, take_token

INPUTS, OUTPUTS, CHECKPOINTS, STOP = "in", "out", "checkpoints", "stop"
"""Folders in a job's folder of the repository, one of the inputs, and the note that ends a job."""
EVENT = "event "
"""Before each event in the log, which holds other lines too."""
RELAY_S = 0.5
ASK_S = 5.0
"""Between two looks for that note."""
SAVING_S = 60.0
"""From asking the trainer to end to the checkpoint in the repository."""


def main(task: dict[str, Any]) -> int:
    """Returns the trainer's exit status."""
    deadline = time.monotonic() + max(task["wall_s"] - SAVING_S, task["wall_s"] / 2)
    api = HfApi(token=take_token(os.environ) or None)
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary), Path(temporary) / OUTPUTS
        out.mkdir()
        inputs = folder / task["path"] / INPUTS
        inputs.mkdir(parents=True)
        if task["inputs"]:
            pattern = f"{task['path']}/{INPUTS}/*"
            api.snapshot_download(task["repo"], allow_patterns=pattern, local_dir=folder)
        with (out / EVENTS).open("a+") as events:
            process = start_trainer(task["arguments"], inputs, out)
            status = follow(process, events, deadline, lambda: is_told_to_end(api, task))
        if status == 0:
            api.upload_folder(
                repo_id=task["repo"],
                folder_path=out,
                path_in_repo=f"{task['path']}/{OUTPUTS}",
                allow_patterns=f"{NAME}*",
                commit_message=f"Results of {task['path']}",
            )
    return status


def start_trainer(arguments: Sequence[str], inputs: Path, out: Path) -> "subprocess.Popen[bytes]":
    """Starts the trainer among what the app sent along: pictures, checkpoints, a start."""
    checkpoints = inputs / CHECKPOINTS
    own = inputs / OWN
    command = [
        *(sys.executable, "-m", "trainer", *arguments, "--out", str(out)),
        *("--checkpoints", str(checkpoints if checkpoints.is_dir() else SHIPPED)),
        *(("--own", str(own)) if own.is_dir() else ()),
    ]
    environment = {**child_environment(os.environ), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=inputs, env=environment)


def follow(
    process: "subprocess.Popen[bytes]",
    events: IO[str],
    deadline: float,
    is_told: Callable[[], bool],
) -> int:
    """Relays events until the process ends, asking it to when it is told or late; returns its
    exit status."""
    asked_s = time.monotonic()
    ending = False
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(RELAY_S)
        relay(events)
        now = time.monotonic()
        if not ending and now > asked_s + ASK_S:
            asked_s = now
            ending = now > deadline or is_told()
            if ending:
                process.terminate()  # it writes its model as it is
    relay(events)
    return process.returncode


def is_told_to_end(api: HfApi, task: dict[str, Any]) -> bool:
    """True where the app left its note. Out of reach, there is none."""
    try:
        return api.file_exists(task["repo"], f"{task['path']}/{STOP}")
    except Exception:  # the client raises a dozen unrelated types
        return False


def relay(events: IO[str]) -> None:
    """Prints the whole lines that came since."""
    while True:
        before = events.tell()
        line = events.readline()
        if not line.endswith("\n"):
            events.seek(before)
            return
        print(f"{EVENT}{line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
