"""How the app is: `/healthz` for whoever restarts it, and figures for whoever watches it."""

import contextlib
import os
from pathlib import Path
from typing import Any, Protocol

import psutil

from demo.jobs.jobs import Jobs
from demo.jobs.store import QUEUED, RUNNING
from demo.models import Models
from demo.server.gate import Front
from demo.server.limits import FREE_BYTES, STORED_BYTES, WAITING
from demo.server.turnstile import Turnstile
from trainer.decoding import shared_decoder


class Sized(Protocol):
    """Gradio's queue."""

    def __len__(self) -> int:
        """How many calls wait."""


class Health:
    """What is asked of the parts, at every question anew."""

    def __init__(
        self, front: Front, models: Models, jobs: Jobs, turnstile: Turnstile, queue: Sized
    ) -> None:
        self._front, self._models, self._jobs = front, models, jobs
        self._turnstile, self._queue = turnstile, queue

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the app can do all it is for, and what is how."""
        free = self._front.room.free_bytes()
        stored = self._front.room.stored_bytes
        parts: dict[str, dict[str, Any]] = {
            "models": {
                "ok": bool(self._models.records),
                "loaded": list(self._models.records),
                "left_out": list(self._models.faults),
            },
            "queue": {"ok": len(self._queue) < WAITING, "waiting": len(self._queue)},
            "jobs": {
                "ok": self._jobs.alive,
                "waiting": self._jobs.count(QUEUED),
                "running": self._jobs.count(RUNNING),
            },
            "disk": {
                "ok": free > FREE_BYTES and stored < STORED_BYTES,
                "free_bytes": free,
                "uploads_bytes": stored,
            },
            "server": {"ok": not self._front.ending, "ending": self._front.ending},
        }
        ok = all(part["ok"] for part in parts.values())
        return ok, {"status": "ok" if ok else "failing", **parts}

    def gauges(self) -> dict[str, float]:
        """Figures that go up and down."""
        ok, _ = self.report()
        process = psutil.Process()
        gauges = {
            "up": float(ok),
            "queue_waiting": len(self._queue),
            "classify_inside": self._turnstile.inside,
            "classify_waiting": self._turnstile.waiting,
            "pictures_waiting": shared_decoder().waiting,
            "models_loaded": len(self._models.records),
            "jobs_waiting": self._jobs.count(QUEUED),
            "jobs_running": self._jobs.count(RUNNING),
            "disk_free_bytes": self._front.room.free_bytes(),
            "uploads_bytes": self._front.room.stored_bytes,
            "bodies_bytes": self._front.buffered.total,
            "working": self._front.working,
            "memory_bytes": process.memory_info().rss,
            "threads": process.num_threads(),
        }
        with contextlib.suppress(OSError):  # Linux has it
            gauges["open_files"] = len(os.listdir(Path("/proc/self/fd")))
        return gauges
