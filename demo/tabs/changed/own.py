"""The visitor's own model among the four: what is said of it, and the button for the rest."""

import gradio as gr

from demo.jobs.backend import NAME
from demo.own_changes import OwnChange
from demo.tabs.changes import Part, Shown
from demo.words import changed as words
from demo.words.common import describe_job, start_label


class OwnPart:
    """Draws the part; the tab answers its button."""

    def __init__(self) -> None:
        self.told = gr.Markdown(visible=False, elem_id="own-change")
        self.compute = gr.Button(words.COMPUTE_OWN, visible=False, elem_id="compute-own")

    def list_parts(self, own: OwnChange | None) -> list[Part]:
        """The sentence, and the button where there is more to compute."""
        facts = own and own.mark
        said = describe_own(own) if own else ""
        missing = own is not None and not own.whole
        return [
            Part(self.told, facts, lambda: gr.Markdown(said, visible=own is not None)),
            Part(
                self.compute,
                facts,
                lambda: gr.Button(visible=missing),
            ),
        ]

    def begin(self) -> Shown:
        """The rest is being computed."""
        return {self.compute: gr.Button(words.COMPUTING_OWN, interactive=False)}

    def end(self) -> Shown:
        """It is no more; where all is known the button goes with the next look."""
        return {self.compute: gr.Button(words.COMPUTE_OWN, interactive=True)}


def name_start(own: OwnChange) -> str:
    """What the model began with, as its record says; an earlier job by the name its owner knows."""
    settings = own.job.settings
    return start_label(settings.start if settings else own.analysis.facts.models[NAME].start)


def describe_own(own: OwnChange) -> str:
    """Whose model it is, what it is measured from, and what is not known yet."""
    facts = own.analysis.facts.models[NAME]
    job, placed = describe_job(own.job.id), NAME in own.analysis.points
    return words.describe_own(job, name_start(own), own.whole, facts.similarity, placed)
