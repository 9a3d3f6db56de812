"""One sentence about an answer, from numbers alone: what is said was measured, not guessed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.explain.heat import share_in
from trainer.explain.neighbours import Neighbours
from trainer.recipe import CLASSES
from trainer.wording import article, percent, sentence

CENTRE = (0.25, 0.25, 0.5, 0.5)
"""The middle of a picture, a quarter of its area: top, left, height and width in its sides."""
MOSTLY = 0.5
"""Share of the heat from which it lies mostly somewhere."""
CLEAR_MARGIN = 0.5
"""Difference of the two largest probabilities from which an answer is clear."""


@dataclass(frozen=True)
class Reason:
    """The numbers behind one model's answer to one picture."""

    answer: int
    """The class of the largest probability."""
    confidence: float
    """That probability, 0..1."""
    runner_up: int
    """The class of the second largest."""
    margin: float
    """The difference of the two, 0..1."""
    neighbours: tuple[int, ...]
    """Of the nearest training images, how many are of each class, in label order; zeros where none
    were looked for."""
    similarity: float | None
    """Cosine to the nearest of them."""
    centre: float | None
    """Share of the heat in the middle quarter of the picture, 0..1; None where there is no heat."""
    familiar: bool
    """False where the model finds the picture unlike its training images."""

    @property
    def neighbour(self) -> int:
        """The class of most neighbours; of several, the answer if it is among them."""
        most = max(self.neighbours)
        if self.neighbours[self.answer] == most:
            return self.answer
        return self.neighbours.index(most)


def find_reason(
    probabilities: Tensor, neighbours: Neighbours | None, heat: Tensor, familiar: bool
) -> Reason:
    """Collects the numbers of one answer.

    Args:
        probabilities: `(10,)`, as they are shown.
        neighbours: one row, or None where none were looked for.
        heat: `(h, w)`, for the answer.
        familiar: False where the picture looks like none of the ten classes.
    """
    two, classes = probabilities.topk(2)
    centre = share_in(heat[None], *CENTRE).item() if heat.any() else None
    counts = torch.zeros(len(CLASSES), dtype=torch.int64)
    if neighbours is not None:
        counts = torch.bincount(neighbours.labels[0], minlength=len(CLASSES))
    return Reason(
        answer=int(classes[0]),
        confidence=float(two[0]),
        runner_up=int(classes[1]),
        margin=float(two[0] - two[1]),
        neighbours=tuple(counts.tolist()),
        similarity=None if neighbours is None else float(neighbours.similarity[0, 0]),
        centre=centre,
        familiar=familiar,
    )


def describe_reason(reason: Reason) -> str:
    """The reason in words.

    >>> "Clearly a cat (97.1 %, then dog with 1.2 %): 7 of the 8 training images most like it show "
    ... "a cat, and most of the heat lies in the middle."
    """
    answer, runner_up = CLASSES[reason.answer], CLASSES[reason.runner_up]
    manner = "clearly" if reason.margin >= CLEAR_MARGIN else "narrowly"
    second = percent(reason.confidence - reason.margin)
    said = (
        f"{manner} {article(answer)} ({percent(reason.confidence)}, then {runner_up} with {second})"
    )
    agrees = reason.neighbour == reason.answer
    like = any(reason.neighbours) and (
        f"{reason.neighbours[reason.neighbour]} of the {sum(reason.neighbours)} training images "
        f"most like it show {article(CLASSES[reason.neighbour])}"
    )
    beside = ", and ".join(part for part in (like, _describe_place(reason.centre)) if part)
    told = sentence(f"{said}{beside and (': ' if agrees else ', though ') + beside}")
    if reason.familiar:
        return told
    return f"{told} The picture as a whole is unlike the training images, so this says little."


def longest_reason(familiar: bool, compared: bool) -> str:
    """About the longest sentence of `describe_reason`, whose room a screen can keep.

    Args:
        compared: False where no neighbours are looked for.
    """
    short, long = (CLASSES.index(name) for name in sorted(CLASSES, key=len)[-2:])
    neighbours = tuple(8 if compared and label == long else 0 for label in range(len(CLASSES)))
    return describe_reason(Reason(short, 0.555, long, 0.011, neighbours, 0.5, 0.0, familiar))


def _describe_place(centre: float | None) -> str:
    """Where the heat is, where it is mostly somewhere."""
    if centre is None:
        return "no place in the picture spoke for it"
    if centre >= MOSTLY:
        return "most of the heat lies in the middle"
    height, width = CENTRE[2:]
    if centre <= MOSTLY * height * width:
        return "almost all of the heat lies outside the middle"
    return ""
