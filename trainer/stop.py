"""Stopping on a signal: asked for at any time, granted between two steps."""

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(Exception):
    """The run was told to stop, and has saved its state."""


class StopRequest:
    """Set by a signal, read between steps."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def name(self) -> str:
        """The signal's name; of a request not yet made, nothing."""
        return self.signal.name if self.signal else ""


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns the first SIGTERM or Ctrl-C into a request to save and stop; a second one acts
    as usual."""
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, _frame: object) -> None:
        request.signal = signal.Signals(number)
        for old in before:
            signal.signal(old, before[old])

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
