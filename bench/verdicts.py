"""What a soak asks of an app, and whether what came back is right."""

import enum
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.server.limits import CLASSIFY_BYTES, JSON_DEPTH

SAME = 1e-4
"""Probabilities of one picture differ by no more: which pictures share its batch changes the last
digits."""
BUSY = frozenset({429, 503})
"""Statuses with which a good picture may be declined for now."""


class Outcome(enum.Enum):
    """What became of a request."""

    ANSWERED = "answered"
    REFUSED = "refused in one sentence"
    BROKEN = "broken off when the app was killed"
    DOWN = "met no app"
    LEFT = "left by its client"
    LOST = "lost"


@dataclass(frozen=True)
class Kind:
    """A sort of request, and which statuses are its right answers."""

    title: str
    statuses: frozenset[int]
    method: str = "POST"
    path: str = "/v1/classify"
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def list_malformed(picture: bytes) -> list[Kind]:
    """What nobody should send, of a PNG file."""
    form = {"content-type": "multipart/form-data; boundary=edge"}
    other = b'--edge\r\ncontent-disposition: form-data; name="other"\r\n\r\nx\r\n--edge--\r\n'
    deep = b"[" * 4 * JSON_DEPTH + b"]" * 4 * JSON_DEPTH
    unreadable, no_form = frozenset({422}), frozenset({400})
    return [
        Kind("empty body", unreadable),
        Kind("half a PNG", unreadable, content=picture[: len(picture) // 2]),
        Kind("no picture", unreadable, content=b"a text that is none" * 50),
        Kind("unknown crop", unreadable, path="/v1/classify?crop=bogus", content=picture),
        Kind("wrong address", frozenset({404}), path="/v1/clasify", content=picture),
        Kind("wrong method", frozenset({405}), "PUT", content=picture),
        Kind("body too large", frozenset({413}), content=bytes(CLASSIFY_BYTES + 1)),
        Kind("broken form", no_form, content=picture, headers=form),
        Kind("form without a picture", no_form, content=other, headers=form),
        Kind(
            "JSON too deep", frozenset({413}), path="/gradio_api/call/classify",
            content=b'{"data": ' + deep + b"}", headers={"content-type": "application/json"},
        ),
    ]  # fmt: skip


def judge_picture(
    status: int, body: bytes, expected: dict[str, Any] | None
) -> tuple[Outcome, float]:
    """What became of a good picture, and by how much its probabilities differ from `expected`."""
    answer = _parse(body)
    if status in BUSY and is_sentence(answer.get("detail")):
        return Outcome.REFUSED, 0.0
    if status != 200 or expected is None:
        return (Outcome.LOST if status != 200 else Outcome.ANSWERED), 0.0
    difference = measure_difference(answer, expected)
    return (Outcome.ANSWERED if difference <= SAME else Outcome.LOST), difference


def judge_malformed(kind: Kind, status: int, body: bytes) -> Outcome:
    """What became of a request that deserves no answer."""
    right = status in kind.statuses | BUSY and is_sentence(_parse(body).get("detail"))
    return Outcome.REFUSED if right else Outcome.LOST


def measure_difference(answer: Any, expected: dict[str, Any]) -> float:
    """The largest difference of a probability; infinite where something is missing."""
    try:
        differences: list[float] = [
            abs(answer["models"][name]["probabilities"][label] - share)
            for name, model in expected["models"].items()
            for label, share in model["probabilities"].items()
        ]
    except (KeyError, TypeError):
        return float("inf")
    return max(differences)


def is_sentence(said: Any) -> bool:
    """True for words to a person: one line that ends, and nothing of a program's inside."""
    return isinstance(said, str) and bool(re.fullmatch(r"[A-Z0-9`][^\n]{3,300}\.", said))


@dataclass
class Tally:
    """What became of all requests."""

    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    """By kind."""
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of good pictures that were answered."""
    difference: float = 0.0
    """The largest between two answers to one picture."""
    answered_while_full: int = 0
    """Of good pictures."""
    jobs: list[str] = field(default_factory=list)
    """Ids of the jobs that were started."""

    def add(self, title: str, outcome: Outcome, told: str = "") -> None:
        """Counts a request.

        Args:
            told: status and body, for what is lost.
        """
        self.counts[title, outcome] += 1
        if outcome is Outcome.LOST:
            self.lost.append(f"{title}: {told}")


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
