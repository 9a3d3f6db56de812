"""Accuracy: curves, confusion matrices and the images behind every figure."""

from typing import Any

import gradio as gr
import numpy as np
import torch
from trainer.observations import load_reference

from demo import plots, text, views
from demo.gallery import Gallery
from demo.models import Models, recorded_answers
from demo.overlap import find_only_right, measure_overlap
from trainer.metrics import most_confused
from trainer.palette import COLOURS
from trainer.recipe import CLASSES

CURVES = {
    "test_accuracy": text.TEST_ACCURACY,
    "train_loss": text.TRAIN_LOSS,
    "test_loss": text.TEST_LOSS,
}
"""Key of a record's history to title."""
SHOWN_IMAGES = 24
CONFUSED_PAIRS = 5
_CLASS_CHOICES = [(name, label) for label, name in enumerate(CLASSES)]


def create_accuracy_tab(tab: gr.Tab, models: Models, gallery: Gallery) -> None:
    """Draws the tab."""
    records = models.records
    confusion = {name: np.array(record["test"]["confusion"]) for name, record in records.items()}
    shares = {name: views.to_shares(counts) for name, counts in confusion.items()}
    predicted = recorded_answers(models)
    choices = [(text.LABELS[name], name) for name in records]
    compared = [(text.LABELS[name], name) for name in predicted]
    total = gallery.total

    def draw_overview() -> str:
        figures = "".join(
            f"<figure><figcaption>{text.LABELS[name]}</figcaption>"
            f"{plots.plot_confusion(share, *views.shade(share))}</figure>"
            for name, share in shares.items()
        )
        return f'<div class="q-overview">{figures}</div>'

    def on_matrix(name: str, counting: str, true: int, said: int) -> tuple[str, str, str]:
        """Redraws the enlarged matrix, its facts, and the chosen cell's images."""
        test = records[name]["test"]
        per_class = dict(zip(CLASSES, test["per_class_accuracy"], strict=True))
        best, worst = test["best_class"], test["worst_class"]
        facts = views.draw_facts(
            text.describe_extremes(name, (best, per_class[best]), (worst, per_class[worst])),
            text.describe_confused(most_confused(torch.tensor(test["confusion"]), CONFUSED_PAIRS)),
        )
        matrix = views.draw_matrix(confusion[name], counting, text.LABELS[name], (true, said))
        return matrix, facts, draw_cell(name, true, said)

    def draw_cell(name: str, true: int, said: int) -> str:
        heading = text.describe_cell_heading(name, true, said)
        if name not in predicted:
            return views.draw_images(heading, models.faults[name], [])
        labels = models.predictions[name].labels
        rows = ((labels == true) & (predicted[name] == said)).nonzero().flatten()
        return draw_rows(heading, rows)

    def draw_rows(heading: str, rows: torch.Tensor) -> str:
        at_hand = gallery.at_hand(rows)
        shown = at_hand[:SHOWN_IMAGES].tolist()
        labels = next(iter(models.predictions.values())).labels
        note = text.describe_shown(len(rows), len(at_hand), len(shown))
        return views.draw_images(
            heading,
            f"{note} {text.describe_gallery(gallery.whole, len(gallery.rows), total)}",
            [
                (
                    gallery.image(row),
                    int(labels[row]),
                    {name: int(classes[row]) for name, classes in predicted.items()},
                )
                for row in shown
            ],
        )

    def on_cell(event: gr.EventData) -> tuple[int, int]:
        try:
            true, said = (int(part) for part in event.choice.split(","))
            CLASSES[true], CLASSES[said]
        except (AttributeError, IndexError, ValueError) as error:
            raise gr.Error(text.NO_SUCH_CLASS, print_exception=False) from error
        return true, said

    def on_pair(first: str | None, second: str | None) -> tuple[str, str]:
        if first is None or second is None:
            return "", ""
        labels = models.predictions[first].labels
        overlap = measure_overlap(labels, predicted[first], predicted[second])
        difference = plots.plot_difference(shares[first], shares[second])
        return (
            f'<div class="q-difference"><figure>{difference}</figure></div>',
            views.draw_overlap(first, second, overlap),
        )

    def on_alone(name: str | None) -> str:
        if name is None:
            return ""
        labels = models.predictions[name].labels
        rows = find_only_right(labels, predicted, name)
        return draw_rows(text.describe_alone(name, len(rows), total), rows)

    def on_open(
        name: str,
        counting: str,
        true: int,
        said: int,
        first: str | None,
        second: str | None,
        alone: str | None,
    ) -> list[Any]:
        """Everything drawn, when the tab is opened: those who never do are spared it."""
        return [
            *(plots.frame_curves(records, key) for key in CURVES),
            draw_overview(),
            *on_matrix(name, counting, true, said),
            *on_pair(first, second),
            on_alone(alone),
        ]

    start = next(iter(records))
    true_start, said_start, _ = most_confused(torch.tensor(records[start]["test"]["confusion"]), 1)[
        0
    ]
    one, two = list(predicted)[:2] if len(predicted) > 1 else (None, None)

    gr.Markdown(text.FIGURES_HEADING)
    _html(views.draw_accuracy_table(records, load_reference()))
    gr.Markdown(f"{text.describe_figures(records[start])}\n{text.CURVES_HEADING}")
    _html(views.draw_key(records))
    with gr.Row():
        curves = [_create_curve(title, list(records)) for title in CURVES.values()]

    gr.Markdown(f"{text.MATRICES_HEADING}\n{text.MATRIX_HINT}")
    overview = _html(elem_id="overview", min_height=300)
    with gr.Row():
        model = gr.Radio(choices, value=start, label=text.MODEL, elem_id="matrix-model")
        counting = gr.Radio(text.COUNTING_CHOICES, value="percent", label=text.COUNTING)
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            matrix = _html(js_on_load=views.ON_CHOICE, elem_id="matrix", min_height=500)
        with gr.Column(scale=2, min_width=280):
            facts = _html(elem_id="facts", min_height=170)
            true = gr.Dropdown(_CLASS_CHOICES, value=true_start, label=text.TRUE_CLASS)
            said = gr.Dropdown(_CLASS_CHOICES, value=said_start, label=text.PREDICTED_CLASS)
    images = _html(elem_id="cell-images", min_height=300)

    with gr.Column(visible=len(compared) > 1):
        gr.Markdown(f"{text.PAIR_HEADING}\n{text.DIFFERENCE_HINT}")
        with gr.Row():
            first = gr.Dropdown(compared, value=one, label=text.FIRST_MODEL)
            second = gr.Dropdown(compared, value=two, label=text.SECOND_MODEL)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                difference = _html(elem_id="difference", min_height=500)
            with gr.Column(scale=2, min_width=280):
                overlap = _html(elem_id="overlap")

        gr.Markdown(text.ALONE_HEADING)
        alone_model = gr.Radio(compared, value=one, label=text.MODEL, elem_id="alone-model")
        alone = _html(elem_id="alone", min_height=300)

    cell = [model, counting, true, said]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(
        on_open,
        [*cell, first, second, alone_model],
        [*curves, overview, matrix, facts, images, difference, overlap, alone],
        **quiet,
    )
    gr.on(
        [model.change, counting.change, true.change, said.change],
        on_matrix,
        cell,
        [matrix, facts, images],
        trigger_mode="always_last",
        **quiet,
    )
    matrix.click(on_cell, None, [true, said], **quiet)
    gr.on([first.change, second.change], on_pair, [first, second], [difference, overlap], **quiet)
    alone_model.change(on_alone, alone_model, alone, **quiet)


def _create_curve(title: str, names: list[str]) -> gr.LinePlot:
    return gr.LinePlot(
        x=text.EPOCH,
        y=plots.VALUE,
        color=text.MODEL,
        title=title,
        y_title=title,
        color_map={text.LABELS[name]: COLOURS[name] for name in names},
        colors_in_legend=[],
        tooltip="all",
        height=300,
        min_width=300,
        show_label=False,
    )


def _html(value: str = "", **options: Any) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **options)
