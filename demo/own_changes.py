"""What training changed in the model of a visitor's newest job, beside the four."""

import dataclasses
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from demo.analyses import Analyses
from demo.jobs.backend import NAME, START
from demo.jobs.commands import run_trainer
from demo.jobs.jobs import Jobs
from demo.jobs.store import Job
from demo.models import OWN_MODELS_KEPT, Models, OwnModel, load_own_model
from demo.recent import Recent
from trainer.checkpoint import load_checkpoint, load_record
from trainer.errors import CheckpointError, QuartetError
from trainer.explain.analysed import FILE, Analysis, load_analysis
from trainer.explain.paths import have_one_backbone
from trainer.explain.starts import SAME, describe_weights, find_start
from trainer.recipe import PLAIN_BACKBONE, RECIPE_NAMES
from trainer.record import Record

OWN_FILE = f"{NAME}.{FILE}"
"""In a job's folder, once it was asked for."""


@dataclass(frozen=True)
class OwnChange:
    """A job's model, and what training changed in it."""

    mark: str
    """The same where the same is known of the same model."""
    job: Job
    model: OwnModel
    analysis: Analysis
    """The four's, and with them what is known of `NAME`."""
    folder: Path
    """Of its checkpoint."""
    starts: Path
    """Of the one it began with."""
    start_temperature: float
    """What that one's logits are divided by; 1 for the backbone's."""
    whole: bool
    """True where everything is known, its path and its place on the map too. What training moved,
    and who shares one of the four's backbones, is known without computing."""

    @property
    def record(self) -> Record:
        return self.model.quartet.records[NAME]


class OwnChanges:
    """Those of one app's visitors."""

    def __init__(self, checkpoints: Path, analyses: Analyses, models: Models, jobs: Jobs) -> None:
        """
        Args:
            checkpoints: folder of the four.
        """
        self._checkpoints, self._set = checkpoints.resolve(), analyses.analysis
        self._models, self._jobs = models, jobs
        self._kept: Recent[OwnChange] = Recent(OWN_MODELS_KEPT)
        self._computing = threading.Lock()

    def find(self, *tokens: str) -> OwnChange | None:
        """That of the newest job with a model of those that these open; None where there is no such
        job, and as `read` has it."""
        job = self._jobs.newest_with_model(*tokens)
        return None if job is None else self.read(job)

    def read(self, job: Job) -> OwnChange | None:
        """That of a job with a model; some tenths of a second when it is first asked for. None
        where the four were not analysed, or where what it began with is gone."""
        if self._set is None:
            return None
        file = self._jobs.folder(job) / OWN_FILE
        try:
            mark = f"{job.id}.{file.stat().st_mtime_ns if file.exists() else 0}"
            return self._kept.get(mark) or self._kept.keep(mark, self._build(mark, job))
        except (CheckpointError, OSError):
            return None  # swept in this moment

    def compute(self, *tokens: str) -> None:
        """Computes the rest of it, once however often it is asked for; some seconds, or minutes.

        Raises:
            QuartetError: that failed, or the job is gone.
        """
        with self._computing, tempfile.TemporaryDirectory(prefix="quartet-analysis-") as made:
            change = self.find(*tokens)
            if change is None:
                raise QuartetError("own_not_analysed")
            if change.whole:
                return
            try:
                run_trainer(
                    *("analyse", "--own", str(change.folder / f"{NAME}.safetensors")),
                    *("--checkpoints", str(self._checkpoints), "--start", str(change.starts)),
                    *("--out", str(Path(made) / FILE)),
                )
                # Where the job was deleted meanwhile there is no such folder, and this fails.
                shutil.move(Path(made) / FILE, change.folder / OWN_FILE)
            except (OSError, subprocess.SubprocessError) as error:
                raise QuartetError("own_not_analysed") from error

    def _build(self, mark: str, job: Job) -> OwnChange:
        """Reads what is known of a job's model.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        assert self._set is not None
        folder = self._jobs.folder(job)
        model = load_own_model(folder, NAME)
        known = self._load(folder, model.quartet.records[NAME])
        like = self._find_like(model)
        earlier = folder / START
        if known is None:
            analysis = self._compare(folder, earlier, like)
        else:
            analysis = _add(self._set, known, like)
        start = analysis.facts.models[NAME].start
        starts = self._checkpoints if start in (PLAIN_BACKBONE, *RECIPE_NAMES) else earlier
        temperature = 1.0 if start == PLAIN_BACKBONE else load_record(starts, start).temperature
        return OwnChange(
            mark, job, model, analysis, folder, starts, temperature, whole=known is not None
        )

    def _load(self, folder: Path, record: Record) -> Analysis | None:
        """What was computed of a job's model, where that is of this very set."""
        assert self._set is not None
        try:
            digest = self._set.facts.sample_digest
            known = load_analysis(folder / OWN_FILE, {NAME: record}, digest)
        except CheckpointError:
            return None
        return known if known.plane.scores.equal(self._set.plane.scores) else None

    def _find_like(self, model: OwnModel) -> str | None:
        """The first of the four with the same backbone, for which the same is known."""
        assert self._set is not None
        digest = model.quartet.body_of(NAME).digest
        for name, facts in self._set.facts.models.items():
            known = name in self._models.records
            if known and self._models.quartet.body_of(name).digest == digest:
                return facts.backbone
        return None

    def _compare(self, folder: Path, earlier: Path, like: str | None) -> Analysis:
        """What the weights alone tell."""
        assert self._set is not None
        checkpoint = load_checkpoint(folder, NAME)
        start = find_start(checkpoint.record, self._checkpoints, earlier)
        same = have_one_backbone(start.weights, checkpoint.weights)
        facts = describe_weights(checkpoint, start, NAME, SAME if same else {})
        told = self._set.facts.model_copy(update={"models": {NAME: facts}, "paths": ()})
        alone = dataclasses.replace(
            self._set, facts=told, banks={}, projections={}, points={}, heads={}, statistics={}
        )
        return _add(self._set, alone, like)


def _add(four: Analysis, own: Analysis, like: str | None) -> Analysis:
    """The four's analysis with that of a job's model.

    Args:
        like: of the four, whose backbone it has.
    """
    facts = own.facts.models[NAME]
    if like is not None:
        facts = facts.model_copy(update={"backbone": like})
        own = dataclasses.replace(
            own,
            banks={NAME: four.banks[like]},
            projections={NAME: four.projections[like]},
            points={NAME: four.points[like]},
        )
    return Analysis(
        facts=four.facts.model_copy(
            update={
                "models": {**four.facts.models, NAME: facts},
                "paths": (*four.facts.paths, *own.facts.paths),
            }
        ),
        plane=four.plane,
        banks={**four.banks, **own.banks},
        projections={**four.projections, **own.projections},
        points={**four.points, **own.points},
        heads={**four.heads, **own.heads},
        statistics={**four.statistics, **own.statistics},
    )
