"""Test images behind a figure: sorted, a page at a time, each with every model's answer."""

import functools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from demo.answers import ORDERS, RecordedAnswers
from demo.gallery import Gallery
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import accuracy as words
from demo.words.common import LABELS
from trainer.palette import COLOURS
from trainer.recipe import CLASSES
from trainer.wording import article, percent

A_PAGE = 24
ORDER, PAGE = "order:", "page:"
"""What a choice in the images begins with."""


class ImagePages:
    """Draws lists of test images."""

    def __init__(self, answers: RecordedAnswers, gallery: Gallery) -> None:
        self._answers, self._gallery = answers, gallery

    def draw(self, heading: str, rows: Tensor, order: str, page: int, names: Sequence[str]) -> str:
        """A page of those of these rows of the test split that are at hand.

        Args:
            heading: what they are.
            order: one of `ORDERS`.
            page: from 1; the last one where there are fewer.
            names: the models in question, by which they are sorted.
        """
        at_hand = self._gallery.at_hand(self._answers.sort(rows, order, names))
        pages = max(1, -(-len(at_hand) // A_PAGE))
        page = min(page, pages)
        shown = at_hand[A_PAGE * (page - 1) : A_PAGE * page].tolist()
        note = words.describe_shown(len(rows), len(at_hand), page, pages)
        at_all = words.describe_gallery(len(self._gallery.rows), self._gallery.total)
        predicted, labels = self._answers.predicted, self._answers.labels[rows]
        mistaken = any(bool((predicted[name][rows] != labels).any()) for name in names)
        return render(
            "images.html",
            words=words,
            heading=heading,
            note=f"{note} {at_all}".strip(),
            models=[(LABELS[name], COLOURS[name]) for name in self._answers.predicted],
            images=[self._describe(row) for row in shown],
            orders=[
                (f"{ORDER}{one}", words.name_order(one, mistaken), one == order) for one in ORDERS
            ]
            if len(at_hand) > 1
            else [],
            pages=[
                (f"{PAGE}{page - 1}", words.PREVIOUS, page > 1),
                (f"{PAGE}{page + 1}", words.NEXT, page < pages),
            ]
            if pages > 1
            else [],
            where=words.describe_page(page, pages),
        )

    def show(self, heading: str, note: str, rows: Sequence[int] = ()) -> str:
        """These rows of the test split as they come; none is a reason why there are none."""
        models = [(LABELS[name], COLOURS[name]) for name in self._answers.predicted]
        return render(
            "images.html", words=words, heading=heading, note=note, models=models if rows else [],
            images=[self._describe(row) for row in rows], orders=[], pages=[], where="",
        )  # fmt: skip

    def _describe(self, row: int) -> dict[str, Any]:
        answers = self._answers
        label = int(answers.labels[row])
        return {
            "row": row,
            "source": self._embed(row),
            "alt": article(CLASSES[label]),
            "truth": CLASSES[label],
            "answers": [
                {
                    "label": LABELS[name],
                    "colour": COLOURS[name],
                    "said": CLASSES[int(classes[row])],
                    "sure": percent(float(answers.confidence[name][row]), 0),
                    "right": int(classes[row]) == label,
                }
                for name, classes in answers.predicted.items()
            ],
        }

    @functools.lru_cache(maxsize=2048)  # noqa: B019 (one of these an app)
    def _embed(self, row: int) -> str:
        return embed(encode_pixels(self._gallery.image(row)))


def read_images_choice(choice: str) -> tuple[str | None, int | None]:
    """The order or the page that was chosen among a list's buttons."""
    if choice.startswith(ORDER):
        return choice.removeprefix(ORDER), None
    page = choice.removeprefix(PAGE)
    return None, int(page) if page.isdecimal() and len(page) < 6 else None
