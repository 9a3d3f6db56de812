"""Accuracy: curves, confusion matrices and the images behind every figure."""

from typing import Any

import gradio as gr
import numpy as np
import torch
from torch import Tensor

from demo import plots
from demo.faults import explain
from demo.models import recorded_answers
from demo.tabs.changes import Shown
from demo.tabs.confidence import ConfidencePart
from demo.tabs.seeds import draw_seeds
from demo.tabs.shared import (
    ON_CHOICE,
    QUIET,
    Shared,
    create_html,
    create_table,
    fill_table,
    read_choice,
    refuse,
)
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import accuracy as words
from demo.words.common import EPOCH, LABELS, RIGHT, TRAIN_LOSS, WRONG
from demo.words.seeds import describe_evidence
from trainer.metrics import confusion_shares, find_only_right, most_confused
from trainer.palette import COLOURS
from trainer.recipe import CLASSES
from trainer.record import Records
from trainer.reference import load_reference, reference_accuracy
from trainer.timing import time_alone
from trainer.wording import article

CURVES = {
    "test_accuracy": words.TEST_ACCURACY,
    "train_loss": TRAIN_LOSS,
    "test_loss": words.TEST_LOSS,
}
"""Figure of an epoch to title."""
SHOWN_IMAGES = 24
CONFUSED_PAIRS = 5
PERCENT = "percent"
_CLASS_CHOICES = [(name, label) for label, name in enumerate(CLASSES)]


class AccuracyTab:
    """The tab. It is filled when it is opened: those who never do are spared it."""

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._models, self._gallery = shared.models, shared.gallery
        self._records = self._models.records
        self._confusion = {
            name: torch.tensor(record.test.confusion) for name, record in self._records.items()
        }
        self._shares = {
            name: confusion_shares(counts).numpy() for name, counts in self._confusion.items()
        }
        self._predicted = recorded_answers(self._models)
        self._compared = [(LABELS[name], name) for name in self._predicted]
        self._draw_figures()
        self.confidence = ConfidencePart(self._models, tab)
        self._draw_matrices()
        with gr.Column(visible=len(self._compared) > 1):
            self._draw_pair()
        self._wire(tab)

    def _draw_figures(self) -> None:
        gr.Markdown(words.FIGURES_HEADING)
        create_table(
            words.FIGURE_COLUMNS, list_figures(self._records), words.FIGURES, pinned_columns=1
        )
        times = time_alone(self._records)
        shared_s = {name: time.shared_s for name, time in times.items() if time.shared_s}
        first = next(iter(self._records.values()))
        gr.Markdown(f"{words.describe_figures(first)} {words.describe_times(shared_s)}")
        draw_seeds(self._models)
        gr.Markdown(words.CURVES_HEADING)
        create_html(render("key.html", models=list_key(self._records)))
        with gr.Row():
            self.curves = {
                figure: _create_curve(title, list(self._records))
                for figure, title in CURVES.items()
            }

    def _draw_matrices(self) -> None:
        start = next(iter(self._records))
        true, said, _ = most_confused(self._confusion[start], 1)[0]
        choices = [(LABELS[name], name) for name in self._records]
        gr.Markdown(f"{words.MATRICES_HEADING}\n{words.MATRIX_HINT}")
        self.overview = create_html(elem_id="overview", min_height=300)
        with gr.Row():
            self.model = gr.Radio(choices, value=start, label=words.MODEL, elem_id="matrix-model")
            self.counting = gr.Radio(words.COUNTING_CHOICES, value=PERCENT, label=words.COUNTING)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.matrix = create_html(js_on_load=ON_CHOICE, elem_id="matrix", min_height=500)
            with gr.Column(scale=2, min_width=280):
                self.facts = create_html(elem_id="facts", min_height=170)
                self.true = gr.Dropdown(_CLASS_CHOICES, value=true, label=words.TRUE_CLASS)
                self.said = gr.Dropdown(_CLASS_CHOICES, value=said, label=words.PREDICTED_CLASS)
        self.images = create_html(elem_id="cell-images", min_height=300)

    def _draw_pair(self) -> None:
        one, two = list(self._predicted)[:2] if len(self._predicted) > 1 else (None, None)
        gr.Markdown(f"{words.PAIR_HEADING}\n{words.DIFFERENCE_HINT}")
        with gr.Row():
            self.first = gr.Dropdown(self._compared, value=one, label=words.FIRST_MODEL)
            self.second = gr.Dropdown(self._compared, value=two, label=words.SECOND_MODEL)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.difference = create_html(elem_id="difference", min_height=500)
            with gr.Column(scale=2, min_width=280):
                self.overlap = create_table(
                    [("", ""), (RIGHT, ","), (WRONG, ",")], [], words.OVERLAP, elem_id="overlap"
                )
                self.verdict = gr.Markdown(elem_id="verdict")
        gr.Markdown(words.ALONE_HEADING)
        self.alone_model = gr.Radio(
            self._compared, value=one, label=words.MODEL, elem_id="alone-model"
        )
        self.alone = create_html(elem_id="alone", min_height=300)

    def _wire(self, tab: gr.Tab) -> None:
        cell = [self.model, self.counting, self.true, self.said]
        pair = [self.first, self.second]
        matrix_shown = [self.matrix, self.facts, self.images]
        pair_shown = [self.difference, self.overlap, self.verdict]
        tab.select(
            self.on_open,
            [*cell, *pair, self.alone_model],
            [*self.curves.values(), self.overview, *matrix_shown, *pair_shown, self.alone],
            **QUIET,
        )
        gr.on(
            [self.model.change, self.counting.change, self.true.change, self.said.change],
            self.on_matrix,
            cell,
            matrix_shown,
            trigger_mode="always_last",
            **QUIET,
        )
        self.matrix.click(self.on_cell, None, [self.true, self.said], **QUIET)
        gr.on([self.first.change, self.second.change], self.on_pair, pair, pair_shown, **QUIET)
        self.alone_model.change(self.on_alone, [self.alone_model], [self.alone], **QUIET)

    def on_open(
        self,
        name: str,
        counting: str,
        true: int,
        said: int,
        first: str | None,
        second: str | None,
        alone: str | None,
    ) -> Shown:
        """Everything drawn."""
        overview = render(
            "overview.html",
            figures=[
                (LABELS[one], plots.plot_confusion(share), words.describe_overview(one))
                for one, share in self._shares.items()
            ],
        )
        return {
            **{
                curve: plots.frame_curves(self._records, figure)
                for figure, curve in self.curves.items()
            },
            self.overview: overview,
            **self.on_matrix(name, counting, true, said),
            **self.on_pair(first, second),
            **self.on_alone(alone),
        }

    def on_matrix(self, name: str, counting: str, true: int, said: int) -> Shown:
        """The enlarged matrix, its facts, and the chosen cell's images."""
        test = self._records[name].test
        per_class = dict(zip(CLASSES, test.per_class_accuracy, strict=True))
        best, worst = test.best_class, test.worst_class
        facts = render(
            "facts.html",
            sentence=words.describe_extremes(
                name, (best, per_class[best]), (worst, per_class[worst])
            ),
            items=words.describe_confused(most_confused(self._confusion[name], CONFUSED_PAIRS)),
        )
        counts, share = self._confusion[name].numpy(), self._shares[name]
        return {
            self.matrix: draw_matrix(counts, share, counting, LABELS[name], (true, said)),
            self.facts: facts,
            self.images: self._draw_cell(name, true, said),
        }

    def on_cell(self, event: gr.EventData) -> Shown:
        """The classes of the cell that was clicked."""
        try:
            true, said = (int(part) for part in read_choice(event).split(","))
            CLASSES[true], CLASSES[said]
        except (IndexError, ValueError) as error:
            raise refuse(words.NO_SUCH_CLASS) from error
        return {self.true: true, self.said: said}

    def on_pair(self, first: str | None, second: str | None) -> Shown:
        """Two models side by side."""
        if first is None or second is None:
            return {self.verdict: ""}
        overlap, evidence = self._models.compare(first, second)
        svg = plots.plot_difference(self._shares[first], self._shares[second])
        one, two = LABELS[first], LABELS[second]
        table = fill_table(
            [("", ""), (f"{two}: {RIGHT}", ","), (f"{two}: {WRONG}", ",")],
            [
                [f"{one}: {RIGHT}", overlap.both_right, overlap.only_first],
                [f"{one}: {WRONG}", overlap.only_second, overlap.both_wrong],
            ],
        )
        return {
            self.difference: render("difference.html", svg=svg, note=""),
            self.overlap: table,
            self.verdict: describe_evidence(first, second, evidence),
        }

    def on_alone(self, name: str | None) -> Shown:
        """The images that one model alone gets right."""
        if name is None:
            return {self.alone: ""}
        labels = self._models.predictions[name].labels
        rows = find_only_right(labels, self._predicted, name)
        heading = words.describe_alone(name, len(rows), self._gallery.total)
        return {self.alone: self._draw_rows(heading, rows)}

    def _draw_cell(self, name: str, true: int, said: int) -> str:
        """The images of one cell of a model's matrix."""
        heading = words.describe_cell_heading(name, true, said)
        if name not in self._predicted:
            return self._draw_images(heading, explain(self._models.faults[name]), [])
        labels = self._models.predictions[name].labels
        rows = ((labels == true) & (self._predicted[name] == said)).nonzero().flatten()
        return self._draw_rows(heading, rows)

    def _draw_rows(self, heading: str, rows: Tensor) -> str:
        """The first of these rows of the test split that are at hand."""
        gallery = self._gallery
        at_hand = gallery.at_hand(rows)
        shown = at_hand[:SHOWN_IMAGES].tolist()
        note = words.describe_shown(len(rows), len(at_hand), len(shown))
        at_all = words.describe_gallery(gallery.whole, len(gallery.rows), gallery.total)
        return self._draw_images(heading, f"{note} {at_all}", shown)

    def _draw_images(self, heading: str, note: str, rows: list[int]) -> str:
        """Test images, each with its truth and every model's answer."""
        images = []
        for row in rows:
            label = int(next(iter(self._models.predictions.values())).labels[row])
            answers = [
                {
                    "label": LABELS[name],
                    "colour": COLOURS[name],
                    "said": CLASSES[int(classes[row])],
                    "right": int(classes[row]) == label,
                }
                for name, classes in self._predicted.items()
            ]
            images.append(
                {
                    "source": embed(encode_pixels(self._gallery.image(row))),
                    "alt": article(CLASSES[label]),
                    "truth": CLASSES[label],
                    "answers": answers,
                }
            )
        models = list_key(self._records)
        return render("images.html", heading=heading, note=note, models=models, images=images)


def list_figures(records: Records) -> list[list[Any]]:
    """Each model's figures beside the reference's, in the order of `words.FIGURE_COLUMNS`."""
    reference, times = load_reference(), time_alone(records)
    rows = []
    for name, record in records.items():
        test, theirs = record.test, reference_accuracy(reference, name)
        rows.append(
            [
                LABELS[name],
                100 * test.accuracy,
                100 * theirs,
                100 * (test.accuracy - theirs),
                100 * test.calibration_error,
                test.best_class,
                test.worst_class,
                record.recipe.epochs,
                times[name].alone_s / 60,
            ]
        )
    return rows


def list_key(records: Records) -> list[tuple[str, str]]:
    """Label and colour of each model."""
    return [(LABELS[name], COLOURS[name]) for name in records]


def draw_matrix(
    counts: np.ndarray, share: np.ndarray, counting: str, caption: str, chosen: tuple[int, int]
) -> str:
    """One confusion matrix `(true, predicted)` as a table of buttons.

    Args:
        counts: images of each cell.
        share: the same in shares of the true class, 0..1.
        counting: `percent` of the true class, or `count` of images.
        chosen: the cell to mark.
    """
    colour, strength = plots.shade(share)

    def describe_cell(true: int, said: int) -> dict[str, Any]:
        images = int(counts[true, said])
        return {
            "choice": f"{true},{said}",
            "colour": colour[true, said],
            "strength": strength[true, said],
            "pressed": chosen == (true, said),
            "label": words.describe_cell(true, said, images),
            "shown": f"{100 * share[true, said]:.1f}" if counting == PERCENT else f"{images}",
        }

    rows = [
        (name, [describe_cell(true, said) for said in range(len(CLASSES))])
        for true, name in enumerate(CLASSES)
    ]
    return render("matrix.html", caption=caption, classes=CLASSES, rows=rows)


def _create_curve(title: str, names: list[str]) -> gr.LinePlot:
    return gr.LinePlot(
        x=EPOCH,
        y=plots.VALUE,
        color=words.MODEL,
        title=title,
        y_title=title,
        color_map={LABELS[name]: COLOURS[name] for name in names},
        colors_in_legend=[],
        tooltip="all",
        height=300,
        min_width=300,
        show_label=False,
    )
