"""Whose turn it is where a few seats serve many clients."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

HALF_LIFE_S = 60
"""The time a client has used counts half after this long."""
CLIENTS_KEPT = 1000


class NoTurn(Exception):
    """The wait was longer than its patience."""


@dataclass(eq=False)
class _Waiting:
    client: str
    task: bytes
    granted: threading.Event = field(default_factory=threading.Event)


class Turns:
    """Gives each client one seat at a time, and a free seat to who has used least time lately.

    So one who asks for much waits behind their own, and delays anyone else by the task that is
    already running at most. Equal tasks run one after the other: what the first of them learned
    serves the next.
    """

    def __init__(self, seats: int) -> None:
        self._lock = threading.Lock()
        self._free = seats
        self._waiting: list[_Waiting] = []
        self._seated: list[_Waiting] = []
        self._used: dict[str, tuple[float, float]] = {}
        """Client to seconds used, and when that was so."""

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def take(self, client: str, task: bytes, patience_s: float) -> Iterator[None]:
        """Holds a seat.

        Args:
            client: who asks.
            task: what is done; equal ones are not done at once.

        Raises:
            NoTurn: none came within `patience_s`.
        """
        mine = _Waiting(client, task)
        with self._lock:
            self._waiting.append(mine)
            self._seat()
        if not mine.granted.wait(patience_s):
            with self._lock:
                if not mine.granted.is_set():
                    self._waiting.remove(mine)
                    raise NoTurn
        start = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._charge(client, time.monotonic() - start)
                self._seated.remove(mine)
                self._free += 1
                self._seat()

    def _seat(self) -> None:
        """Seats whoever may sit."""
        while self._free:
            clients = {seated.client for seated in self._seated}
            tasks = {seated.task for seated in self._seated}
            able = [
                waiting
                for waiting in self._waiting
                if waiting.client not in clients and waiting.task not in tasks
            ]
            if not able:
                return
            chosen = min(able, key=lambda waiting: self._used_by(waiting.client))
            self._waiting.remove(chosen)
            self._seated.append(chosen)
            self._free -= 1
            chosen.granted.set()

    def _used_by(self, client: str) -> float:
        seconds, then = self._used.get(client, (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.monotonic() - then) / HALF_LIFE_S))

    def _charge(self, client: str, seconds: float) -> None:
        self._used[client] = self._used_by(client) + seconds, time.monotonic()
        if len(self._used) > CLIENTS_KEPT:
            least = sorted(self._used, key=self._used_by)[: CLIENTS_KEPT // 2]
            for forgotten in least:
                del self._used[forgotten]
