"""Jobs beside each other: two or more of a visitor's jobs and of the four recipes."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo import plots
from demo.beside import MOST, Beside, Finder
from demo.jobs.store import Job
from demo.links import BESIDE, Link
from demo.tabs.changes import Part
from demo.tabs.job_curves import create_plot
from demo.tabs.shared import Shared, create_html
from demo.templates import render
from demo.words import beside as words
from demo.words.accuracy import EXPORTS
from demo.words.common import EPOCH, LABELS, describe_job

SEPARATOR = ","
"""Between the names of runs in a link."""


class BesidePart:
    """Draws, and tells what is shown of the chosen runs; the tab answers events.

    A run's name holds a job's key, so that a link shows it to somebody else.
    """

    def __init__(self, shared: Shared) -> None:
        self._finder = Finder(shared.models, shared.jobs)

    def draw(self) -> None:
        """All but the choice is empty while fewer than two are chosen."""
        gr.Markdown(f"## {words.BESIDE}\n{words.BESIDE_HINT}")
        self.chosen = gr.CheckboxGroup(
            self._list_choices([], []), value=[], label=words.CHOSEN, elem_id="beside-chosen"
        )
        self.said = create_html(elem_id="beside")
        with gr.Row(visible=False) as self.figure:
            self.curves = {
                figure: create_plot(title, EPOCH, words.MODEL, {}, f"beside-{figure}", 260)
                for figure, title in words.CURVES.items()
            }
        self.table = create_html(elem_id="beside-table")

    def list_components(self) -> set[Block]:
        """All that `list_parts` changes."""
        return {part.component for part in self.list_parts([], [])}

    def read(self, held: Any) -> list[str]:
        """Names of the runs that a page holds, known or not; a visitor can send anything."""
        return [one for one in held if isinstance(one, str)] if isinstance(held, list) else []

    def read_link(self, link: Link) -> list[str]:
        """Names of the runs that a link names and that are there."""
        return self._finder.known(link.get(BESIDE, "").split(SEPARATOR))

    def to_link(self, chosen: Sequence[str]) -> Link:
        """A link to the chosen runs, where there is something to see."""
        names = self._finder.known(chosen)
        return {BESIDE: SEPARATOR.join(names)} if len(names) > 1 else {}

    def choose(self, mine: Sequence[Job], names: Sequence[str]) -> gr.CheckboxGroup:
        """The runs of a link, ticked."""
        return gr.CheckboxGroup(self._list_choices(mine, names), value=list(names))

    def list_parts(self, mine: Sequence[Job], chosen: Sequence[str]) -> list[Part]:
        """What is shown of the chosen runs.

        Args:
            mine: the visitor's jobs.
        """
        choices = self._list_choices(mine, chosen)
        ranked = [name for _, name in choices if name in chosen]
        names = self._finder.known(ranked)
        found = functools.cache(lambda: self._finder.compare(names))
        return [
            Part(self.chosen, choices, lambda: gr.CheckboxGroup(choices)),
            Part(self.said, (names, len(ranked)), lambda: draw_said(found(), ranked)),
            Part(self.figure, len(names) > 1, lambda: gr.Row(visible=len(names) > 1)),
            *(
                Part(curve, (figure, names), functools.partial(draw_curve, found, figure))
                for figure, curve in self.curves.items()
            ),
            Part(self.table, names, lambda: draw_table(found())),
        ]

    def _list_choices(self, mine: Sequence[Job], chosen: Sequence[str]) -> list[tuple[str, str]]:
        """Label and name of each run that can be chosen: the recipes, the visitor's jobs that have
        a model, and others' that a link named."""
        recipes = [(LABELS[name], name) for name in self._finder.recipes]
        jobs = [job for name in chosen if (job := self._finder.find_job(name))]
        mine = [job for job in mine if self._finder.find_job(f"{job.id}.{job.key}")]
        every = {job.id: job for job in (*mine, *jobs)}.values()
        return recipes + [
            (words.label_choice(describe_job(job.id), job.settings), f"{job.id}.{job.key}")
            for job in every
        ]


def draw_said(beside: Beside | None, chosen: Sequence[str]) -> str:
    """In what the runs differ, whether one is better, what came of each, and which colour is
    which."""
    if beside is None:
        hint = words.CHOOSE_MORE if chosen else ""
        return render("beside_said.html", hint=hint, sentences=(), outcomes=(), key=())
    labels = [label for label, _ in beside.settings]
    return render(
        "beside_said.html",
        hint=words.describe_most(len(chosen), MOST),
        sentences=[words.describe_differing(labels), beside.verdict],
        outcomes=beside.outcomes,
        key=[(run.label, run.colour) for run in beside.runs],
    )


def draw_curve(find: Callable[[], Beside | None], figure: str) -> gr.LinePlot:
    """The runs' curves of one figure."""
    if (beside := find()) is None:
        return gr.LinePlot(None)
    lines = beside.line(figure)
    rounded = {
        label: [(epoch, round(value, 3)) for epoch, value in line] for label, line in lines.items()
    }
    colours = {run.label: run.colour for run in beside.runs}
    return gr.LinePlot(plots.frame_lines(rounded, EPOCH, words.MODEL), color_map=colours)


def draw_table(beside: Beside | None) -> str:
    """A column a run: the settings that differ, and what is right of all classes and of each."""
    if beside is None:
        return ""
    rows = [(words.ALL_CLASSES, beside.right), *beside.by_class.items()]
    return render(
        "beside_table.html",
        words=words,
        runs=[(run.label, run.colour) for run in beside.runs],
        settings=beside.settings,
        rows=[(label, [words.word_change(*one) for one in changes]) for label, changes in rows],
        notes=[
            words.describe_images(beside.images),
            words.GAINED if any(one.gain is not None for one in beside.right) else "",
        ],
        exports=EXPORTS["beside"],
        query=f"?runs={SEPARATOR.join(run.name for run in beside.runs)}",
    )
