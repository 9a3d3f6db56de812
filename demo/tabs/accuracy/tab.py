"""Accuracy: curves, confusion matrices, two models side by side, and the images behind it all."""

from typing import Any

import gradio as gr
import torch
from gradio.blocks import Block

from demo.answers import FIRST, RecordedAnswers
from demo.faults import explain
from demo.links import TAB, find_tab, name_slug, read_link
from demo.tabs.accuracy.confidence import ConfidencePart
from demo.tabs.accuracy.figures import FiguresPart
from demo.tabs.accuracy.grids import draw_matrix, draw_overview
from demo.tabs.accuracy.pair import PairPart
from demo.tabs.accuracy.view import View, read_cell
from demo.tabs.changes import Part, Shown, Values, collect_changes
from demo.tabs.images import ImagePages, read_images_choice
from demo.tabs.shared import (
    AT_ONCE,
    ON_CHOICE,
    QUIET,
    Shared,
    create_html,
    keep_link,
    read_choice,
    refuse,
)
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import ACCURACY_TAB, LABELS
from trainer.errors import QuartetError
from trainer.metrics import confusion_shares, most_confused
from trainer.recipe import CLASSES

CONFUSED_PAIRS = 5
_CLASS_CHOICES = [(name, label) for label, name in enumerate(CLASSES)]


class AccuracyTab:
    """The tab. It is filled when it is opened, once: those who never do are spared it.

    The page holds what is chosen, in its controls and as a link, and marks of what it was sent.
    """

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._shared, self._models, self._gallery = shared, shared.models, shared.gallery
        self._records = self._models.records
        self._confusion = {
            name: torch.tensor(record.test.confusion) for name, record in self._records.items()
        }
        self._shares = {
            name: confusion_shares(counts).numpy() for name, counts in self._confusion.items()
        }
        self.answers = RecordedAnswers(self._models)
        self._images = ImagePages(self.answers, self._gallery)
        self._names = list(self._records)
        self._compared = list(self.answers.predicted)
        self.first_view = self._choose_first_view()
        self._draw()
        self._wire(tab)

    def _choose_first_view(self) -> View:
        model = self._names[0]
        true, said, _ = most_confused(self._confusion[model], 1)[0]
        first, second = (self._compared * 2)[:2] if self._compared else (model, model)
        return View(model, true, said, first, second)

    def _draw(self) -> None:
        self.link = gr.JSON({}, visible="hidden", elem_id="accuracy-link")
        self.sent = gr.JSON({}, visible="hidden", elem_id="accuracy-sent")
        self.cells = gr.JSON({}, visible="hidden", elem_id="accuracy-cells")
        self.cell = gr.JSON(None, visible="hidden")
        """Model, true and predicted class of the cell on screen, once there is one."""
        self.figures = FiguresPart(self._models)
        self.confidence = ConfidencePart(self.answers)
        self._draw_matrices()
        self.pair = PairPart(self._models, self.answers, self._images, self._gallery)
        with gr.Column(visible=len(self._compared) > 1):
            self.pair.draw(self.first_view)

    def _draw_matrices(self) -> None:
        view = self.first_view
        choices = [(LABELS[name], name) for name in self._records]
        gr.Markdown(f"{words.MATRICES_HEADING}\n{words.MATRIX_HINT}")
        self.overview = create_html(js_on_load=ON_CHOICE, elem_id="overview", min_height=300)
        with gr.Row():
            self.model = gr.Radio(
                choices, value=view.model, label=words.MODEL, elem_id="matrix-model"
            )
            self.counting = gr.Radio(
                words.COUNTING_CHOICES, value=view.counting, label=words.COUNTING
            )
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.matrix = create_html(js_on_load=ON_CHOICE, elem_id="matrix", min_height=500)
            with gr.Column(scale=2, min_width=280):
                self.facts = create_html(js_on_load=ON_CHOICE, elem_id="facts", min_height=170)
                self.true = gr.Dropdown(_CLASS_CHOICES, value=view.true, label=words.TRUE_CLASS)
                self.said = gr.Dropdown(
                    _CLASS_CHOICES, value=view.said, label=words.PREDICTED_CLASS
                )
        self.images = create_html(js_on_load=ON_CHOICE, elem_id="cell-images", min_height=300)
        self.fetch = gr.Button(words.FETCH, visible=self._gallery.fetchable, elem_id="fetch")
        self.fetched = gr.Markdown(elem_id="fetched")

    def _wire(self, tab: gr.Tab) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        self._controls: dict[str, Block] = {
            "model": self.model, "counting": self.counting, "true": self.true, "said": self.said,
            "first": self.pair.first, "second": self.pair.second,
        }  # fmt: skip
        held = {*self._controls.values(), self.link, self.sent}
        drawn = [
            *(part.component for part in self._list_parts(self.first_view)),
            *held,
            self.cell,
        ]
        tab.select(self.on_open, held, drawn, **raw)
        self._shared.blocks.load(self.on_load, held, [*drawn, self._shared.tabs], **raw)
        controls = [control.input for control in self._controls.values()]  # type: ignore[attr-defined]
        gr.on(controls, self.on_control, held, drawn, trigger_mode="always_last", **raw)
        for clicked, handler in (
            (self.overview, self.on_cell),
            (self.matrix, self.on_cell),
            (self.facts, self.on_cell),
            (self.images, self.on_images),
            (self.pair.difference, self.on_pair),
            (self.pair.overlap, self.on_pair),
            (self.pair.alone, self.on_pair),
            (self.pair.images, self.on_pair_images),
        ):
            clicked.click(handler, held, drawn, **raw)
        self.fetch.click(self.on_fetching, None, [self.fetch, self.fetched], **QUIET).then(
            self.on_fetch, held, [*drawn, self.fetched], **raw
        )
        keep_link(ACCURACY_TAB, self.link)
        self.cells.change(None, [self.cells], None, js="(cells) => window.quartet.press(cells)")

    def on_open(self, values: Values) -> Shown:
        """What the page does not show yet."""
        return self._show(self._read(values), values)

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to this tab."""
        link = read_link(dict(request.query_params))
        if find_tab(link) != ACCURACY_TAB:
            return {self.link: gr.skip()}
        view = self.first_view.from_link(link, self._names)
        return {
            **self._show(self._mend(view), values),
            self._shared.tabs: gr.Tabs(selected=ACCURACY_TAB),
        }

    def on_control(self, values: Values) -> Shown:
        """Another model, pair, class or way to count was chosen."""
        before = self.first_view.from_link(read_link(values[self.link]), self._names)
        view = self._read(values)
        changed: dict[str, Any] = {}
        if (view.model, view.cell) != (before.model, before.cell):
            changed["page"] = 1
        if (view.first, view.second) != (before.first, before.second):
            changed["pair_page"] = 1
        return self._show(view.changed(self._names, **changed), values)

    def on_cell(self, values: Values, event: gr.EventData) -> Shown:
        """A cell of the matrix or of the overview, or a confused pair."""
        choice = read_choice(event)
        name, _, rest = choice.partition(",")
        known = name in self._records
        cell = read_cell(rest if known else choice)
        if cell is None:
            raise refuse(words.NO_SUCH_CLASS)
        given = {"true": cell[0], "said": cell[1], "page": 1, **({"model": name} if known else {})}
        return self._show(self._read(values).changed(self._names, **given), values)

    def on_images(self, values: Values, event: gr.EventData) -> Shown:
        """Another order or page of a cell's images."""
        order, page = read_images_choice(read_choice(event))
        given = {"order": order, "page": 1} if order else {"page": page}
        return self._show(self._read(values).changed(self._names, **given), values)

    def on_pair(self, values: Values, event: gr.EventData) -> Shown:
        """A cell of the difference, a part of the overlap, or what one model alone gets right."""
        given = {"chosen": read_choice(event), "pair_page": 1}
        return self._show(self._read(values).changed(self._names, **given), values)

    def on_pair_images(self, values: Values, event: gr.EventData) -> Shown:
        """Another order or page of a pair's images."""
        order, page = read_images_choice(read_choice(event))
        given = {"pair_order": order, "pair_page": 1} if order else {"pair_page": page}
        return self._show(self._read(values).changed(self._names, **given), values)

    def on_fetching(self) -> Shown:
        """The test images are being fetched."""
        return {self.fetch: gr.Button(interactive=False), self.fetched: words.FETCHING}

    def on_fetch(self, values: Values) -> Shown:
        """Fetches the test images, for all visitors, and shows those of what is on screen."""
        try:
            self._gallery.fetch(self.answers.labels)
        except QuartetError as error:
            return {self.fetch: gr.Button(interactive=True), self.fetched: explain(error)}
        return {**self._show(self._read(values), values), self.fetched: words.FETCHED}

    def _read(self, values: Values) -> View:
        """What the page holds: its controls, and the rest from the link."""
        view = self.first_view.from_link(read_link(values[self.link]), self._names)
        given = {name: values[control] for name, control in self._controls.items()}
        return self._mend(view.changed(self._names, **given))

    def _mend(self, view: View) -> View:
        """A pair is of models whose answers are at hand."""
        first = self.first_view
        if view.alone is not None and view.alone not in self._compared:
            view = view.changed(self._names, chosen=FIRST)
        if {view.first, view.second} <= set(self._compared):
            return view
        return view.changed(self._names, first=first.first, second=first.second)

    def _show(self, view: View, values: Values) -> Shown:
        """What the page does not show yet, its controls and its link."""
        answer, marks = collect_changes(self._list_parts(view), values[self.sent])
        for name, control in self._controls.items():
            if getattr(view, name) != values[control]:
                answer[control] = getattr(view, name)
        link = {TAB: name_slug(ACCURACY_TAB), **view.to_link(self.first_view)}
        cell = [view.model, *view.cell]
        return {**answer, self.sent: marks, self.link: link, self.cell: cell}

    def _list_parts(self, view: View) -> list[Part]:
        at_hand = len(self._gallery.rows)
        name, cell = view.model, view.cell
        parts = [
            *self.figures.list_parts(),
            *self.confidence.list_parts(),
            Part(self.overview, None, self._draw_overview),
            Part(self.matrix, (name, view.counting), lambda: self._draw_matrix(view)),
            Part(self.cells, (cell, view.difference_cell), lambda: name_cells(view)),
            Part(self.facts, name, lambda: self._draw_facts(name)),
            Part(
                self.images,
                (name, cell, view.order, view.page, at_hand),
                lambda: self._draw_cell(view),
            ),
            Part(
                self.fetch,
                self._gallery.fetchable,
                lambda: gr.Button(visible=self._gallery.fetchable),
            ),
        ]
        return [*parts, *self.pair.list_parts(view)]

    def _draw_overview(self) -> str:
        grids = [
            (LABELS[name], draw_overview(name, self._confusion[name].numpy(), share))
            for name, share in self._shares.items()
        ]
        return render("overview.html", figures=grids, exports=words.EXPORTS["confusion"])

    def _draw_matrix(self, view: View) -> str:
        counts, share = self._confusion[view.model].numpy(), self._shares[view.model]
        return draw_matrix(counts, share, view.counting, LABELS[view.model], view.cell)

    def _draw_facts(self, name: str) -> str:
        """What a model knows best and least, and its confused pairs, each to be chosen."""
        test = self._records[name].test
        per_class = dict(zip(CLASSES, test.per_class_accuracy, strict=True))
        best, worst = test.best_class, test.worst_class
        pairs = most_confused(self._confusion[name], CONFUSED_PAIRS)
        return render(
            "facts.html",
            sentence=words.describe_extremes(
                name, (best, per_class[best]), (worst, per_class[worst])
            ),
            items=[
                (f"{true},{said}", text)
                for (true, said, _), text in zip(pairs, words.describe_confused(pairs), strict=True)
            ],
        )

    def _draw_cell(self, view: View) -> str:
        """The images of one cell of a model's matrix."""
        name = view.model
        heading = words.describe_cell_heading(name, *view.cell)
        if name not in self.answers.predicted:
            return self._images.show(heading, explain(self._models.faults[name]))
        rows = self.answers.in_cell(name, *view.cell)
        return self._images.draw(heading, rows, view.order, view.page, [name])


def name_cells(view: View) -> dict[str, str | None]:
    """Id of a matrix to the choice of its cell that is chosen. The page marks it, so that no matrix
    is sent again for another mark."""
    cells = {"matrix": view.cell, "difference": view.difference_cell}
    return {name: f"{cell[0]},{cell[1]}" if cell else None for name, cell in cells.items()}
