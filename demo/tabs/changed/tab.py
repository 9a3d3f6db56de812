"""What training changed: layers, features, the way between models, steps and learning rates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.answers import RecordedAnswers
from demo.jobs.rates import RateMap
from demo.links import TAB, find_tab, name_slug, read_link
from demo.tabs.changed.layers import draw_layers
from demo.tabs.changed.maps import MapPart
from demo.tabs.changed.paths import PathPart
from demo.tabs.changed.picture import Picture
from demo.tabs.changed.rates import RatesPart
from demo.tabs.changed.steps import draw_steps
from demo.tabs.changed.view import View, read_spot
from demo.tabs.changes import Part, Shown, Values, collect_changes
from demo.tabs.images import ImagePages
from demo.tabs.shared import QUIET, Shared, create_html, keep_link, read_choice, refuse
from demo.words import changed as words
from demo.words import training
from demo.words.common import CHANGED_TAB
from trainer.explain.analysed import Analysis

AT_ONCE = 4
"""Visitors who are answered at the same time: a model on a path is made anew each time."""


@dataclass(frozen=True)
class Given:
    """What the tab takes from others."""

    picture: gr.Image
    crop: gr.Radio
    """Compare's."""
    cell: gr.JSON
    """Model, true and predicted class of the cell on Accuracy's screen, once there is one."""
    answers: RecordedAnswers
    rates: RateMap
    checkpoints: Path
    """Folder of the models."""


class ChangedTab:
    """The tab. It is filled when it is opened, once: those who never do are spared it.

    The page holds what is chosen, in its controls and as a link, and marks of what it was sent.
    """

    def __init__(self, shared: Shared, tab: gr.Tab, given: Given) -> None:
        self._shared, self._given = shared, given
        self._records = shared.models.records
        self._controls: dict[str, Block] = {}
        self.first_view = View()
        self.link = gr.JSON({}, visible="hidden", elem_id="changed-link")
        self.sent = gr.JSON({}, visible="hidden", elem_id="changed-sent")
        self.maps: MapPart | None = None
        self.paths: PathPart | None = None
        analysis, fault = shared.analyses.analysis, shared.analyses.fault
        if analysis is None:
            gr.Markdown(words.describe_missing(fault.code if fault else ""), elem_id="missing")
        else:
            self._draw_analysed(analysis)
        gr.Markdown(training.STEPS_HEADING)
        self.steps = create_html(elem_id="steps")
        self.rates = RatesPart(given.rates)
        self.rates.wire()
        self._wire(tab)

    def _draw_analysed(self, analysis: Analysis) -> None:
        shared, answers = self._shared, self._given.answers
        gr.Markdown(f"{words.LAYERS_HEADING}\n{words.LAYERS_HINT}")
        self.layers = create_html(elem_id="layers", min_height=300)
        self.maps = MapPart(analysis, answers, ImagePages(answers, shared.gallery))
        self.maps.draw()
        self._controls["shown"] = self.maps.shown
        paths = PathPart(self._given.checkpoints, analysis, shared.models)
        if paths.facts:
            self.paths = paths
            self.first_view = View(path=next(iter(paths.facts)))
            paths.draw(self.first_view)
            self._controls |= {"path": paths.path, "place": paths.place}

    def _wire(self, tab: gr.Tab) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        given = self._given
        own = {*self._controls.values(), self.link, self.sent}
        held = {*own, given.picture, given.crop, given.cell}
        parts = self._list_parts(self.first_view, self._read_picture({}, None), None)
        drawn = [*(part.component for part in parts), *own]
        tab.select(self.on_open, held, drawn, **raw)
        self._shared.blocks.load(self.on_load, held, [*drawn, self._shared.tabs], **raw)
        controls = [control.input for control in self._controls.values()]  # type: ignore[attr-defined]
        if controls:
            gr.on(controls, self.on_control, held, drawn, trigger_mode="always_last", **raw)
        if self.maps is not None:
            self.maps.maps.click(self.on_map, held, drawn, **raw)
        keep_link(CHANGED_TAB, self.link)

    def on_open(self, values: Values, request: gr.Request) -> Shown:
        """What the page does not show yet; the picture or the cell may be another."""
        return self._show(self._read(values), values, request)

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to this tab."""
        link = read_link(dict(request.query_params))
        if find_tab(link) != CHANGED_TAB:
            return {self.link: gr.skip()}
        view = self._follow(link)
        return {
            **self._show(view, values, request),
            self._shared.tabs: gr.Tabs(selected=CHANGED_TAB),
        }

    def on_control(self, values: Values, request: gr.Request) -> Shown:
        """Another class, path or place on it was chosen."""
        return self._show(self._read(values), values, request)

    def on_map(self, values: Values, event: gr.EventData, request: gr.Request) -> Shown:
        """A place on a map."""
        choice = read_choice(event)
        if read_spot(choice, self._backbones) is None:
            raise refuse(words.NO_IMAGES)
        return self._show(self._change(self._read(values), spot=choice), values, request)

    @property
    def _backbones(self) -> list[str]:
        return self.maps.backbones if self.maps else []

    @property
    def _path_names(self) -> list[str]:
        return list(self.paths.facts) if self.paths else []

    def _change(self, view: View, **given: Any) -> View:
        return view.changed(self._path_names, self._backbones, **given)

    def _follow(self, link: Any) -> View:
        return self.first_view.from_link(read_link(link), self._path_names, self._backbones)

    def _read(self, values: Values) -> View:
        """What the page holds: its controls, and the rest from the link."""
        given = {name: values[control] for name, control in self._controls.items()}
        return self._change(self._follow(values[self.link]), **given)

    def _read_picture(self, values: Values, request: gr.Request | None) -> Picture:
        file, crop = (values.get(one) for one in (self._given.picture, self._given.crop))
        return Picture(file, crop, request, self._shared.models)

    def _show(self, view: View, values: Values, request: gr.Request) -> Shown:
        """What the page does not show yet, its controls and its link."""
        picture = self._read_picture(values, request)
        parts = self._list_parts(view, picture, values[self._given.cell])
        answer, marks = collect_changes(parts, values[self.sent])
        for name, control in self._controls.items():
            if getattr(view, name) != values[control]:
                answer[control] = getattr(view, name)
        link = {TAB: name_slug(CHANGED_TAB), **view.to_link(self.first_view)}
        return {**answer, self.sent: marks, self.link: link}

    def _list_parts(self, view: View, picture: Picture, cell: Any) -> list[Part]:
        parts = [Part(self.steps, None, lambda: draw_steps(self._records))]
        parts += self.rates.list_parts()
        analysis = self._shared.analyses.analysis
        if analysis is not None:
            parts.append(Part(self.layers, None, lambda: draw_layers(analysis)))
        if self.maps is not None:
            parts += self.maps.list_parts(view, picture, cell)
        if self.paths is not None:
            parts += self.paths.list_parts(view, picture)
        return parts
