"""So many places for calls that take a thread each, shared fairly between senders."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from demo.server.refusal import busy


class Turnstile:
    """Lets so many in at the same time. A free place is for the sender with fewest inside; who has
    as many as one may have inside waits, whatever is free. For one event loop."""

    def __init__(self, places: int, of_sender: int, waiting: int) -> None:
        """
        Args:
            of_sender: places that one may have at the same time.
            waiting: that may wait altogether, of one sender half of them.
        """
        self._free, self._of_sender, self._most = places, of_sender, waiting
        self._inside: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self.waiting = 0
        """How many wait."""

    @property
    def inside(self) -> int:
        """How many are in."""
        return self._inside.total()

    @asynccontextmanager
    async def enter(self, sender: str) -> AsyncIterator[None]:
        """Holds a place.

        Raises:
            Declined: too many wait already.
        """
        if self._free and self._inside[sender] < self._of_sender:
            self._seat(sender)
        else:
            await self._wait(sender)
        try:
            yield
        finally:
            self._leave(sender)

    async def _wait(self, sender: str) -> None:
        mine_waiting = len(self._queues.get(sender, ()))
        if self.waiting >= self._most or mine_waiting >= self._most // 2:
            raise busy()
        queue = self._queues.setdefault(sender, deque())
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        self.waiting += 1
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # a place came in the same moment
                self._leave(sender)
            elif mine in self._queues.get(sender, ()):
                self._leave_queue(sender, mine)
            raise

    def _seat(self, sender: str) -> None:
        self._free -= 1
        self._inside[sender] += 1

    def _leave(self, sender: str) -> None:
        self._free += 1
        self._inside[sender] -= 1
        if not self._inside[sender]:
            del self._inside[sender]
        self._call_next()

    def _call_next(self) -> None:
        while self._free:
            able = [one for one in self._queues if self._inside[one] < self._of_sender]
            if not able:
                return
            sender = min(able, key=lambda one: self._inside[one])
            mine = self._queues[sender][0]
            self._leave_queue(sender, mine)
            if sender in self._queues:
                self._queues.move_to_end(sender)  # of equals, the next is another
            if not mine.done():  # else it gave up in this moment
                self._seat(sender)
                mine.set_result(None)

    def _leave_queue(self, sender: str, mine: "asyncio.Future[None]") -> None:
        queue = self._queues[sender]
        queue.remove(mine)
        self.waiting -= 1
        if not queue:
            del self._queues[sender]
