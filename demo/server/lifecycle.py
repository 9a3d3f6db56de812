"""From the start of the server to its end: answers are finished, jobs keep their models."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from demo.jobs.jobs import Jobs
from demo.server.blocks import GuardedBlocks
from demo.server.connections import guard_connections, raise_open_files
from demo.server.gate import Front
from demo.server.limits import DRAIN_S
from trainer.commands.standby import end_process
from trainer.decoding import shared_decoder

LOOK_S = 0.05
"""Between two looks whether everything is answered."""


def serve(blocks: GuardedBlocks, front: Front, jobs: Jobs, options: dict[str, Any]) -> None:
    """Launches the app and ends the process once it was asked to, by SIGTERM or Ctrl-C."""
    wish = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wish.set())
    raise_open_files()
    blocks.launch(prevent_thread_lock=True, **options)
    guard_connections(blocks.server.config)
    front.log.write("started", address=blocks.local_url)
    wish.wait()
    end(blocks, front, jobs)
    end_process(0)


def end(blocks: GuardedBlocks, front: Front, jobs: Jobs) -> None:
    """Takes no more work, finishes what there is, and closes."""
    front.ending = True
    front.log.write("ending")
    closing = threading.Thread(target=jobs.close, name="closing jobs")
    closing.start()  # meanwhile, for a job takes its time to write its model
    finished = wait_until(
        lambda: not (front.working or len(blocks.fair_queue) or blocks.fair_queue.count_awaited())
    )
    blocks.close(verbose=False)
    closing.join()
    shared_decoder().close()
    front.log.write("ended", finished=finished)


def wait_until(condition: Callable[[], bool]) -> bool:
    """Waits until it is so; False where it is not within `DRAIN_S`."""
    deadline = time.monotonic() + DRAIN_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True
