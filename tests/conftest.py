"""What several test modules share: folders, a cache of their own, and the command line."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trainer import checkpoint
from trainer.cli import main
from trainer.data import Dataset, load_dataset, split_validation
from trainer.explain import analysis as analysing
from trainer.explain.analysed import FILE, Analysis, save_analysis
from trainer.explain.sweep import FILE as SWEEP
from trainer.figures import fit_stored, stored_outputs
from trainer.model import Backbone, load_backbone

ROOT = Path(__file__).parent.parent
CHECKPOINTS = ROOT / "checkpoints"
BACKBONE = CHECKPOINTS / "sgd_frozen.safetensors"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps the decoded data out of the user's cache, here and in child processes."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # one decoding for all workers
    os.environ["QUARTET_CACHE"] = str(root / "cache")


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """The embedded sample."""
    return load_dataset(sample=True)


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    """The pre-trained weights that the shipped frozen checkpoints carry."""
    return load_backbone(BACKBONE)


@pytest.fixture(scope="session")
def detecting(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoints, of which `sgd_frozen` and `adam_full` have detectors of foreign
    pictures, fitted to the sample and measured on no photographs, and the others none."""
    folder = tmp_path_factory.mktemp("detecting")
    for path in CHECKPOINTS.iterdir():
        (folder / path.name).symlink_to(path)
    training, validation = split_validation(sample)
    for name in checkpoint.list_names(folder):
        loaded = checkpoint.load_checkpoint(folder, name)
        record = loaded.record.model_copy(update={"familiarity": None})
        if name not in ("sgd_frozen", "adam_full"):
            (folder / f"{name}.json").unlink()
            (folder / f"{name}.json").write_text(record.as_json())
            continue
        outputs = [
            stored_outputs(
                loaded.weights, split.images, record.recipe.image_px, torch.device("cpu"), keep=True
            )
            for split in (training, validation, sample.test)
        ]
        fitted = fit_stored(loaded.weights, outputs[0].features, *outputs[1:])
        assert fitted is not None
        record = record.model_copy(update={"familiarity": fitted.facts})
        checkpoint.save_familiarity(folder, record, fitted.detector)
    return folder


@pytest.fixture(scope="session")
def few(sample: Dataset) -> Dataset:
    """Of the sample, 120 training and 40 test images, all classes among them."""
    train, test = (
        split.subset(
            torch.cat([(split.labels == label).nonzero()[:count, 0] for label in range(10)])
        )
        for split, count in ((sample.train, 12), (sample.test, 4))
    )
    return Dataset("few", sample.digest, train, test)


@pytest.fixture(scope="session")
def analysis(few: Dataset) -> Analysis:
    """The four models', with one point between the ends of each path."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(analysing, "POINTS", 3)
        patched.setattr(analysing, "ESTIMATED_ON", 100)
        return analysing.analyse_set(CHECKPOINTS, few, lambda _: None)


@pytest.fixture(scope="session")
def analysed(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoints and that analysis."""
    folder = tmp_path_factory.mktemp("analysed")
    for path in CHECKPOINTS.iterdir():
        if path.name != FILE:
            (folder / path.name).symlink_to(path)
    save_analysis(folder / FILE, analysis)
    return folder


@pytest.fixture(scope="session")
def invented(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoints beside an analysis, and a sweep, that are invented."""
    from tests.analysis import build_analysis, build_sweep

    folder = tmp_path_factory.mktemp("invented")
    for path in CHECKPOINTS.iterdir():
        if path.name not in (FILE, SWEEP):
            (folder / path.name).symlink_to(path)
    save_analysis(folder / FILE, build_analysis(sample))
    (folder / SWEEP).write_text(build_sweep().model_dump_json())
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Watched(io.StringIO):
    """A standard output that calls `action` once, when `part` has been written."""

    def __init__(self, part: str, action: Callable[[], object]) -> None:
        super().__init__()
        self._part, self._action = part, action

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._part and self._part in self.getvalue():
            self._part = ""
            self._action()
        return written


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run_here() -> Run:
    """Runs `python -m trainer ARGUMENTS...` in this process, which has imported torch already.

    `on_output=(part, action)` calls `action` when the command has printed `part`.
    """

    def run(
        *arguments: str | Path, on_output: tuple[str, Callable[[], object]] = ("", lambda: None)
    ) -> subprocess.CompletedProcess[str]:
        words = list(map(str, arguments))
        with (
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(Watched(*on_output)) as output,
            contextlib.redirect_stderr(io.StringIO()) as errors,
        ):
            status = main(words)
        return subprocess.CompletedProcess(words, status, output.getvalue(), errors.getvalue())

    return run


@pytest.fixture(scope="session")
def run_trainer() -> Run:
    """Runs `python -m trainer ARGUMENTS...` and returns the finished process."""

    def run(
        *arguments: str | Path, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
