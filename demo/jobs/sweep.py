"""Removes what has been kept long enough, whatever the system's clock does."""

import contextlib
import os
import time
from collections.abc import Callable, Hashable
from pathlib import Path


class Ages:
    """How old things are that carry a time of the system's clock.

    That clock jumps: when a machine finds the right time, or somebody sets it. So an age is also
    reckoned by a clock that does not, from this object's making on, and the smaller counts: nothing
    ever looks older than it is. And whatever was seen ages from then on, so that nothing stays for
    ever which carries a time of the future.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._offset_s = wall() - steady()
        self._seen: dict[Hashable, float] = {}
        self._seen_before: dict[Hashable, float] = {}

    def since(self, time_s: float) -> float:
        """Seconds since a time of the system's clock."""
        return min(self._wall() - time_s, self._steady() + self._offset_s - time_s)

    def of(self, key: Hashable, time_s: float) -> float:
        """Seconds since a time that is the same whenever `key` is asked about."""
        now = self._steady()
        seen = self._seen[key] = self._seen_before.get(key, now)
        return max(self.since(time_s), now - seen)

    def begin_round(self) -> None:
        """Forgets what was not asked about since the last call."""
        self._seen_before, self._seen = self._seen, {}


def sweep_files(folder: Path, kept_s: float, ages: Ages) -> None:
    """Removes the files below `folder` that are older than `kept_s`, and empty folders likewise."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                if _is_over(path := Path(parent, name), kept_s, ages):
                    path.unlink()
        for name in folders:
            # An empty one alone, and not a new one: its file may be on its way.
            with contextlib.suppress(OSError):
                if _is_over(path := Path(parent, name), kept_s, ages):
                    path.rmdir()


def _is_over(path: Path, kept_s: float, ages: Ages) -> bool:
    # The time of the last change to the entry: a copy or a move brings other times along.
    changed_s = path.lstat().st_ctime
    return ages.of((path, changed_s), changed_s) > kept_s
