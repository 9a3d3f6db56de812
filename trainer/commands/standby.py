"""`standby`: a process that has imported everything, and waits for a command."""

import importlib
import json
import os
import signal
import sys
import threading

_NEEDED = ("trainer.engine", "trainer.finetune", "trainer.device", "trainer.progress")
"""What `finetune` imports when it runs."""


def standby() -> int:
    """Wait, imported, for a command as a line of JSON, and run it.

    The line holds the command's `arguments`, and the `log` file that takes its output. The process
    ends when its input does, so that no run outlives who asked.

    Example: python -m trainer standby < FILE
    """
    from trainer.cli import main

    for name in _NEEDED:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:
        return 0
    asked = json.loads(line)
    with open(asked["log"], "ab", buffering=0) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    threading.Thread(target=_end_with_input, daemon=True).start()
    status = main(asked["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # unloading torch takes time, and nothing is left to close


def _end_with_input() -> None:
    # Not through sys.stdin, whose lock a waiting thread would hold when Python ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
