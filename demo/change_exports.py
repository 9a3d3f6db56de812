"""Files of what training changed: the figures that the trainer draws, and their numbers."""

from collections.abc import Callable
from typing import NamedTuple

from demo import plots
from demo.analyses import Analyses
from demo.jobs.backend import NAME
from demo.jobs.rates import RateMap
from demo.own_changes import OwnChange
from demo.tables import write_csv
from trainer.data import load_dataset
from trainer.errors import QuartetError
from trainer.explain.analysed import FILE, Analysis
from trainer.explain.paths import list_places
from trainer.explain.sweep import FILE as SWEEP
from trainer.recipe import CLASSES
from trainer.record import Records


class Shown(NamedTuple):
    """The models that a file holds."""

    analysis: Analysis | None
    records: Records


class ChangeExports:
    """Of one app."""

    def __init__(self, analyses: Analyses, records: Records, rates: RateMap) -> None:
        self._analyses, self._records, self._rate_map = analyses, records, rates
        self._makers: dict[str, Callable[[Shown], bytes]] = {
            "movement.csv": self._movement,
            "similarity.csv": self._similarity,
            "map.csv": self._map,
            "paths.csv": self._paths,
            "step-sizes.csv": self._steps,
            "rates.csv": lambda _: self._rates(),
            **{
                f"{name}.svg": lambda shown, name=name: self._draw(name, shown)  # type: ignore[misc]
                for name in ("changes", "map", "paths", "step-sizes")
            },
        }
        self.names = self._makers.keys()
        """Of the files."""

    def make(self, name: str, own: OwnChange | None = None) -> bytes:
        """A file's content.

        Args:
            own: a job's model that it holds beside the four.

        Raises:
            QuartetError: what it holds is not at hand.
        """
        if own is not None:
            return self._makers[name](Shown(own.analysis, {**self._records, NAME: own.record}))
        return self._makers[name](Shown(self._analyses.analysis, self._records))

    def _known(self, shown: Shown) -> Analysis:
        if shown.analysis is None:
            raise self._analyses.fault or QuartetError("analysis_missing", file=FILE)
        return shown.analysis

    def _movement(self, shown: Shown) -> bytes:
        rows = [
            [name, layer, distance]
            for name, model in self._known(shown).facts.models.items()
            for layer, distance in model.movement.items()
        ]
        return write_csv(["model", "layer", "distance"], rows)

    def _similarity(self, shown: Shown) -> bytes:
        rows = [
            [name, stage, cka]
            for name, model in self._known(shown).facts.models.items()
            for stage, cka in model.similarity.items()
        ]
        return write_csv(["model", "after", "cka"], rows)

    def _map(self, shown: Shown) -> bytes:
        labels = load_dataset(sample=True).test.labels.tolist()
        rows = [
            [name, row, CLASSES[label], x, y]
            for name, points in self._known(shown).points.items()
            for row, (label, (x, y)) in enumerate(zip(labels, points.tolist(), strict=True))
        ]
        return write_csv(["model", "image", "true", "x", "y"], rows)

    def _paths(self, shown: Shown) -> bytes:
        facts = self._known(shown).facts
        rows = [
            [path.start, path.end, place, right, right / facts.test_count]
            for path in facts.paths
            for place, right in zip(list_places(len(path.right)), path.right, strict=True)
        ]
        return write_csv(["start", "end", "place", "right", "accuracy"], rows)

    def _steps(self, shown: Shown) -> bytes:
        rows = [
            [name, epoch.epoch, stage, size]
            for name, record in shown.records.items()
            for epoch in record.history
            for stage, size in (epoch.step_sizes or {}).items()
        ]
        if not rows:
            raise QuartetError("analysis_missing", file="step sizes")
        return write_csv(["model", "epoch", "stage", "step"], rows)

    def _rates(self) -> bytes:
        sweep = self._rate_map.sweep
        if sweep is None:
            raise QuartetError("analysis_missing", file=SWEEP)
        rows = [cell.model_dump() for cell in sweep.cells]
        return write_csv(list(rows[0]), [list(row.values()) for row in rows])

    def _draw(self, name: str, shown: Shown) -> bytes:
        """A figure as `python -m trainer explain` writes it."""
        from trainer.explain import drawing

        with plots.DRAWING:
            if name == "changes":
                return drawing.draw_changes(self._known(shown))
            if name == "map":
                return drawing.draw_map(self._known(shown), load_dataset(sample=True).test.labels)
            if name == "paths":
                return drawing.draw_paths(self._known(shown))
            drawn = drawing.draw_step_sizes(shown.records)
        if drawn is None:
            raise QuartetError("analysis_missing", file="step sizes")
        return drawn
