"""A path between two models: how right those on it are, and what one says of the picture."""

from pathlib import Path as FilePath

import gradio as gr
import torch
from torch import Tensor

from demo.charts import Line, draw_chart, span
from demo.jobs.backend import NAME
from demo.recent import Recent
from demo.tabs.changed.figure import draw_figure
from demo.tabs.changed.picture import Picture
from demo.tabs.changed.scene import Scene
from demo.tabs.changed.view import SIDE, View
from demo.tabs.changes import Part
from demo.tabs.shared import create_html
from demo.templates import render
from demo.words import changed as words
from trainer.calibration import temper
from trainer.explain.analysed import load_path
from trainer.explain.paths import Path, list_places
from trainer.palette import colour_of
from trainer.recipe import CLASSES
from trainer.wording import percent

PATHS_KEPT = 2
"""Some 45 MB each."""
TOP = 3
"""Classes that an answer shows."""


class PathPart:
    """Draws, and tells what a view shows; the tab answers events."""

    def __init__(self, checkpoints: FilePath) -> None:
        """
        Args:
            checkpoints: folder of the four.
        """
        self._checkpoints = checkpoints
        self._loaded: Recent[Path] = Recent(PATHS_KEPT)

    def draw(self, scene: Scene, view: View) -> None:
        """
        Args:
            scene: of a visitor without a job.
            view: what is chosen at first.
        """
        gr.Markdown(f"{words.PATH_HEADING}\n{words.PATH_HINT}")
        with gr.Row():
            self.path = gr.Dropdown(
                list_choices(scene),
                value=view.path,
                label=words.PATH,
                min_width=280,
                elem_id="path",
            )
            self.place = gr.Slider(
                0,
                SIDE,
                value=view.place,
                step=1,
                label=words.PLACE,
                min_width=280,
                elem_id="path-place",
            )
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                self.answer = create_html(elem_id="path-answer", min_height=160)
            with gr.Column(scale=3, min_width=300):
                self.curve = create_html(elem_id="path-curve", min_height=300)

    def list_parts(self, scene: Scene, view: View, picture: Picture) -> list[Part]:
        """The paths there are, the curve, and the answer to the picture."""
        choices = list_choices(scene)
        where = (scene.mark, view.path, view.place)
        return [
            Part(self.path, choices, lambda: gr.Dropdown(choices=choices, value=view.path)),
            Part(self.curve, where, lambda: draw_curve(scene, view)),
            Part(
                self.answer, (*where, picture.key), lambda: self._draw_answer(scene, view, picture)
            ),
        ]

    def classify(self, scene: Scene, name: str, place: float, picture: Picture) -> Tensor | None:
        """Probabilities `(10,)` that the model at a place states of the picture; None without one.

        The temperature is mixed like the weights, so that the ends state what Compare does; the
        backbone under a new last layer has none.
        """
        pixels = picture.pixels
        if pixels is None:
            return None
        path, facts = self._load(scene, name), scene.paths[name]
        if path.statistics is None:
            logits = path.classify_features(place, picture.features[facts.end])
        else:
            logits = path.classify(place, torch.from_numpy(pixels)[None])
        first, last = scene.list_temperatures(facts)
        return temper(logits, (1 - place) * first + place * last)[0]

    def _load(self, scene: Scene, name: str) -> Path:
        facts, own = scene.paths[name], scene.own
        theirs = own is not None and facts.end == NAME
        key = f"{scene.mark if theirs else ''} {name}"
        path = self._loaded.get(key)
        if path is None:
            starts = ends = self._checkpoints
            if own is not None and theirs:
                starts, ends = own.starts, own.folder
            path = load_path(scene.analysis, facts.start, facts.end, starts, ends)
            self._loaded.keep(key, path)
        return path

    def _draw_answer(self, scene: Scene, view: View, picture: Picture) -> str:
        facts, place = scene.paths[view.path], view.place / SIDE
        shares = self.classify(scene, view.path, place, picture)
        top = [] if shares is None else shares.topk(TOP).indices.tolist()
        values = [] if shares is None else shares.tolist()
        said = words.NO_PICTURE
        if top:
            said = words.describe_answer(facts, place, top[0], values[top[0]])
        return render(
            "path.html",
            said=said,
            note=words.describe_place(facts, scene.analysis.facts.test_count, place),
            colour=colour_of(facts.end),
            shown=[(CLASSES[label], values[label], percent(values[label])) for label in top],
        )


def list_choices(scene: Scene) -> list[tuple[str, str]]:
    """Every path by its name on screen."""
    return [(words.name_path(path.start, path.end), name) for name, path in scene.paths.items()]


def draw_curve(scene: Scene, view: View) -> str:
    """How right the models along the chosen path are."""
    facts, images = scene.paths[view.path], scene.analysis.facts.test_count
    shares = [right / images for right in facts.right]
    places = list_places(len(shares))
    line = Line(
        "",
        colour_of(facts.end),
        list(zip(places, shares, strict=True)),
        [f"{percent(at, 0)}: {percent(share)}" for at, share in zip(places, shares, strict=True)],
    )
    said = words.describe_path(facts, images)
    chart = draw_chart(
        [line],
        span(words.WAY_AXIS, places, unit=SIDE),
        span(words.RIGHT_AXIS, shares, unit=100, whole=True),
        said,
        marked=view.place / SIDE,
    )
    return draw_figure("path", [chart], said, query=scene.query)
