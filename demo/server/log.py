"""A line of JSON a request, for the owner: who asked what, and what became of it.

Never what was sent: no picture, no name of a file, no address of a result, and of the sender a
number that is another one after the next start.
"""

import contextlib
import hashlib
import json
import secrets
import sys
import time
from typing import Any


class Log:
    """Writes lines to standard error."""

    def __init__(self, enabled: bool) -> None:
        """
        Args:
            enabled: whether every request has a line; faults have one anyway.
        """
        self._enabled = enabled
        self._salt = secrets.token_bytes(16)

    def write_request(
        self, request_id: str, sender: str, route: str, method: str, status: int, seconds: float,
        reason: str, logged: bool,
    ) -> None:  # fmt: skip
        """A request that was answered.

        Args:
            route: the route's name; an address may hold what its visitor alone may know.
            reason: why it was declined, in one word, or nothing.
            logged: whether such requests are worth a line.
        """
        if status < 500 and not (self._enabled and (logged or reason)):
            return
        self.write(
            "request",
            id=request_id,
            sender=hashlib.blake2b(sender.encode(), key=self._salt, digest_size=6).hexdigest(),
            route=route,
            method=method,
            status=status,
            ms=round(1000 * seconds, 1),
            **({"declined": reason} if reason else {}),
        )

    def write(self, event: str, **facts: Any) -> None:
        """Anything else that happened."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError, ValueError):  # a full disk, or a closed stream
            print(json.dumps({"time": now, "event": event, **facts}), file=sys.stderr, flush=True)
