"""A path between two models: how right those on it are, and what one says of the picture."""

import functools
from pathlib import Path as FilePath

import gradio as gr
import torch
from torch import Tensor

from demo.charts import Line, draw_chart, span
from demo.models import Models
from demo.tabs.changed.figure import draw_figure
from demo.tabs.changed.picture import Picture
from demo.tabs.changed.view import SIDE, View
from demo.tabs.changes import Part
from demo.tabs.shared import create_html
from demo.templates import render
from demo.words import changed as words
from trainer.calibration import temper
from trainer.explain.analysed import Analysis, load_path, name_path
from trainer.explain.paths import Path, list_places
from trainer.palette import COLOURS
from trainer.recipe import CLASSES, PLAIN_BACKBONE
from trainer.wording import percent

PATHS_KEPT = 2
"""Some 45 MB each."""
TOP = 3
"""Classes that an answer shows."""


class PathPart:
    """Draws, and tells what a view shows; the tab answers events."""

    def __init__(self, checkpoints: FilePath, analysis: Analysis, models: Models) -> None:
        """
        Args:
            checkpoints: folder of the models.
        """
        self._folder, self._analysis = checkpoints, analysis
        self._records = models.records
        ends = {*models.records, PLAIN_BACKBONE}
        self.facts = {
            name_path(path.start, path.end): path
            for path in analysis.facts.paths
            if {path.start, path.end} <= ends
        }
        """Name to path, of those between models that are at hand."""
        self._load = functools.lru_cache(PATHS_KEPT)(self._load_path)

    def draw(self, view: View) -> None:
        """
        Args:
            view: what is chosen at first.
        """
        gr.Markdown(f"{words.PATH_HEADING}\n{words.PATH_HINT}")
        choices = [
            (words.name_path(path.start, path.end), name) for name, path in self.facts.items()
        ]
        with gr.Row():
            self.path = gr.Dropdown(
                choices, value=view.path, label=words.PATH, min_width=280, elem_id="path"
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

    def list_parts(self, view: View, picture: Picture) -> list[Part]:
        """The curve, and the answer to the picture."""
        where = (view.path, view.place)
        return [
            Part(self.curve, where, lambda: self._draw_curve(view)),
            Part(self.answer, (*where, picture.key), lambda: self._draw_answer(view, picture)),
        ]

    def classify(self, name: str, place: float, picture: Picture) -> Tensor | None:
        """Probabilities `(10,)` that the model at a place states of the picture; None without one.

        The temperature is mixed like the weights, so that the ends state what Compare does; the
        backbone under a new last layer has none.
        """
        pixels = picture.pixels
        if pixels is None:
            return None
        path, facts = self._load(name), self.facts[name]
        if path.statistics is None:
            logits = path.classify_features(place, picture.features[facts.end])
        else:
            logits = path.classify(place, torch.from_numpy(pixels)[None])
        start = self._records.get(facts.start)
        first, last = start.temperature if start else 1.0, self._records[facts.end].temperature
        return temper(logits, (1 - place) * first + place * last)[0]

    def _load_path(self, name: str) -> Path:
        facts = self.facts[name]
        return load_path(self._analysis, facts.start, facts.end, self._folder, self._folder)

    def _draw_curve(self, view: View) -> str:
        facts, images = self.facts[view.path], self._analysis.facts.test_count
        shares = [right / images for right in facts.right]
        places = list_places(len(shares))
        line = Line(
            "",
            COLOURS[facts.end],
            list(zip(places, shares, strict=True)),
            [
                f"{percent(at, 0)}: {percent(share)}"
                for at, share in zip(places, shares, strict=True)
            ],
        )
        said = words.describe_path(facts, images)
        chart = draw_chart(
            [line],
            span(words.WAY_AXIS, places, unit=SIDE),
            span(words.RIGHT_AXIS, shares, unit=100, whole=True),
            said,
            marked=view.place / SIDE,
        )
        return draw_figure("path", [chart], said)

    def _draw_answer(self, view: View, picture: Picture) -> str:
        facts, place = self.facts[view.path], view.place / SIDE
        shares = self.classify(view.path, place, picture)
        top = [] if shares is None else shares.topk(TOP).indices.tolist()
        values = [] if shares is None else shares.tolist()
        said = words.NO_PICTURE
        if top:
            said = words.describe_answer(facts, place, top[0], values[top[0]])
        return render(
            "path.html",
            said=said,
            note=words.describe_place(facts, self._analysis.facts.test_count, place),
            colour=COLOURS[facts.end],
            shown=[(CLASSES[label], values[label], percent(values[label])) for label in top],
        )
