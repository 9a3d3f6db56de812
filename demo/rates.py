"""How much a sender may in a time, and how much of something at the same time."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SENDERS_KEPT = 10_000
"""Whose use is remembered; of more, who has been idle longest is forgotten."""


class Rate:
    """So much a time for every sender: a bucket each that fills evenly.

    Whoever has been idle may use it all at once. The last `SENDERS_KEPT` senders are remembered;
    a forgotten one has a full bucket. It goes by a clock that nobody sets.
    """

    def __init__(
        self, most: float, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            most: in a bucket.
            seconds: in which an empty one fills.
        """
        self._most, self._pace, self._clock = most, most / seconds, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, sender: str, count: float = 1.0) -> bool:
        """Takes from a sender's bucket; False, and nothing is taken, where it holds too little."""
        now = self._clock()
        left, then = self._left.pop(sender, (self._most, now))
        left = min(self._most, left + (now - then) * self._pace)
        enough = left >= count
        self._left[sender] = (left - count if enough else left, now)
        if len(self._left) > SENDERS_KEPT:
            self._left.popitem(last=False)
        return enough


class Share:
    """So much at the same time for all, and less than that for each sender."""

    def __init__(self, most: int, of_sender: int) -> None:
        self._most, self._of_sender, self._total = most, of_sender, 0
        self._held: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """What all hold."""
        return self._total

    def take(self, sender: str, count: int) -> bool:
        """Takes for a sender; False, and nothing is taken, where there is too little."""
        if self._total + count > self._most or self._held[sender] + count > self._of_sender:
            return False
        self._total += count
        self._held[sender] += count
        return True

    def give(self, sender: str, count: int) -> None:
        """Gives back."""
        self._total -= count
        self._held[sender] -= count
        if not self._held[sender]:
            del self._held[sender]


class Hold:
    """What one request holds of a share."""

    def __init__(self, share: Share, sender: str) -> None:
        self._share, self._sender, self._count = share, sender, 0

    def take(self, count: int) -> bool:
        """Takes more; False where there is too little."""
        taken = self._share.take(self._sender, count)
        self._count += count if taken else 0
        return taken

    def release(self) -> None:
        """Gives all back."""
        if self._count:
            self._share.give(self._sender, self._count)
            self._count = 0


@contextmanager
def holding(share: Share, sender: str) -> Iterator[Hold]:
    """What a request takes within the block, given back at its end."""
    hold = Hold(share, sender)
    try:
        yield hold
    finally:
        hold.release()
