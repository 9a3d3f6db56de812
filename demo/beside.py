"""Models beside each other, of jobs and of the four recipes: their curves, what they were trained
with, and what they get right of the images that all of them were measured on."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from demo.comparison import NOT_SHOWN, Comparison, compare_with_start
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.progress import Measured
from demo.jobs.store import Job
from demo.models import Models
from demo.words import beside as words
from demo.words.accuracy import word_overlap
from demo.words.common import LABELS, describe_job, inline_label
from demo.words.outcome import describe_outcome
from demo.words.seeds import describe_evidence
from trainer.checkpoint import load_record
from trainer.errors import CheckpointError
from trainer.metrics import measure_overlap
from trainer.palette import COLOURS, OWN_COLOUR
from trainer.recipe import CLASSES, PLAIN_BACKBONE
from trainer.record import Record

MOST = 6
"""Models at a time: as many colours as can be told apart."""
JOB_COLOURS = (OWN_COLOUR, "#cc79a7", *COLOURS.values())
"""Of Okabe and Ito's palette: those that no recipe has, then those that the recipes leave free."""


@dataclass(frozen=True)
class Run:
    """A model, and how it came to be."""

    name: str
    """As a link names it: a recipe's, or a job's id and key."""
    label: str
    inline: str
    """The label inside a sentence."""
    colour: str
    record: Record
    start: str
    """What it began with: `backbone`, a recipe's name, or an earlier job."""
    measured: tuple[Measured, ...]
    """Its epochs."""
    answers: Comparison
    """On the images that it was measured on; a recipe has no before."""


class Change(NamedTuple):
    """A share of images that are right."""

    share: float
    """0..1; of a class without images 0."""
    gain: float | None
    """Above the start's share, -1..1; None where no start was measured."""


@dataclass(frozen=True)
class Beside:
    """Two models or more. A sequence has an item a run, in their order."""

    runs: tuple[Run, ...]
    settings: tuple[tuple[str, list[str]], ...]
    """Label and values of every setting in which they differ."""
    images: int
    """That all were measured on; 0 where there are none, and each has its own."""
    right: list[Change]
    by_class: dict[str, list[Change]]
    verdict: str
    """Of two, whether one is better, in a sentence; else nothing."""

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        """Label, colour and what came of it, of every job whose start was measured."""
        return [
            (run.label, run.colour, describe_outcome(overlap, run.answers.shifts))
            for run in self.runs
            if (overlap := run.answers.overlap) is not None
        ]

    def line(self, figure: str) -> dict[str, list[tuple[float, float]]]:
        """A run's label to its points (epoch, one of the figures of `Measured`); accuracies in
        percent."""
        scale = 100 if figure.endswith("accuracy") else 1
        return {
            run.label: [
                (one.epoch, scale * value)
                for one in run.measured
                if (value := getattr(one, figure)) is not None
            ]
            for run in self.runs
        }


class Finder:
    """Finds runs by their names. Safe to call from any thread."""

    def __init__(self, models: Models, jobs: Jobs) -> None:
        self._models, self._jobs = models, jobs
        self._shown = next(iter(models.records.values())).data

    @property
    def recipes(self) -> list[str]:
        """Names of the models whose answers are at hand."""
        return list(self._models.predictions)

    def find_job(self, name: str) -> Job | None:
        """The job with a model that a name opens: its id, a dot and its key."""
        job_id, _, key = name.partition(".")
        job = self._jobs.find(job_id, key) if key else None
        return job if job is not None and self._jobs.has_model(job) else None

    def known(self, names: Sequence[str]) -> list[str]:
        """Those of the names that name a run, each once, `MOST` at most."""
        known = [name for name in names if name in self.recipes or self.find_job(name)]
        return list(dict.fromkeys(known))[:MOST]

    def compare(self, names: Sequence[str]) -> Beside | None:
        """The runs of these names; None where fewer than two are there."""
        runs: list[Run] = []
        recipes = [name for name in names if name in self.recipes]
        taken = {COLOURS[name] for name in recipes}
        free = (colour for colour in JOB_COLOURS if colour not in taken)
        for name in self.known(names):
            if name in recipes:
                runs.append(self._read_recipe(name))
            elif (job := self.find_job(name)) is not None:
                try:
                    runs.append(self._read_job(job, next(free)))
                except CheckpointError:
                    continue  # deleted in this moment
        if len(runs) < 2:
            return None
        answers, common = align([run.answers for run in runs])
        return Beside(
            runs=tuple(runs),
            settings=tuple(words.list_differing([(run.record, run.start) for run in runs])),
            images=common,
            right=[_measure(one) for one in answers],
            by_class={
                name: [_measure(one, label) for one in answers]
                for label, name in enumerate(CLASSES)
            },
            verdict=self._judge(runs, answers) if common and len(runs) == 2 else "",
        )

    def _judge(self, runs: Sequence[Run], answers: Sequence[Comparison]) -> str:
        first, second = runs
        if {first.name, second.name} <= set(self.recipes):  # whose seeds may be known
            evidence = self._models.compare(first.name, second.name)[1]
            return describe_evidence(first.name, second.name, evidence)
        one, two = answers
        overlap = measure_overlap(one.labels, one.after, two.after)
        return word_overlap(first.inline, second.inline, overlap)

    @functools.lru_cache(maxsize=4)  # noqa: B019 (two of these an app)
    def _read_recipe(self, name: str) -> Run:
        record, told = self._models.records[name], self._models.predictions[name]
        steps = -(-record.data.train_count // record.recipe.batch_size)
        return Run(
            name=name,
            label=LABELS[name],
            inline=inline_label(name),
            colour=COLOURS[name],
            record=record,
            start=PLAIN_BACKBONE,
            measured=tuple(
                Measured(
                    one.epoch, one.epoch * steps, one.train_loss, one.validation_loss,
                    one.validation_accuracy,
                )
                for one in record.history
            ),
            answers=Comparison(
                torch.arange(len(told.labels)),
                told.labels,
                None,
                told.probabilities.argmax(dim=1),
            ),
        )  # fmt: skip

    def _read_job(self, job: Job, colour: str) -> Run:
        folder = self._jobs.folder(job)
        record = load_record(folder, NAME)
        return Run(
            name=f"{job.id}.{job.key}",
            label=describe_job(job.id),
            inline=describe_job(job.id),
            colour=colour,
            record=record,
            start=job.settings.start if job.settings else record.backbone.name,
            measured=self._jobs.watch(job).measured,
            answers=compare_with_start(folder, NAME, self._shown),
        )


def align(answers: Sequence[Comparison]) -> tuple[list[Comparison], int]:
    """The answers on the images that all have, in one order, and how many those are; where there
    are none, the answers as they are."""
    common: Tensor = answers[0].rows[answers[0].rows != NOT_SHOWN]
    for one in answers[1:]:
        common = common[torch.isin(common, one.rows)]
    if not len(common):
        return list(answers), 0
    common = common.sort().values
    return [_take(one, common) for one in answers], len(common)


def _take(answers: Comparison, rows: Tensor) -> Comparison:
    """The answers on these rows, in ascending order."""
    order = answers.rows.argsort()
    places = order[torch.searchsorted(answers.rows[order], rows)]
    before = None if answers.before is None else answers.before[places]
    return Comparison(rows, answers.labels[places], before, answers.after[places])


def _measure(answers: Comparison, label: int | None = None) -> Change:
    """What is right of all images, or of one class."""
    chosen = slice(None) if label is None else answers.labels == label
    labels = answers.labels[chosen]
    if not len(labels):
        return Change(0.0, None)
    share = (answers.after[chosen] == labels).double().mean().item()
    if answers.before is None:
        return Change(share, None)
    return Change(share, share - (answers.before[chosen] == labels).double().mean().item())
