"""Sends the browser only what it does not show yet."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradio.blocks import Block

Values = Mapping[Block, Any]
"""Component to what the browser holds."""
Shown = dict[Block, Any]
"""Component to what it shows next."""


@dataclass(frozen=True)
class Part:
    """A component, and what it shows."""

    component: Block
    facts: Any
    """All that decides what is shown; the same facts are shown the same way."""
    build: Callable[[], Any]
    """Makes what is shown; called only where the browser shows something else."""


def collect_changes(parts: Iterable[Part], sent: Any) -> tuple[Shown, dict[str, str]]:
    """What to send, and the marks of all that is then shown.

    Args:
        sent: the marks of what the browser shows, which it keeps itself: so an answer that never
            arrived is sent again. Anything else that a visitor sends counts as nothing.
    """
    shown = sent if isinstance(sent, dict) else {}
    changes: Shown = {}
    marks: dict[str, str] = {}
    for part in parts:
        name = str(part.component._id)
        facts = repr(part.facts).encode()
        marks[name] = hashlib.blake2b(facts, digest_size=8).hexdigest()
        if shown.get(name) != marks[name]:
            changes[part.component] = part.build()
    return changes, marks


def read_token(values: Values, owner: Block) -> str:
    """The visitor's token, or ""; a visitor can send anything."""
    token = values[owner]
    return token if isinstance(token, str) else ""
