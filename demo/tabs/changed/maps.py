"""The map of features: the test images in every model, and the images at a chosen place."""

from collections import Counter
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from demo.answers import RecordedAnswers
from demo.tabs.changed.figure import draw_figure
from demo.tabs.changed.picture import Picture
from demo.tabs.changed.scene import Scene
from demo.tabs.changed.view import EVERY, SIDE, Spot, View, read_spot
from demo.tabs.changes import Part
from demo.tabs.images import ImagePages
from demo.tabs.shared import ON_CHOICE, create_html
from demo.templates import render
from demo.words import changed as words
from trainer.data import Split, load_dataset, load_sample_rows
from trainer.explain.plane import measure_separation
from trainer.palette import CLASS_COLOURS
from trainer.recipe import CLASSES

NEAR = 12
"""Images that a place shows."""
Cell = tuple[str, int, int]
"""Of a confusion matrix: model, true and predicted class."""


class MapPart:
    """Draws, and tells what a view shows; the tab answers events."""

    def __init__(self, answers: RecordedAnswers, images: ImagePages) -> None:
        self._answers, self._images = answers, images
        self._test: Split = load_dataset(sample=True).test
        self._rows = find_rows(self._test.labels, answers.labels)

    def draw(self) -> None:
        """The components, empty."""
        gr.Markdown(f"{words.MAP_HEADING}\n{words.MAP_HINT}")
        choices = [(words.EVERY, EVERY), *((name, name) for name in CLASSES)]
        self.shown = gr.Dropdown(choices, value=EVERY, label=words.SHOW, elem_id="map-class")
        self.maps = create_html(js_on_load=ON_CHOICE, elem_id="maps", min_height=400)
        self.images = create_html(elem_id="map-images", min_height=60)

    def list_parts(self, scene: Scene, view: View, picture: Picture, cell: Any) -> list[Part]:
        """
        Args:
            cell: chosen under Accuracy, as the page holds it.
        """
        lit = read_cell(cell, self._answers)
        facts = (scene.mark, view.shown, view.spot, picture.key, lit)
        images = (scene.mark, view.spot)
        return [
            Part(self.maps, facts, lambda: self._draw_maps(scene, view, picture, lit)),
            Part(self.images, images, lambda: self._draw_images(scene, view)),
        ]

    def _describe(self, scene: Scene) -> str:
        """How far the maps tell the classes apart."""
        separation = {
            tuple(names): measure_separation(scene.analysis.points[name], self._test.labels)
            for name, names in scene.shared.items()
        }
        return words.describe_separation(separation, scene.analysis.facts.test_count)

    def _draw_maps(self, scene: Scene, view: View, picture: Picture, cell: Cell | None) -> str:
        lit = self._find_lit(cell)
        spot = read_spot(view.spot, scene.shared)
        near = find_near(scene, spot) if spot else []
        maps = [
            self._draw_map(scene, name, view, picture, lit, near, spot) for name in scene.shared
        ]
        marks = [
            ("\u2605", words.STAR if picture.features else words.NO_PICTURE),
            ("\u25c6", words.describe_lit(*cell, len(lit)) if cell else words.NO_CELL),
            *([("\u25cb", words.RING)] if near else []),
        ]
        key = [(name, CLASS_COLOURS[label]) for label, name in enumerate(CLASSES)]
        share = words.describe_share(scene.analysis.facts.explained)
        return draw_figure("map", maps, self._describe(scene), key, marks, share, scene.query)

    def _draw_map(
        self,
        scene: Scene,
        name: str,
        view: View,
        picture: Picture,
        lit: list[int],
        near: list[int],
        spot: Spot | None,
    ) -> str:
        names = scene.shared[name]
        places = [(round(x, 1), round(y, 1)) for x, y in scene.places[name].tolist()]
        labels = self._test.labels.tolist()
        dots = [
            {
                "colour": CLASS_COLOURS[label],
                "faint": view.shown not in (EVERY, CLASSES[label]),
                "places": [
                    place for place, own in zip(places, labels, strict=True) if own == label
                ],
            }
            for label in range(len(CLASSES))
        ]
        star = None
        if name in picture.features:
            point = scene.analysis.projections[name].place(picture.features[name])
            star = scene.frame.place(point)[0].clamp(0, SIDE).round(decimals=1).tolist()
        x, y = (spot.x, spot.y) if spot and spot.model == name else (SIDE // 2, SIDE // 2)
        return render(
            "map.html",
            title=words.name_shared(names),
            said=words.describe_map(names),
            choice=f"{name},{x},{y}",
            cross=(x, y),
            chosen=bool(spot and spot.model == name),
            dots=dots,
            diamonds=[(places[i], CLASS_COLOURS[labels[i]]) for i in lit],
            rings=[places[i] for i in near],
            star=star,
        )

    def _find_lit(self, cell: Cell | None) -> list[int]:
        """Indices of the test images that are in a cell."""
        if cell is None or self._rows is None:
            return []
        found: list[int] = (
            torch.isin(self._rows, self._answers.in_cell(*cell)).nonzero()[:, 0].tolist()
        )
        return found

    def _draw_images(self, scene: Scene, view: View) -> str:
        spot = read_spot(view.spot, scene.shared)
        if spot is None:
            return self._images.show(words.NO_IMAGES, "")
        near = find_near(scene, spot)
        heading = words.describe_near(scene.shared[spot.model], len(near))
        if self._rows is None:
            return self._images.show(heading, words.OTHER_IMAGES)
        counts = Counter(self._test.labels[near].tolist()).most_common()
        rows = self._rows[near].tolist()
        return self._images.show(heading, words.describe_classes(counts), rows)


def find_near(scene: Scene, spot: Spot) -> list[int]:
    """Indices of the test images nearest to a place on a map, the nearest first."""
    there = torch.tensor([spot.x, spot.y], dtype=torch.float32)
    distances = (scene.places[spot.model] - there).square().sum(dim=1)
    near: list[int] = distances.argsort(stable=True)[:NEAR].tolist()
    return near


def find_rows(labels: Tensor, measured: Tensor) -> Tensor | None:
    """Rows `(N,)` of the sample's test images among those the models were measured on; None where
    these are others.

    Args:
        labels: `(N,)` int64 of the sample's test images.
        measured: of the images measured on.
    """
    for rows in (torch.arange(len(labels)), load_sample_rows()):
        if len(measured) > int(rows.max()) and torch.equal(measured[rows], labels):
            return rows
    return None


def read_cell(given: Any, answers: RecordedAnswers) -> Cell | None:
    """A cell of a model whose answers are at hand; a visitor can send anything."""
    if not isinstance(given, list) or len(given) != 3 or given[0] not in answers.predicted:
        return None
    name, *classes = given
    if not all(isinstance(one, int) and 0 <= one < len(CLASSES) for one in classes):
        return None
    return name, *classes
