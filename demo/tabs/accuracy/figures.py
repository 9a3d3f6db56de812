"""How often the models are right, and how they got there: a table, seeds and curves."""

import functools

import gradio as gr

from demo import plots
from demo.models import Models
from demo.tables import list_figures
from demo.tabs.accuracy.seeds import draw_seeds
from demo.tabs.changes import Part
from demo.tabs.shared import create_html, create_table
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import EPOCH, LABELS, TRAIN_LOSS
from trainer.palette import COLOURS
from trainer.record import Records
from trainer.timing import time_alone
from trainer.wording import describe_sizes

CURVES = {
    "test_accuracy": words.TEST_ACCURACY,
    "train_loss": TRAIN_LOSS,
    "test_loss": words.TEST_LOSS,
}
"""Figure of an epoch to title."""


class FiguresPart:
    """Drawn with the page, but for the curves."""

    def __init__(self, models: Models) -> None:
        self._records = models.records
        gr.Markdown(words.FIGURES_HEADING)
        create_table(
            words.FIGURE_COLUMNS, list_figures(self._records), words.FIGURES, pinned_columns=1
        )
        draw_exports("figures")
        times = time_alone(self._records)
        shared_s = {name: time.shared_s for name, time in times.items() if time.shared_s}
        first = next(iter(self._records.values()))
        gr.Markdown(f"{words.describe_figures(first)} {words.describe_times(shared_s)}")
        draw_seeds(models)
        if models.runs:
            draw_exports("seeds")
        gr.Markdown(words.CURVES_HEADING)
        sizes = describe_sizes({LABELS[name]: one.recipe for name, one in self._records.items()})
        if sizes:
            gr.Markdown(sizes)
        create_html(render("key.html", models=list_key(self._records)))
        with gr.Row():
            self.curves = {
                figure: _create_curve(title, list(self._records))
                for figure, title in CURVES.items()
            }
        draw_exports("curves")

    def list_parts(self) -> list[Part]:
        """The curves."""
        return [
            Part(curve, None, functools.partial(plots.frame_curves, self._records, figure))
            for figure, curve in self.curves.items()
        ]


def draw_exports(name: str) -> None:
    """Links to a figure's or a table's files."""
    create_html(render("exports.html", exports=words.EXPORTS[name], query=""))


def list_key(records: Records) -> list[tuple[str, str]]:
    """Label and colour of each model."""
    return [(LABELS[name], COLOURS[name]) for name in records]


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
