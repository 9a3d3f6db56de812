"""A process that has imported everything, and waits to be told what to do."""

import importlib
import json
import os
import signal
import sys
import threading

_NEEDED = "trainer.api"
"""What `finetune` imports when it runs."""


def await_arguments() -> list[str] | None:
    """Waits for a command as one line of JSON on the standard input.

    The line holds the command's `arguments`, and the `log` file that takes all output from here on.
    When the input ends the process is told to stop, so that no run outlives who asked.

    Returns:
        The arguments, or None where the input ended without any.
    """
    importlib.import_module(_NEEDED)
    line = sys.stdin.readline()
    if not line:
        return None
    asked = json.loads(line)
    with open(asked["log"], "ab", buffering=0) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    threading.Thread(target=_end_with_input, daemon=True).start()
    arguments: list[str] = asked["arguments"]
    return arguments


def end_process(status: int) -> None:
    """Ends without unloading torch, which takes time; nothing is left to close."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_input() -> None:
    # Not through sys.stdin, whose lock a waiting thread would hold when Python ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
