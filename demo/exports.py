"""Figures as SVG, tables and curves as CSV, the answers to every image as Parquet: files to take
along, each made when it is asked for."""

import functools
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from demo import plots
from demo.analyses import Analyses
from demo.answers import RecordedAnswers
from demo.beside import Beside, Finder
from demo.change_exports import ChangeExports
from demo.comparison import compare_with_start
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.progress import Measured
from demo.jobs.rates import RateMap
from demo.jobs.store import Job
from demo.models import Models
from demo.own_changes import OwnChanges
from demo.tables import list_changes, list_confidence, list_figures, write_csv
from demo.words import about, finetune
from demo.words import accuracy as words
from demo.words import beside as beside_words
from demo.words.common import EPOCH
from trainer.errors import QuartetError
from trainer.recipe import CLASSES
from trainer.wording import CURVES

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "parquet": "application/vnd.apache.parquet",
}
"""Suffix of a file to its kind."""
Query = Mapping[str, str]


class File(NamedTuple):
    """To send."""

    content: bytes
    kind: str


class NoSuchFile(Exception):
    """Nothing of that name, or of what was asked of it."""


class Exports:
    """All files of one app. Safe to call from any thread."""

    def __init__(
        self,
        models: Models,
        answers: RecordedAnswers,
        jobs: Jobs,
        analyses: Analyses,
        rates: RateMap,
        owns: OwnChanges,
    ) -> None:
        self._models, self._answers, self._jobs, self._owns = models, answers, jobs, owns
        self._changes = ChangeExports(analyses, models.records, rates)
        self._records, self._finder = models.records, Finder(models, jobs)
        self._makers: dict[str, Callable[[Query], bytes]] = {
            "figures.csv": lambda _: self._figures(),
            "confidence.csv": lambda _: self._confidence(),
            "reliability.csv": lambda _: self._reliability(),
            "seeds.csv": lambda _: self._seeds(),
            "curves.csv": lambda _: self._curves(),
            "confusion.csv": lambda _: self._confusion(),
            "recipes.csv": lambda _: self._recipes(),
            "answers.parquet": lambda _: self._parquet,
            "difference.csv": lambda query: self._difference(*self._pair(query)),
            "overlap.csv": lambda query: self._overlap(*self._pair(query)),
            "difference.svg": lambda query: self._draw_difference(*self._pair(query)),
            "job-classes.csv": lambda query: self._job_classes(self._job(query)),
            "job-curves.csv": lambda query: self._job_curves(self._job(query)),
            "job-difference.svg": lambda query: self._draw_job(self._job(query)),
            "beside.csv": lambda query: self._beside(self._runs(query)),
            "beside-curves.csv": lambda query: self._beside_curves(self._runs(query)),
            "beside-curves.svg": lambda query: self._draw_beside(self._runs(query)),
            **{
                f"{name}.svg": lambda _, name=name: self._draw(name)  # type: ignore[misc]
                for name in (*CURVES, "confusion", "reliability", "seeds")
            },
        }

    def make(self, name: str, query: Query) -> File:
        """A file.

        Args:
            name: as `words.EXPORTS` names it.
            query: `first` and `second`, a pair of models; or `job`, its id and key; or `runs`,
                those of jobs and names of models, with commas between them.

        Raises:
            NoSuchFile: there is none of that name, of these models, or of a job that the key opens.
        """
        kind = KINDS.get(name.rpartition(".")[2], "")
        try:
            if name in self._changes.names:
                own = self._owns.read(self._job(query)) if "job" in query else None
                return File(self._changes.make(name, own), kind)
            if name in self._makers:
                return File(self._makers[name](query), kind)
        except QuartetError as error:
            raise NoSuchFile(name) from error
        raise NoSuchFile(name)

    def _pair(self, query: Query) -> tuple[str, str]:
        first, second = query.get("first", ""), query.get("second", "")
        if not {first, second} <= self._answers.predicted.keys():
            raise NoSuchFile("pair")
        return first, second

    def _job(self, query: Query) -> Job:
        job_id, _, key = query.get("job", "").partition(".")
        job = self._jobs.find(job_id, key) if key else None
        if job is None or not self._jobs.has_model(job):
            raise NoSuchFile("job")
        return job

    def _figures(self) -> bytes:
        return write_csv(_headers(words.FIGURE_COLUMNS), list_figures(self._records))

    def _confidence(self) -> bytes:
        return write_csv(
            _headers(words.CONFIDENCE_COLUMNS), list_confidence(self._answers.measured)
        )

    def _reliability(self) -> bytes:
        rows = [
            [name, state, images, said, right]
            for name, confidence in self._answers.measured.items()
            for state, one in (("trained", confidence.trained), ("shown", confidence.shown))
            for images, said, right in zip(
                one.counts.tolist(), one.confidence.tolist(), one.accuracy.tolist(), strict=True
            )
            if images
        ]
        return write_csv(["model", "as", "images", "confidence", "right"], rows)

    def _seeds(self) -> bytes:
        rows = [run.model_dump() for run in self._models.runs.runs]
        columns = list(rows[0]) if rows else []
        return write_csv(columns, [list(row.values()) for row in rows])

    def _curves(self) -> bytes:
        figures = [figure for figure, *_ in CURVES.values()]
        rows = [
            [name, epoch.epoch, *(getattr(epoch, figure) for figure in figures)]
            for name, record in self._records.items()
            for epoch in record.history
        ]
        return write_csv(["model", "epoch", *figures], rows)

    def _confusion(self) -> bytes:
        rows = [
            [name, true, said, images, images / max(1, sum(line))]
            for name, record in self._records.items()
            for true, line in zip(CLASSES, record.test.confusion, strict=True)
            for said, images in zip(CLASSES, line, strict=True)
        ]
        return write_csv(["model", "true", "predicted", "images", "share"], rows)

    def _recipes(self) -> bytes:
        columns, rows = about.list_recipes(self._records)
        return write_csv(_headers(columns), rows)

    def _shares(self, *names: str) -> list[np.ndarray]:
        return [self._answers.confusion_shares[name] for name in names]

    def _difference(self, first: str, second: str) -> bytes:
        points = 100 * np.subtract(*self._shares(first, second))
        rows = [
            [true, said, points[i, j]]
            for i, true in enumerate(CLASSES)
            for j, said in enumerate(CLASSES)
        ]
        return write_csv(["true", "predicted", "points"], rows)

    def _overlap(self, first: str, second: str) -> bytes:
        overlap, _ = self._models.compare(first, second)
        rows = [
            [f"{first} right", overlap.both_right, overlap.only_first],
            [f"{first} wrong", overlap.only_second, overlap.both_wrong],
        ]
        return write_csv(["", f"{second} right", f"{second} wrong"], rows)

    def _draw_difference(self, first: str, second: str) -> bytes:
        svg = plots.plot_difference(*self._shares(first, second))
        return plots.stand_alone(svg)

    @functools.lru_cache(maxsize=16)  # noqa: B019 (one of these an app)
    def _draw(self, name: str) -> bytes:
        """A figure of the report's."""
        from trainer.report import plots as report

        if (name == "seeds" and not self._models.runs) or (
            name == "reliability" and not self._answers.measured
        ):
            raise NoSuchFile(name)
        with plots.DRAWING:
            if name == "confusion":
                return report.plot_confusions(self._records)
            if name == "reliability":
                return report.plot_reliability(self._answers.measured)
            if name == "seeds":
                return report.plot_seeds(self._models.runs, self._records)
            return report.plot_curves(self._records, *CURVES[name])

    @functools.cached_property
    def _parquet(self) -> bytes:
        """A row an image; of each model its answer, and what it states of each class."""
        import pyarrow
        import pyarrow.parquet

        answers = self._answers
        columns: dict[str, Any] = {
            "image": range(len(answers.labels)),
            "true": [CLASSES[label] for label in answers.labels.tolist()],
        }
        for name, classes in answers.predicted.items():
            columns[name] = [CLASSES[label] for label in classes.tolist()]
            shares = answers.shares[name].float().numpy()
            columns |= {f"{name}_{label}": shares[:, i] for i, label in enumerate(CLASSES)}
        written = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), written)
        return written.getvalue()

    def _job_classes(self, job: Job) -> bytes:
        rows = list_changes(*self._job_shares(job))
        return write_csv(_headers(finetune.CHANGE_COLUMNS), rows)

    def _draw_job(self, job: Job) -> bytes:
        before, after = self._job_shares(job)
        return plots.stand_alone(plots.plot_difference(after, before))

    def _job_shares(self, job: Job) -> tuple[np.ndarray, np.ndarray]:
        shown = next(iter(self._records.values())).data
        shares = compare_with_start(self._jobs.folder(job), NAME, shown).shares
        if shares is None:
            raise NoSuchFile("before")
        return shares

    def _job_curves(self, job: Job) -> bytes:
        progress = self._jobs.watch(job)
        measured = progress.measured
        rows = [
            *(["train loss", "step", at, value] for at, value in progress.train_loss),
            *(["validation loss", "step", one.step, one.validation_loss] for one in measured),
            *(
                ["validation accuracy", "epoch", one.epoch, one.validation_accuracy]
                for one in measured
            ),
        ]
        return write_csv(["figure", "of", "at", "value"], rows)

    def _runs(self, query: Query) -> Beside:
        beside = self._finder.compare(query.get("runs", "").split(","))
        if beside is None:
            raise NoSuchFile("runs")
        return beside

    def _beside(self, beside: Beside) -> bytes:
        """A row a run and figure: a setting's value, or percent right and points gained."""
        labels = [run.label for run in beside.runs]
        rows: list[list[Any]] = [
            [label, "setting", name, value, None]
            for name, values in beside.settings
            for label, value in zip(labels, values, strict=True)
        ]
        for name, changes in ((beside_words.ALL_CLASSES, beside.right), *beside.by_class.items()):
            for label, change in zip(labels, changes, strict=True):
                gain = None if change.gain is None else 100 * change.gain
                rows.append([label, "right, %", name, 100 * change.share, gain])
        return write_csv(["model", "kind", "of", "value", "points above the start"], rows)

    def _beside_curves(self, beside: Beside) -> bytes:
        rows = [[run.label, *one] for run in beside.runs for one in run.measured]
        return write_csv(["model", *Measured._fields], rows)

    def _draw_beside(self, beside: Beside) -> bytes:
        panels = {title: beside.line(figure) for figure, title in beside_words.CURVES.items()}
        colours = {run.label: run.colour for run in beside.runs}
        return plots.stand_alone(plots.plot_lines(panels, colours, EPOCH))


def _headers(columns: Iterable[tuple[str, str]]) -> list[str]:
    return [header for header, _ in columns]
