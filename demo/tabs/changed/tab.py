"""What training changed: layers, features, the way between models, steps and learning rates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.answers import RecordedAnswers
from demo.faults import explain
from demo.jobs.rates import RateMap
from demo.links import TAB, find_tab, name_slug, read_link
from demo.models import OWN_MODELS_KEPT
from demo.own_changes import OwnChanges
from demo.recent import Recent
from demo.tabs.changed.layers import draw_layers
from demo.tabs.changed.maps import MapPart
from demo.tabs.changed.own import OwnPart
from demo.tabs.changed.paths import PathPart
from demo.tabs.changed.picture import Picture
from demo.tabs.changed.rates import RatesPart
from demo.tabs.changed.scene import Scene
from demo.tabs.changed.steps import draw_steps
from demo.tabs.changed.view import View, read_spot
from demo.tabs.changes import Part, Shown, Values, collect_changes
from demo.tabs.images import ImagePages
from demo.tabs.shared import QUIET, Shared, create_html, keep_link, read_choice, refuse
from demo.words import changed as words
from demo.words import training
from demo.words.common import CHANGED_TAB
from trainer.errors import QuartetError

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
    owns: OwnChanges
    checkpoints: Path
    """Folder of the models."""


class ChangedTab:
    """The tab. It is filled when it is opened, once: those who never do are spared it.

    The page holds what is chosen, in its controls and as a link, and marks of what it was sent.
    """

    def __init__(self, shared: Shared, tab: gr.Tab, given: Given) -> None:
        self._shared, self._given = shared, given
        self._controls: dict[str, Block] = {}
        self.first_view = View()
        self.link = gr.JSON({}, visible="hidden", elem_id="changed-link")
        self.sent = gr.JSON({}, visible="hidden", elem_id="changed-sent")
        self.maps: MapPart | None = None
        self.paths: PathPart | None = None
        self._scenes: Recent[Scene] = Recent(OWN_MODELS_KEPT)
        self._four: Scene | None = None
        analysis, fault = shared.analyses.analysis, shared.analyses.fault
        if analysis is None:
            gr.Markdown(words.describe_missing(fault.code if fault else ""), elem_id="missing")
        else:
            self._four = Scene(analysis, shared.models)
            self._draw_analysed(self._four)
        gr.Markdown(training.STEPS_HEADING)
        self.steps = create_html(elem_id="steps")
        self.rates = RatesPart(given.rates)
        self.rates.wire()
        self._wire(tab)

    def _draw_analysed(self, scene: Scene) -> None:
        answers = self._given.answers
        self.own = OwnPart()
        gr.Markdown(f"{words.LAYERS_HEADING}\n{words.LAYERS_HINT}")
        self.layers = create_html(elem_id="layers", min_height=300)
        self.maps = MapPart(answers, ImagePages(answers, self._shared.gallery))
        self.maps.draw()
        self._controls["shown"] = self.maps.shown
        if scene.paths:
            self.paths = PathPart(self._given.checkpoints)
            self.first_view = View(path=next(iter(scene.paths)))
            self.paths.draw(scene, self.first_view)
            self._controls |= {"path": self.paths.path, "place": self.paths.place}

    def _wire(self, tab: gr.Tab) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        given = self._given
        own = {*self._controls.values(), self.link, self.sent}
        held = {*own, given.picture, given.crop, given.cell, self._shared.owner}
        picture = self._read_picture({}, None, self._four)
        parts = self._list_parts(self._four, self.first_view, picture, None)
        drawn = list({*(part.component for part in parts), *own})
        tab.select(self.on_open, held, drawn, **raw)
        self._shared.blocks.load(self.on_load, held, [*drawn, self._shared.tabs], **raw)
        controls = [control.input for control in self._controls.values()]  # type: ignore[attr-defined]
        if controls:
            gr.on(controls, self.on_open, held, drawn, trigger_mode="always_last", **raw)
        if self.maps is not None:
            self.maps.maps.click(self.on_map, held, drawn, **raw)
            button = [self.own.compute]
            self.own.compute.click(self.own.begin, None, button, **QUIET).then(
                self.on_compute, [self._shared.owner], button, **QUIET
            ).then(self.on_open, held, drawn, **raw)  # what is chosen may be another by then
        keep_link(CHANGED_TAB, self.link)

    def on_open(self, values: Values, request: gr.Request) -> Shown:
        """What the page does not show yet; what is chosen may be another, and the picture, the cell
        or the job."""
        scene = self._find_scene(values, request)
        return self._show(scene, self._read(scene, values), values, request)

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to this tab."""
        link = read_link(dict(request.query_params))
        if find_tab(link) != CHANGED_TAB:
            return {self.link: gr.skip()}
        scene = self._find_scene(values, request)
        return {
            **self._show(scene, self._follow(scene, link), values, request),
            self._shared.tabs: gr.Tabs(selected=CHANGED_TAB),
        }

    def on_map(self, values: Values, event: gr.EventData, request: gr.Request) -> Shown:
        """A place on a map."""
        choice, scene = read_choice(event), self._find_scene(values, request)
        if scene is None or read_spot(choice, scene.shared) is None:
            raise refuse(words.NO_IMAGES)
        view = self._read(scene, values).changed(scene.paths, scene.shared, spot=choice)
        return self._show(scene, view, values, request)

    def on_compute(self, token: Any, request: gr.Request) -> Shown:
        """Computes what is not known of the visitor's own model."""
        visitor = self._shared.read_visitor({self._shared.owner: token}, request)
        try:
            self._given.owns.compute(*visitor.secrets)
        except QuartetError as error:
            gr.Warning(explain(error))
        return self.own.end()

    def _find_scene(self, values: Values, request: gr.Request) -> Scene | None:
        """The four, and the model of the visitor's newest job: nobody else is shown that."""
        own = self._given.owns.find(*self._shared.read_visitor(values, request).secrets)
        if self._four is None or own is None:
            return self._four
        scene = self._scenes.get(own.mark)
        if scene is None:
            made = Scene(self._four.analysis, self._shared.models, own)
            scene = self._scenes.keep(own.mark, made)
        return scene

    def _follow(self, scene: Scene | None, link: Any) -> View:
        paths, maps = (scene.paths, scene.shared) if scene else ((), ())
        return self.first_view.from_link(read_link(link), paths, maps)

    def _read(self, scene: Scene | None, values: Values) -> View:
        """What the page holds: its controls, and the rest from the link."""
        paths, maps = (scene.paths, scene.shared) if scene else ((), ())
        given = {name: values[control] for name, control in self._controls.items()}
        return self._follow(scene, values[self.link]).changed(paths, maps, **given)

    def _read_picture(
        self, values: Values, request: gr.Request | None, scene: Scene | None
    ) -> Picture:
        file, crop = (values.get(one) for one in (self._given.picture, self._given.crop))
        own = scene.own.model if scene and scene.own else None
        return Picture(file, crop, request, self._shared.models, own)

    def _show(self, scene: Scene | None, view: View, values: Values, request: gr.Request) -> Shown:
        """What the page does not show yet, its controls and its link."""
        picture = self._read_picture(values, request, scene)
        parts = self._list_parts(scene, view, picture, values[self._given.cell])
        answer, marks = collect_changes(parts, values[self.sent])
        for name, control in self._controls.items():
            if getattr(view, name) != values[control] and control not in answer:
                answer[control] = getattr(view, name)
        link = {TAB: name_slug(CHANGED_TAB), **view.to_link(self.first_view)}
        return {**answer, self.sent: marks, self.link: link}

    def _list_parts(
        self, scene: Scene | None, view: View, picture: Picture, cell: Any
    ) -> list[Part]:
        if scene is None:
            records = self._shared.models.records
            return [Part(self.steps, None, lambda: draw_steps(records)), *self.rates.list_parts()]
        parts = [
            *self.own.list_parts(scene.own),
            Part(self.steps, scene.mark, lambda: draw_steps(scene.records, scene.query)),
            *self.rates.list_parts(),
            Part(self.layers, scene.mark, lambda: draw_layers(scene)),
        ]
        if self.maps is not None:
            parts += self.maps.list_parts(scene, view, picture, cell)
        if self.paths is not None:
            parts += self.paths.list_parts(scene, view, picture)
        return parts
