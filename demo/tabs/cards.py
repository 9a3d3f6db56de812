"""What the models say of a picture, as HTML: a card each, with room for why they say it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from demo.models import Classification
from demo.tabs.subjects import Sitting, Subject
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import compare as words
from demo.words.common import RIGHT, WRONG
from trainer.explain.neighbours import NEIGHBOURS
from trainer.explain.reason import longest_reason
from trainer.picture import SQUARE_PX
from trainer.recipe import CLASSES
from trainer.record import FamiliarityFacts
from trainer.wording import describe_foreign, percent

TOP_CLASSES = 3
"""Classes a card shows before it is opened."""
SIGNS = {RIGHT: "\u2713", WRONG: "\u2717"}


def draw_seen(pixels: np.ndarray | None) -> str:
    """The picture `(3, S, S)` as the models see it, or an empty frame."""
    side = SQUARE_PX if pixels is None else pixels.shape[-1]
    return render(
        "seen.html",
        caption=words.SEEN,
        source="" if pixels is None else embed(encode_pixels(pixels)),
        alt=words.describe_seen(side),
        note=f"{side} x {side} pixels",
    )


def draw_message(message: str, error: bool = False) -> str:
    """A sentence where the answers would be."""
    return render("message.html", message=message, role="alert" if error else "status")


def draw_said(result: Classification, notes: list[str]) -> str:
    """Who agrees with whom."""
    return render("said.html", sentence=result["agreement"], note=" ".join(notes))


def draw_cards(
    sitting: Sitting, truth: int | None, compared: bool = False, compact: bool = False
) -> str:
    """The cards. What explains them comes later, into the room that is kept for it.

    Args:
        truth: the picture's class where it is known.
        compared: False where nothing is known of training images like it.
        compact: only the answer and the likeliest classes, with no room for an explanation.
    """
    return render(
        "cards.html",
        mark=sitting.mark,
        cards=[describe_card(subject, truth) for subject in sitting.subjects],
        compact=compact,
        all_classes=words.ALL_TEN,
        words=words,
        empty=range(NEIGHBOURS if compared else 0),
        longest=longest_reason(sitting.familiar, compared),
    )


def list_notes(
    result: Classification, truth: int | None, decider: FamiliarityFacts | None, side_px: int
) -> list[str]:
    """What else is to say of a picture: its class where it is known, and whether it looks like
    none of the ten to the `decider`, which saw a square of that side."""
    notes = [] if truth is None else [words.describe_truth(truth)]
    if decider is not None and result["familiar"] is False:
        notes.append(describe_foreign(decider, side_px, known=truth is not None))
    return notes


def describe_card(subject: Subject, truth: int | None) -> Mapping[str, Any]:
    """What a card shows, as `cards.html` takes it."""
    said = subject.said
    ranked = sorted(said["probabilities"].items(), key=lambda item: -item[1])
    bars = [(label, share, percent(share)) for label, share in ranked]
    mark = "" if truth is None else (RIGHT if said["answer"] == CLASSES[truth] else WRONG)
    return {
        "name": subject.name,
        "title": subject.title,
        "note": subject.note,
        "colour": subject.colour,
        "answer": said["answer"],
        "mark": mark,
        "sign": SIGNS.get(mark, ""),
        "top": bars[:TOP_CLASSES],
        "rest": bars[TOP_CLASSES:],
    }
