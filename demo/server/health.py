"""How the app is: `/healthz` for whoever restarts it, and figures for whoever watches it."""

import contextlib
import os
from collections.abc import Sized
from pathlib import Path
from typing import Any

import psutil

from demo.jobs.jobs import Jobs
from demo.jobs.store import QUEUED, RUNNING
from demo.models import Models
from demo.server.gate import Front
from demo.server.limits import WAITING
from demo.server.turnstile import Turnstile
from trainer.decoding import shared_decoder


class Health:
    """What is asked of the parts, at every question anew."""

    def __init__(
        self, front: Front, models: Models, jobs: Jobs, turnstile: Turnstile, queue: Sized
    ) -> None:
        """
        Args:
            queue: Gradio's; its length is how many calls wait.
        """
        self._front, self._models, self._jobs = front, models, jobs
        self._turnstile, self._queue = turnstile, queue

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the app can do all it is for, and what is how."""
        room = self._front.room
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
                "ok": room.has_room(),
                "free_bytes": room.free_bytes(),
                "uploads_bytes": room.stored_bytes,
            },
            "server": {"ok": not self._front.ending, "ending": self._front.ending},
        }
        ok = all(part["ok"] for part in parts.values())
        return ok, {"status": "ok" if ok else "failing", **parts}

    def gauges(self) -> dict[str, float]:
        """Figures that go up and down."""
        ok, parts = self.report()
        process = psutil.Process()
        gauges = {
            "up": float(ok),
            "queue_waiting": parts["queue"]["waiting"],
            "classify_inside": self._turnstile.inside,
            "classify_waiting": self._turnstile.waiting,
            "pictures_waiting": shared_decoder().waiting,
            "models_loaded": len(parts["models"]["loaded"]),
            "jobs_waiting": parts["jobs"]["waiting"],
            "jobs_running": parts["jobs"]["running"],
            "disk_free_bytes": parts["disk"]["free_bytes"],
            "uploads_bytes": parts["disk"]["uploads_bytes"],
            "bodies_bytes": self._front.buffered.total,
            "working": self._front.working,
            "memory_bytes": process.memory_info().rss,
            "threads": process.num_threads(),
        }
        with contextlib.suppress(OSError):  # Linux has it
            gauges["open_files"] = len(os.listdir(Path("/proc/self/fd")))
        return gauges
