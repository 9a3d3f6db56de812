"""Accuracy: curves, confusion matrices and the images behind every figure."""

import gradio as gr
import numpy as np
import torch

from demo import plots, text, views
from demo.gallery import Gallery
from demo.models import Models, recorded_answers
from demo.overlap import find_only_right, measure_overlap
from trainer.metrics import most_confused
from trainer.observations import load_reference
from trainer.palette import COLOURS
from trainer.recipe import CLASSES

SHOWN_IMAGES = 24
CONFUSED_PAIRS = 5
_CLASS_CHOICES = [(name, label) for label, name in enumerate(CLASSES)]
_ON_CELL = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-cell]');
  if (button) trigger('click', {cell: button.dataset.cell});
});
"""


def create_accuracy_tab(models: Models, gallery: Gallery) -> None:
    """Draws the tab."""
    records = models.records
    confusion = {name: np.array(record["test"]["confusion"]) for name, record in records.items()}
    shares = {name: c / c.sum(axis=1, keepdims=True).clip(min=1) for name, c in confusion.items()}
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
        return views.draw_images(
            heading,
            text.describe_shown(len(rows), len(at_hand), len(shown)),
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
        true, said = str(event.cell).split(",")
        return int(true), int(said)

    def on_pair(first: str, second: str) -> tuple[str, str]:
        labels = models.predictions[first].labels
        overlap = measure_overlap(labels, predicted[first], predicted[second])
        difference = plots.plot_difference(shares[first], shares[second])
        return (
            f'<div class="q-difference"><figure>{difference}</figure></div>',
            views.draw_overlap(first, second, overlap),
        )

    def on_alone(name: str) -> str:
        labels = models.predictions[name].labels
        rows = find_only_right(labels, predicted, name)
        return draw_rows(text.describe_alone(name, len(rows), total), rows)

    quiet = {"show_progress": "hidden", "api_visibility": "private"}

    gr.Markdown(text.FIGURES_HEADING)
    gr.HTML(views.draw_accuracy_table(records, load_reference()))
    gr.Markdown(text.describe_figures(next(iter(records.values()))), elem_classes="q-note")

    gr.Markdown(text.CURVES_HEADING)
    with gr.Row():
        for key, title in (
            ("test_accuracy", text.TEST_ACCURACY),
            ("train_loss", text.TRAIN_LOSS),
            ("test_loss", text.TEST_LOSS),
        ):
            gr.LinePlot(
                plots.frame_curves(records, key),
                x=text.EPOCH,
                y="value",
                color=text.MODEL,
                title=title,
                y_title=title,
                color_map={text.LABELS[name]: COLOURS[name] for name in records},
                tooltip="all",
                height=300,
                min_width=300,
                show_label=False,
            )

    gr.Markdown(text.MATRICES_HEADING)
    overview = gr.HTML(elem_id="overview", min_height=300)
    gr.on(None, draw_overview, None, overview, **quiet)
    start = next(iter(records))
    worst = most_confused(torch.tensor(records[start]["test"]["confusion"]), 1)[0]
    with gr.Row():
        model = gr.Radio(choices, value=start, label=text.MODEL, elem_id="matrix-model")
        counting = gr.Radio(text.COUNTING_CHOICES, value="percent", label=text.COUNTING)
    gr.Markdown(text.MATRIX_HINT, elem_classes="q-note")
    matrix_html, facts_html, cell_html = on_matrix(start, "percent", worst[0], worst[1])
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            matrix = gr.HTML(matrix_html, js_on_load=_ON_CELL, elem_id="matrix")
        with gr.Column(scale=2, min_width=280):
            facts = gr.HTML(facts_html, elem_id="facts")
            true = gr.Dropdown(_CLASS_CHOICES, value=worst[0], label=text.TRUE_CLASS)
            said = gr.Dropdown(_CLASS_CHOICES, value=worst[1], label=text.PREDICTED_CLASS)
    images = gr.HTML(cell_html, elem_id="cell-images")
    gr.Markdown(
        text.describe_gallery(gallery.whole, len(gallery.rows), total), elem_classes="q-note"
    )
    gr.on(
        [model.change, counting.change, true.change, said.change],
        on_matrix,
        [model, counting, true, said],
        [matrix, facts, images],
        trigger_mode="always_last",
        **quiet,
    )
    matrix.click(on_cell, None, [true, said], **quiet)

    if len(compared) < 2:
        return
    gr.Markdown(text.PAIR_HEADING)
    with gr.Row():
        first = gr.Dropdown(compared, value=compared[0][1], label=text.FIRST_MODEL)
        second = gr.Dropdown(compared, value=compared[1][1], label=text.SECOND_MODEL)
    gr.Markdown(text.DIFFERENCE_HINT, elem_classes="q-note")
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            difference = gr.HTML(elem_id="difference")
        with gr.Column(scale=2, min_width=280):
            overlap = gr.HTML(elem_id="overlap")
    gr.on(None, on_pair, [first, second], [difference, overlap], **quiet)

    gr.Markdown(text.ALONE_HEADING)
    alone_model = gr.Radio(compared, value=compared[0][1], label=text.MODEL, elem_id="alone-model")
    alone = gr.HTML(on_alone(compared[0][1]), elem_id="alone")
    alone_model.change(on_alone, alone_model, alone, **quiet)
