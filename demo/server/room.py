"""Room on the disk for what visitors upload."""

import os
import shutil
import threading
import time
from pathlib import Path

from demo.server.limits import FREE_BYTES, STORED_BYTES

MEASURED_EVERY_S = 30.0
"""Between two looks at what lies there; what is written meanwhile is counted."""


class Room:
    """What lies in the folder of uploads, and whether more may come. Threads may share it."""

    def __init__(
        self, folder: Path, stored_bytes: int = STORED_BYTES, free_bytes: int = FREE_BYTES
    ) -> None:
        """
        Args:
            stored_bytes: that may lie there.
            free_bytes: that must stay free on its disk.
        """
        self._folder, self._most, self._least_free = folder, stored_bytes, free_bytes
        self._lock = threading.Lock()
        self._measured_s = -MEASURED_EVERY_S
        self.stored_bytes = 0
        """By the last look, and what was added since."""

    def add(self, count: int) -> None:
        """Counts bytes that are being written."""
        with self._lock:
            self.stored_bytes += count

    def free_bytes(self) -> int:
        """Of the disk."""
        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def is_stale(self) -> bool:
        """True where the next question takes a walk through the folder."""
        return time.monotonic() - self._measured_s >= MEASURED_EVERY_S

    def has_room(self) -> bool:
        """True below the high-water mark."""
        self._measure()
        return self.stored_bytes < self._most and self.free_bytes() > self._least_free

    def _measure(self) -> None:
        with self._lock:
            if not self.is_stale():
                return
            self._measured_s = time.monotonic()
            self.stored_bytes = sum(_list_sizes(self._folder))


def _list_sizes(folder: Path) -> list[int]:
    """Bytes of every file below a folder."""
    sizes = []
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                sizes.append(os.lstat(os.path.join(parent, name)).st_size)
            except OSError:
                continue  # swept in this moment
    return sizes
