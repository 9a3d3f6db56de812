"""How far the models' percentages can be believed: a part of the Accuracy tab."""

import gradio as gr

from demo.answers import RecordedAnswers
from demo.tables import list_confidence
from demo.tabs.accuracy.figures import draw_exports
from demo.tabs.changes import Part
from demo.tabs.shared import create_html, create_table
from demo.templates import render
from demo.words import accuracy as words
from demo.words.common import LABELS, inline_label
from trainer.calibration import Reliability
from trainer.palette import COLOURS
from trainer.wording import describe_confidence


class ConfidencePart:
    """Reliability diagrams and temperatures of the models whose recorded answers are at hand."""

    def __init__(self, answers: RecordedAnswers) -> None:
        self._measured = answers.measured
        with gr.Column(visible=bool(self._measured)):
            self._draw()

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
        draw_exports("confidence")

    def list_parts(self) -> list[Part]:
        """The diagrams."""
        return [Part(self.diagrams, None, self._draw_diagrams)]

    def _draw_diagrams(self) -> str:
        return render(
            "reliability.html",
            words=words,
            diagrams=[
                {
                    "label": LABELS[name],
                    "colour": COLOURS[name],
                    "said": words.describe_reliability(name, confidence),
                    "trained": list_points(confidence.trained),
                    "shown": list_points(confidence.shown) if confidence.fitted else [],
                }
                for name, confidence in self._measured.items()
            ],
            exports=words.EXPORTS["reliability"],
        )


def list_points(reliability: Reliability) -> list[tuple[float, float]]:
    """A diagram's points in percent, `(confidence, right)`, of groups large enough to say much."""
    return [(round(100 * said, 1), round(100 * right, 1)) for said, right in reliability.groups]
