"""The models that a visitor sees explained: the four, and that of their newest job."""

import functools
from collections.abc import Mapping

import torch
from torch import Tensor

from demo.jobs.backend import NAME
from demo.models import Models
from demo.own_changes import OwnChange
from demo.tabs.changed.view import SIDE
from trainer.explain.analysed import Analysis, PathFacts, name_path
from trainer.recipe import PLAIN_BACKBONE
from trainer.record import Records

MARGIN = 4.0
"""Of a map's hundredths, what stays free at its edges."""


class Scene:
    """What is known of them."""

    def __init__(self, analysis: Analysis, models: Models, own: OwnChange | None = None) -> None:
        self.analysis = own.analysis if own else analysis
        self.own = own
        self.records: Records = models.records | ({NAME: own.record} if own else {})
        self.mark = own.mark if own else ""
        """The same for the same models, and the same that is known of them."""
        self.shared: dict[str, list[str]] = {}
        """Models by the one that a map is named after: one a backbone."""
        for name in self.analysis.points:
            self.shared.setdefault(self.analysis.facts.models[name].backbone, []).append(name)
        self.query = f"?job={own.job.id}.{own.job.key}" if own else ""
        """What the address of a file says, so that it holds the same models."""
        ends = {*models.records, PLAIN_BACKBONE}
        self.paths: dict[str, PathFacts] = {
            name_path(path.start, path.end): path
            for path in self.analysis.facts.paths
            if path.end == NAME or {path.start, path.end} <= ends
        }
        """Name to path, of those between models that are at hand."""

    @functools.cached_property
    def frame(self) -> "Frame":
        return Frame(torch.cat([self.analysis.points[name] for name in self.shared]))

    @functools.cached_property
    def places(self) -> Mapping[str, Tensor]:
        """Where the test images lie on each map, `(N, 2)`."""
        return {name: self.frame.place(self.analysis.points[name]) for name in self.shared}

    def list_temperatures(self, path: PathFacts) -> tuple[float, float]:
        """What the logits of a path's ends are divided by; those of the backbone are not."""
        if self.own is not None and path.end == NAME:
            return self.own.start_temperature, self.own.record.temperature
        start = self.records.get(path.start)
        return start.temperature if start else 1.0, self.records[path.end].temperature


class Frame:
    """Where points of the plane lie on a map that shows all of some, both axes on one scale."""

    def __init__(self, points: Tensor) -> None:
        """
        Args:
            points: `(N, 2)`.
        """
        low, high = points.amin(dim=0), points.amax(dim=0)
        self._middle, self._extent = (low + high) / 2, float((high - low).max()) or 1.0

    def place(self, points: Tensor) -> Tensor:
        """`(N, 2)` in hundredths from the left and the top of a map."""
        scale = (SIDE - 2 * MARGIN) / self._extent
        across = (points - self._middle) * scale
        return SIDE / 2 + across * torch.tensor([1.0, -1.0])
