"""How far the models' percentages can be believed: a part of the Accuracy tab."""

import functools
from collections.abc import Mapping
from typing import Any

import gradio as gr

from demo import plots
from demo.models import Models
from demo.tabs.changes import Shown
from demo.tabs.shared import QUIET, create_html, create_table
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import LABELS, inline_label
from trainer.calibration import Confidence, measure_confidence
from trainer.palette import COLOURS
from trainer.wording import describe_confidence


class ConfidencePart:
    """Reliability diagrams and temperatures of the models whose recorded answers are at hand."""

    def __init__(self, models: Models, tab: gr.Tab) -> None:
        """
        Args:
            tab: draws the diagrams when it is opened.
        """
        self._measured = {
            name: measure_confidence(
                answers.probabilities, answers.labels, models.records[name].temperature
            )
            for name, answers in models.predictions.items()
        }
        with gr.Column(visible=bool(self._measured)):
            self._draw()
        tab.select(self.on_open, None, [self.diagrams], **QUIET)

    def _draw(self) -> None:
        said = describe_confidence(
            {inline_label(name): confidence for name, confidence in self._measured.items()}
        )
        gr.Markdown(f"{words.CONFIDENCE_HEADING}\n{words.CONFIDENCE_HINT}")
        self.diagrams = create_html(elem_id="reliability", min_height=300)
        gr.Markdown(" ".join(said), elem_id="trust")
        create_table(
            words.CONFIDENCE_COLUMNS,
            list_confidence(self._measured),
            words.CONFIDENCE,
            pinned_columns=1,
        )

    def on_open(self) -> Shown:
        """The diagrams."""
        return {self.diagrams: self._diagrams}

    @functools.cached_property
    def _diagrams(self) -> str:
        figures = [
            (
                LABELS[name],
                plots.plot_reliability(confidence, COLOURS[name]),
                words.describe_reliability(name, confidence),
            )
            for name, confidence in self._measured.items()
        ]
        return render("overview.html", figures=figures)


def list_confidence(measured: Mapping[str, Confidence]) -> list[list[Any]]:
    """Each model's temperature and what it does, in the order of `words.CONFIDENCE_COLUMNS`."""
    return [
        [
            LABELS[name],
            confidence.temperature,
            100 * confidence.trained.right,
            100 * confidence.trained.stated,
            100 * confidence.shown.stated,
            100 * confidence.trained.error,
            100 * confidence.shown.error,
        ]
        for name, confidence in measured.items()
    ]
