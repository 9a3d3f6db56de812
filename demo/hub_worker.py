"""What a job on Hugging Face Jobs runs: `python -m demo.hub_worker TASK`, in the Space's image.

Fetches the job's inputs from the repository, trains, says every event on standard output, and puts
the checkpoint into the repository. `TASK` is JSON: see `demo.hub.HubBackend.start`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from huggingface_hub import HfApi

from demo.backend import EVENTS, NAME, OWN

ROOT = Path(__file__).parent.parent
INPUTS, OUTPUTS = "in", "out"
"""Folders in a job's folder of the repository."""
RELAY_S = 0.5


def main(task: dict[str, Any]) -> int:
    """Returns the trainer's exit status."""
    api = HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out = folder / "out"
        out.mkdir()
        arguments = [*task["arguments"], "--out", str(out)]
        if task["inputs"]:
            inputs = f"{task['path']}/{INPUTS}"
            api.snapshot_download(task["repo"], allow_patterns=f"{inputs}/*", local_dir=folder)
            if (folder / inputs / OWN).is_dir():
                arguments += ["--own", str(folder / inputs / OWN)]
            weights = folder / inputs / f"{NAME}.safetensors"
            if weights.exists():
                arguments += ["--start", str(weights)]
        (out / EVENTS).touch()
        with (out / EVENTS).open() as events:
            process = subprocess.Popen([sys.executable, "-m", "trainer", *arguments], cwd=ROOT)
            while True:
                try:
                    status = process.wait(RELAY_S)
                    break
                except subprocess.TimeoutExpired:
                    relay(events)
            relay(events)
        if status == 0:
            api.upload_folder(
                repo_id=task["repo"],
                folder_path=out,
                path_in_repo=f"{task['path']}/{OUTPUTS}",
                allow_patterns=f"{NAME}*",
                commit_message=f"Results of {task['path']}",
            )
    return status


def relay(events: IO[str]) -> None:
    """Prints the whole lines that came since."""
    while True:
        before = events.tell()
        line = events.readline()
        if not line.endswith("\n"):
            events.seek(before)
            return
        print(line, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
