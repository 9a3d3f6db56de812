"""What would change the models' mind: a slider that makes the picture worse, and their confidence
along it. All places of the slider are drawn at once; the page moves between them (page.js)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from demo.recent import Recent
from demo.tabs.subjects import Sitting, Subject
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import compare as words
from trainer.explain.perturbations import PERTURBATIONS, Curve, Kind, trace_confidence
from trainer.recipe import CLASSES
from trainer.wording import percent

KEPT = 64
"""Curves, some 100 kB each."""
FIRST: Kind = "blur"
LEFT, TOP, STEP, HEIGHT = 40, 10, 38, 140
"""Of the diagram, in its own units: the corner of its field, the way from one amount to the next,
and from no confidence to full."""

DASHES = {"sgd_full": "none", "adam_full": "none", "sgd_frozen": "6 3", "adam_frozen": "6 3"}
"""Of a model's line, beside its colour."""
OWN_DASHES = "2 3"


class Mind:
    """Draws curves; each is computed once for a picture."""

    def __init__(self) -> None:
        self._curves: Recent[Curve] = Recent(KEPT)

    def draw(self, sitting: Sitting, kind: Kind) -> str:
        """The slider for one kind of change."""
        curve = self._trace(sitting, kind)
        perturbation = curve.perturbation
        amounts = [words.describe_amount(perturbation, each) for each in perturbation.amounts]
        return render(
            "mind.html",
            mark=sitting.mark,
            kind=kind,
            words=words,
            change=words.name_change(perturbation),
            neutral=perturbation.amounts.index(perturbation.neutral),
            last=len(amounts) - 1,
            told=words.describe_breaks(curve, {one.name: one.inline for one in sitting.subjects}),
            chart=describe_chart(amounts),
            lines=[describe_line(one, curve) for one in sitting.subjects],
            steps=[
                describe_place(sitting, curve, index, amount)
                for index, amount in enumerate(amounts)
            ],
        )

    def _trace(self, sitting: Sitting, kind: Kind) -> Curve:
        key = f"{sitting.mark} {kind}"
        found = self._curves.get(key)
        if found is None:
            quartets = {id(one.quartet): one.quartet for one in sitting.subjects}.values()

            def classify(images: Tensor) -> dict[str, Tensor]:
                answers = [quartet.classify(images).probabilities for quartet in quartets]
                return {name: shares for one in answers for name, shares in one.items()}

            image = torch.from_numpy(sitting.look.pixels)
            found = trace_confidence(classify, image, kind)
            self._curves.keep(key, found)
        return found


def describe_chart(amounts: Sequence[str]) -> Mapping[str, Any]:
    """The field of the diagram, as `mind.html` takes it.

    Args:
        amounts: every place of the slider in words.
    """
    right, bottom = LEFT + STEP * (len(amounts) - 1), TOP + HEIGHT
    return {
        "left": LEFT,
        "top": TOP,
        "step": STEP,
        "right": right,
        "bottom": bottom,
        "levels": [(bottom - HEIGHT * share, percent(share, 0)) for share in (0, 0.5, 1)],
        "ends": [(LEFT, amounts[0]), (right, amounts[-1])],
    }


def describe_line(one: Subject, curve: Curve) -> Mapping[str, Any]:
    """A model's line in it."""
    points = place(curve.confidence[one.name])
    return {
        "colour": one.colour,
        "title": one.title,
        "dashes": DASHES.get(one.name, OWN_DASHES),
        "points": " ".join(f"{x},{y:.1f}" for x, y in points),
        "cross": find_cross(curve, one.name),
    }


def describe_place(sitting: Sitting, curve: Curve, index: int, amount: str) -> Mapping[str, Any]:
    """One place of the slider: the picture, and what every model says of it."""
    titles = {one.name: one.title for one in sitting.subjects}
    perturbation = curve.perturbation
    return {
        "amount": amount,
        "source": embed(encode_pixels(curve.images[index].numpy())),
        "alt": words.describe_changed(perturbation, perturbation.amounts[index]),
        "rows": list_rows(sitting, curve, index),
        "said": words.describe_step(amount, list_changed(curve, titles, index)),
    }


def place(confidence: Tensor) -> list[tuple[int, float]]:
    """Where in the diagram `confidence (A,)` goes through."""
    return [
        (LEFT + STEP * index, TOP + HEIGHT * (1 - share))
        for index, share in enumerate(confidence.tolist())
    ]


def find_cross(curve: Curve, name: str) -> tuple[int, float] | None:
    """Where a model answers otherwise for the first time."""
    amount = curve.breaks[name]
    if amount is None:
        return None
    return place(curve.confidence[name])[curve.perturbation.amounts.index(amount)]


def list_rows(sitting: Sitting, curve: Curve, index: int) -> list[dict[str, str]]:
    """What every model says at one place of the slider."""
    rows = []
    for one in sitting.subjects:
        answer = int(curve.answers[one.name][index])
        rows.append(
            {
                "colour": one.colour,
                "title": one.title,
                "own": CLASSES[find_own(curve, one.name)],
                "share": percent(float(curve.confidence[one.name][index])),
                "now": "" if answer == find_own(curve, one.name) else CLASSES[answer],
            }
        )
    return rows


def list_changed(curve: Curve, titles: Mapping[str, str], index: int) -> list[tuple[str, str]]:
    """Title and class of each model that answers otherwise at one place of the slider."""
    return [
        (titles[name], CLASSES[int(answers[index])])
        for name, answers in curve.answers.items()
        if int(answers[index]) != find_own(curve, name)
    ]


def find_own(curve: Curve, name: str) -> int:
    """A model's class for the unchanged picture."""
    return int(curve.answers[name][curve.perturbation.amounts.index(curve.perturbation.neutral)])


def read_kind(value: Any) -> Kind:
    """The kind that a page sends; a visitor can send anything."""
    return next((kind for kind in PERTURBATIONS if kind == value), FIRST)
