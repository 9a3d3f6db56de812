"""Sends the browser only what it does not show yet."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gradio.components import Component


@dataclass(frozen=True)
class Part:
    """A component, and what it shows."""

    component: Component
    facts: Any
    """All that decides what is shown; the same facts are shown the same way."""
    build: Callable[[], Any]
    """Makes what is shown; called only where the browser shows something else."""


def collect_changes(
    parts: Iterable[Part], sent: Any
) -> tuple[dict[Component, Any], dict[str, str]]:
    """What to send, and the marks of all that is then shown.

    Args:
        sent: the marks of what the browser shows, which it keeps itself: so an answer that never
            arrived is sent again. Anything else that a visitor sends counts as nothing.
    """
    shown = sent if isinstance(sent, dict) else {}
    changes: dict[Component, Any] = {}
    marks: dict[str, str] = {}
    for part in parts:
        name = str(part.component._id)
        facts = repr(part.facts).encode()
        marks[name] = hashlib.blake2b(facts, digest_size=8).hexdigest()
        if shown.get(name) != marks[name]:
            changes[part.component] = part.build()
    return changes, marks
