"""Why the models say it, as HTML: where each looked, what the picture is most like to it, and a
sentence. The page lays the parts into the cards of the same picture (page.js)."""

import functools
import io

import numpy as np
import torch
from torch import Tensor

from demo.banks import Banks
from demo.recent import Recent
from demo.tabs.subjects import Sitting, Subject
from demo.templates import embed, render
from demo.uploads import to_image
from demo.words import compare as words
from demo.words.common import LABELS
from trainer.explain.explanation import Explanation, explain_answer
from trainer.explain.heat import measure_heat
from trainer.explain.neighbours import NEIGHBOURS, Neighbours
from trainer.explain.painting import paint_heat
from trainer.explain.reason import longest_reason
from trainer.recipe import CLASSES
from trainer.wording import article

HEAT_PX = 192
KEPT = 256
"""Explanations that are not computed anew where another class is asked about: some kB each."""
PICTURES_KEPT = 2048
"""Training images ready to be shown, a kB each."""


class Reasons:
    """Draws explanations; each is computed once for a picture."""

    def __init__(self, banks: Banks) -> None:
        self._banks = banks
        self._explained: Recent[Explanation] = Recent(KEPT)
        self._embed_training = functools.lru_cache(PICTURES_KEPT)(self._encode_training)

    def draw(self, sitting: Sitting, asked: int | None) -> str:
        """All of a picture.

        Args:
            asked: the class whose heat is wanted; None for each model's own answer.
        """
        explained = {one.name: self._explain(sitting, one) for one in sitting.subjects}
        heats = {
            one.name: self._measure(one, explained[one.name], asked) for one in sitting.subjects
        }
        hottest = max(float(heat.max()) for heat in heats.values())
        parts = []
        for one in sitting.subjects:
            label = CLASSES[one.answer if asked is None else asked]
            heat = heats[one.name]
            painted = paint_heat(sitting.look.pixels, heat, hottest, HEAT_PX)
            parts.append(
                {
                    "name": one.name,
                    "label": label,
                    "heat": encode(painted),
                    "alt": words.describe_heat(one.title, label, find_hottest(heat)),
                    "neighbours": self._list_neighbours(explained[one.name].neighbours),
                    "sentence": self._word(one, explained[one.name]),
                }
            )
        return render(
            "reasons.html",
            mark=sitting.mark,
            asked="" if asked is None else asked,
            parts=parts,
            words=words,
            empty=range(NEIGHBOURS if self._banks.prepared else 0),
            longest=longest_reason(sitting.familiar, self._banks.prepared),
            scale=words.describe_scale(hottest),
            fault="" if self._banks.prepared else words.UNPREPARED,
        )

    def _explain(self, sitting: Sitting, one: Subject) -> Explanation:
        bank = one.find_bank()
        key = f"{sitting.mark} {one.name} {bank is None}"
        found = self._explained.get(key)
        if found is None:
            found = explain_answer(one.quartet, one.name, one.answers, bank, sitting.familiar)
            self._explained.keep(key, found)
        return found

    def _measure(self, one: Subject, explanation: Explanation, asked: int | None) -> Tensor:
        """Heat `(h, w)` for the class asked about."""
        if asked is None or asked == one.answer:
            return explanation.heat
        body, maps = one.quartet.body_of(one.name), one.answers.maps[one.name]
        return measure_heat(body, one.name, maps, torch.tensor([asked]))[0]

    def _word(self, one: Subject, explanation: Explanation) -> str:
        awaited = explanation.neighbours is None and one.name not in LABELS
        if awaited and self._banks.prepared:
            return f"{explanation.sentence} {words.LIKE_LATER}"
        return explanation.sentence

    def _list_neighbours(self, found: Neighbours | None) -> list[tuple[str, str]]:
        """Source and class of each training image."""
        if found is None:
            return []
        rows, labels = found.rows[0].tolist(), found.labels[0].tolist()
        return [
            (self._embed_training(row), article(CLASSES[label]))
            for row, label in zip(rows, labels, strict=True)
        ]

    def _encode_training(self, row: int) -> str:
        return encode(self._banks.training.images[row].numpy())


def find_hottest(heat: Tensor) -> tuple[int, int] | None:
    """The third of the picture, 0..2 from the top and from the left, in which the hottest place of
    `heat (h, w)` lies; None where there is no heat."""
    if not heat.any():
        return None
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    return 3 * row // heat.shape[0], 3 * column // heat.shape[1]


def encode(pixels: np.ndarray) -> str:
    """`(3, height, width)` uint8 as the address of a small file: what is only looked at."""
    content = io.BytesIO()
    to_image(pixels).save(content, "WEBP", quality=85, method=2)
    return embed(content.getvalue(), "webp")
