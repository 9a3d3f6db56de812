"""Whose turn it is where a few seats serve many clients."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

LOOK_S = 0.5
"""Who waits looks so often how long their own queue has become."""
HALF_LIFE_S = 60
"""The time a client has used counts half after this long."""
CLIENTS_KEPT = 1000


class NoTurn(Exception):
    """The wait was too long, or was going to be."""


@dataclass(eq=False)
class _Waiting:
    client: str
    task: bytes
    granted: threading.Event = field(default_factory=threading.Event)
    seated_at: float = 0.0


@dataclass
class _Use:
    """What a client has used: `seconds` as of `then`, and `last` for its last task."""

    seconds: float = 0.0
    then: float = 0.0
    last: float = 0.0

    def weigh(self) -> float:
        """The seconds as they count now."""
        return float(self.seconds * 0.5 ** ((time.monotonic() - self.then) / HALF_LIFE_S))


class Turns:
    """Gives each client one seat at a time, and a free seat to who has used least time lately.

    So one who asks for much waits behind their own, and delays anyone else by the task that is
    already running at most; and what waits behind too many slow tasks of its own is sent away, so
    that it holds nothing. Equal tasks run one after the other: what the first of them learned
    serves the next.
    """

    def __init__(self, seats: int, queue_s: float, patience_s: float) -> None:
        """All seats are free.

        Args:
            queue_s: how long a client's own tasks may keep its last one waiting.
            patience_s: how long anyone waits.
        """
        self._queue_s, self._patience_s = queue_s, patience_s
        self._lock = threading.Lock()
        self._free = seats
        self._waiting: list[_Waiting] = []
        self._seated: list[_Waiting] = []
        self._used: dict[str, _Use] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def take(self, client: str, task: bytes) -> Iterator[None]:
        """Holds a seat.

        Args:
            client: who asks.
            task: what is done; equal ones are not done at once.

        Raises:
            NoTurn: none came in time.
        """
        mine = _Waiting(client, task)
        with self._lock:
            self._waiting.append(mine)
            self._seat()
        patient_until = time.monotonic() + self._patience_s
        while not mine.granted.wait(LOOK_S):
            with self._lock:
                if mine.granted.is_set():
                    break
                if time.monotonic() > patient_until or self._own_queue(mine) > self._queue_s:
                    self._waiting.remove(mine)
                    raise NoTurn
        try:
            yield
        finally:
            with self._lock:
                self._charge(client, time.monotonic() - mine.seated_at)
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
            chosen = min(able, key=lambda waiting: self._use_of(waiting.client).weigh())
            self._waiting.remove(chosen)
            self._seated.append(chosen)
            self._free -= 1
            chosen.seated_at = time.monotonic()
            chosen.granted.set()

    def _own_queue(self, mine: _Waiting) -> float:
        """Seconds that the client's own tasks before this one will take, were all as its slowest
        of the last one and the running one."""
        ahead = [w for w in self._waiting[: self._waiting.index(mine)] if w.client == mine.client]
        running = [s.seated_at for s in self._seated if s.client == mine.client]
        pace = max([self._use_of(mine.client).last, *(time.monotonic() - at for at in running)])
        return (len(ahead) + len(running)) * pace

    def _use_of(self, client: str) -> _Use:
        return self._used.get(client, _Use())

    def _charge(self, client: str, seconds: float) -> None:
        total = self._use_of(client).weigh() + seconds
        self._used[client] = _Use(total, time.monotonic(), seconds)
        if len(self._used) > CLIENTS_KEPT:
            for forgotten in sorted(self._used, key=lambda name: self._used[name].weigh()):
                del self._used[forgotten]
                if len(self._used) <= CLIENTS_KEPT // 2:
                    break
