"""Two models side by side: what they say differently, what only one of them gets right, and the
images of it."""

import gradio as gr

from demo.answers import BOTH, FIRST, NEITHER, SECOND, RecordedAnswers
from demo.gallery import Gallery
from demo.models import Models
from demo.tabs.accuracy.grids import draw_difference
from demo.tabs.accuracy.view import ALONE, View
from demo.tabs.changes import Part
from demo.tabs.images import ImagePages
from demo.tabs.shared import ON_CHOICE, create_html
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import LABELS
from demo.words.seeds import describe_evidence


class PairPart:
    """Draws, and tells what a view shows; the tab answers events."""

    def __init__(
        self, models: Models, answers: RecordedAnswers, images: ImagePages, gallery: Gallery
    ) -> None:
        self._models, self._answers, self._images = models, answers, images
        self._gallery = gallery
        self._compared = list(answers.predicted)

    def draw(self, view: View) -> None:
        """
        Args:
            view: what is chosen at first.
        """
        choices = [(LABELS[name], name) for name in self._compared]
        gr.Markdown(f"{words.PAIR_HEADING}\n{words.DIFFERENCE_HINT}")
        with gr.Row():
            self.first = gr.Dropdown(choices, value=view.first, label=words.FIRST_MODEL)
            self.second = gr.Dropdown(choices, value=view.second, label=words.SECOND_MODEL)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.difference = create_html(
                    js_on_load=ON_CHOICE, elem_id="difference", min_height=500
                )
            with gr.Column(scale=2, min_width=280):
                self.overlap = create_html(js_on_load=ON_CHOICE, elem_id="overlap", min_height=200)
                self.verdict = gr.Markdown(elem_id="verdict")
                self.alone = create_html(js_on_load=ON_CHOICE, elem_id="alone", min_height=120)
        self.images = create_html(js_on_load=ON_CHOICE, elem_id="pair-images", min_height=300)

    def list_parts(self, view: View) -> list[Part]:
        """All that is shown of a pair; nothing where there are not two models."""
        if len(self._compared) < 2:
            return []
        pair = view.first, view.second
        at_hand = len(self._gallery.rows)
        return [
            Part(self.difference, pair, lambda: self._draw_difference(view)),
            Part(self.overlap, (pair, view.chosen), lambda: self._draw_overlap(view)),
            Part(
                self.verdict,
                pair,
                lambda: describe_evidence(*pair, self._models.compare(*pair)[1]),
            ),
            Part(self.alone, view.alone, lambda: self._draw_alone(view)),
            Part(
                self.images,
                (pair, view.chosen, view.pair_order, view.pair_page, at_hand),
                lambda: self._draw_images(view),
            ),
        ]

    def _draw_difference(self, view: View) -> str:
        one, two = view.first, view.second
        grid = draw_difference(
            self._answers.confusion_shares[one],
            self._answers.confusion_shares[two],
            words.describe_difference(one, two),
            view.difference_cell,
        )
        return render(
            "difference.html",
            svg=grid,
            note="",
            exports=words.EXPORTS["difference"],
            query=f"?first={one}&second={two}",
        )

    def _draw_overlap(self, view: View) -> str:
        """The images that both, one or neither of a pair gets right, each part to be chosen."""
        overlap, _ = self._models.compare(view.first, view.second)
        cells = {
            BOTH: overlap.both_right, FIRST: overlap.only_first,
            SECOND: overlap.only_second, NEITHER: overlap.both_wrong,
        }  # fmt: skip
        return render(
            "overlap.html",
            words=words,
            first=LABELS[view.first],
            second=LABELS[view.second],
            rows=[
                [
                    (
                        part,
                        f"{cells[part]:,}",
                        words.describe_part(view.first, view.second, part),
                        part == view.chosen,
                    )
                    for part in row
                ]
                for row in ((BOTH, FIRST), (SECOND, NEITHER))
            ],
            exports=words.EXPORTS["overlap"],
            query=f"?first={view.first}&second={view.second}",
        )

    def _draw_alone(self, view: View) -> str:
        return render(
            "alone.html",
            heading=words.ALONE_HEADING,
            choices=[
                (
                    f"{ALONE}{name}",
                    words.describe_alone(name, len(self._answers.alone(name))),
                    name == view.alone,
                )
                for name in self._compared
            ],
        )

    def _draw_images(self, view: View) -> str:
        """The images that are chosen of a pair, or those one model alone gets right."""
        answers, pair = self._answers, (view.first, view.second)
        cell, alone = view.difference_cell, view.alone
        if alone is not None:
            heading, rows = words.describe_alone_images(alone), answers.alone(alone)
            names = [name for name in self._compared if name != alone] or [alone]
        elif cell is not None:
            heading = words.describe_difference_images(*pair, *cell)
            rows, names = answers.in_difference(*pair, *cell), list(pair)
        else:
            heading = words.describe_part(*pair, view.chosen)
            rows, names = answers.in_part(*pair, view.chosen), list(pair)
        return self._images.draw(heading, rows, view.pair_order, view.pair_page, names)
