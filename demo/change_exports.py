"""Files of what training changed: the figures that the trainer draws, and their numbers."""

from collections.abc import Callable

from demo import plots
from demo.analyses import Analyses
from demo.jobs.rates import RateMap
from demo.tables import write_csv
from trainer.data import load_dataset
from trainer.errors import QuartetError
from trainer.explain.analysed import FILE, Analysis
from trainer.explain.paths import list_places
from trainer.explain.sweep import FILE as SWEEP
from trainer.recipe import CLASSES
from trainer.record import Records


class ChangeExports:
    """Of one app."""

    def __init__(self, analyses: Analyses, records: Records, rates: RateMap) -> None:
        self._analyses, self._records, self._rate_map = analyses, records, rates
        self.makers: dict[str, Callable[[], bytes]] = {
            "movement.csv": self._movement,
            "similarity.csv": self._similarity,
            "map.csv": self._map,
            "paths.csv": self._paths,
            "step-sizes.csv": self._steps,
            "rates.csv": self._rates,
            **{
                f"{name}.svg": lambda name=name: self._draw(name)  # type: ignore[misc]
                for name in ("changes", "map", "paths", "step-sizes")
            },
        }
        """A file's name to what makes it, or raises `QuartetError` where that is not at hand."""

    @property
    def _analysis(self) -> Analysis:
        analysis = self._analyses.analysis
        if analysis is None:
            raise self._analyses.fault or QuartetError("analysis_missing", file=FILE)
        return analysis

    def _movement(self) -> bytes:
        rows = [
            [name, layer, distance]
            for name, model in self._analysis.facts.models.items()
            for layer, distance in model.movement.items()
        ]
        return write_csv(["model", "layer", "distance"], rows)

    def _similarity(self) -> bytes:
        rows = [
            [name, stage, cka]
            for name, model in self._analysis.facts.models.items()
            for stage, cka in model.similarity.items()
        ]
        return write_csv(["model", "after", "cka"], rows)

    def _map(self) -> bytes:
        labels = load_dataset(sample=True).test.labels.tolist()
        rows = [
            [name, row, CLASSES[label], x, y]
            for name, points in self._analysis.points.items()
            for row, (label, (x, y)) in enumerate(zip(labels, points.tolist(), strict=True))
        ]
        return write_csv(["model", "image", "true", "x", "y"], rows)

    def _paths(self) -> bytes:
        facts = self._analysis.facts
        rows = [
            [path.start, path.end, place, right, right / facts.test_count]
            for path in facts.paths
            for place, right in zip(list_places(len(path.right)), path.right, strict=True)
        ]
        return write_csv(["start", "end", "place", "right", "accuracy"], rows)

    def _steps(self) -> bytes:
        rows = [
            [name, epoch.epoch, stage, size]
            for name, record in self._records.items()
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

    def _draw(self, name: str) -> bytes:
        """A figure as `python -m trainer explain` writes it."""
        from trainer.explain import drawing

        with plots.DRAWING:
            if name == "changes":
                return drawing.draw_changes(self._analysis)
            if name == "map":
                return drawing.draw_map(self._analysis, load_dataset(sample=True).test.labels)
            if name == "paths":
                return drawing.draw_paths(self._analysis)
            drawn = drawing.draw_step_sizes(self._records)
        if drawn is None:
            raise QuartetError("analysis_missing", file="step sizes")
        return drawn
