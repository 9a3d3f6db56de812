"""Whole runs on images of the embedded sample, through the command line."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from tests.conftest import BACKBONE, ROOT, Run
from trainer import checkpoint
from trainer.calibration import fit_temperature
from trainer.data import Dataset, split_validation
from trainer.engine import Trainer
from trainer.errors import TrainingError
from trainer.events import (
    EpochFinished,
    Event,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    read_events,
)
from trainer.familiarity import ACCEPTED
from trainer.figures import stored_outputs
from trainer.metrics import calibration_error
from trainer.model import Backbone
from trainer.placement import Placement
from trainer.recipe import CLASSES, PRESETS
from trainer.record import Epoch
from trainer.stop import StopRequest

COMMON = ("--device", "cpu", "--image-px", "32", "--backbone", BACKBONE)
SAMPLE = ("train", *COMMON, "--sample")
CHANCE = 0.1


@pytest.fixture(scope="module")
def finished(run_here: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two frozen recipes and a full one."""
    folder = tmp_path_factory.mktemp("finished")
    names = ("sgd_frozen", "adam_frozen", "adam_full")
    run = run_here(*SAMPLE, "--only", *names, "--epochs", "2", "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.parametrize("name", ["sgd_frozen", "adam_frozen", "adam_full"])
def test_sample_trains_above_chance(finished: Path, name: str) -> None:
    record = checkpoint.load_checkpoint(finished, name).record
    assert record.test.accuracy > 3 * CHANCE
    assert record.validation.accuracy > 3 * CHANCE
    losses = [epoch.train_loss for epoch in record.history]
    assert losses == sorted(losses, reverse=True)


def test_frozen_backbone_is_unchanged_to_the_bit(finished: Path, backbone: Backbone) -> None:
    for name in ("sgd_frozen", "adam_frozen"):
        weights = checkpoint.load_checkpoint(finished, name).weights
        expected = checkpoint.to_stored(backbone.weights)
        assert all(torch.equal(weights[key], value) for key, value in expected.items())
    full = checkpoint.load_checkpoint(finished, "adam_full").weights
    assert not torch.equal(full["conv1.weight"], expected["conv1.weight"])


def test_record_holds_the_contract(finished: Path) -> None:
    loaded = checkpoint.load_checkpoint(finished, "adam_full")
    record, test = loaded.record, loaded.record.test
    confusion = torch.tensor(test.confusion)
    assert confusion.sum(dim=1).tolist() == [50] * 10
    assert test.accuracy == confusion.diagonal().sum().item() / 500
    assert test.per_class_accuracy == tuple((confusion.diagonal().double() / 50).tolist())
    assert len(record.history) == 2
    predictions = checkpoint.load_predictions(finished, record)
    probabilities = predictions.probabilities
    assert probabilities.shape == (500, 10)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(500))
    right = probabilities.argmax(dim=1) == predictions.labels
    assert right.double().mean().item() == pytest.approx(record.test.accuracy)
    assert {
        "format", "recipe", "preset", "image_px", "mean", "std", "classes", "backbone",
        "backbone_sha256", "epochs", "seed", "test_accuracy", "versions", "date",
    } <= loaded.metadata.keys()  # fmt: skip
    assert float(loaded.metadata["test_accuracy"]) == test.accuracy


@pytest.mark.parametrize("name", ["sgd_frozen", "adam_full"])
def test_temperature_is_fitted_on_validation_and_what_is_stored_stays_as_trained(
    finished: Path, sample: Dataset, name: str
) -> None:
    loaded = checkpoint.load_checkpoint(finished, name)
    _, validation = split_validation(sample)
    of_split = {
        split_name: stored_outputs(
            loaded.weights, split.images, loaded.record.recipe.image_px, torch.device("cpu")
        ).logits
        for split_name, split in (("validation", validation), ("test", sample.test))
    }
    fitted = fit_temperature(of_split["validation"], validation.labels)
    assert loaded.record.temperature == pytest.approx(fitted, rel=1e-3)
    assert fitted != pytest.approx(1, rel=2e-3)  # what a record without one would have
    recorded = checkpoint.load_predictions(finished, loaded.record).probabilities
    assert torch.allclose(recorded, of_split["test"].softmax(dim=1), atol=1e-4)
    error = calibration_error(recorded, sample.test.labels)
    assert loaded.record.test.calibration_error == pytest.approx(error, abs=1e-4)


def test_events_tell_the_whole_run(finished: Path) -> None:
    events = [e for e in read_events(finished / "events.jsonl") if e.recipe == "adam_full"]
    kinds = [type(event) for event in events]
    assert kinds[0] is RunStarted
    assert kinds[-1] is RunFinished
    assert kinds.count(EpochFinished) == 2
    assert ResourceSample in kinds


def test_report_is_written_with_its_figures(finished: Path, run_here: Run, tmp_path: Path) -> None:
    text = (finished / "report.md").read_text()
    assert "## Conclusions" in text
    curves = ("test-accuracy", "train-loss", "test-loss")
    for name in (*curves, "confusion", "predictions", "reliability"):
        assert f"report-images/{name}.svg" in text
        assert (finished / "report-images" / f"{name}.svg").read_bytes().startswith(b"<?xml")

    page = tmp_path / "report.html"
    run = run_here(
        "report", "--checkpoints", finished, "--out", tmp_path / "report.md", "--html", page
    )
    assert run.returncode == 0, run.stderr
    html = page.read_text()
    assert html.count("data:image/svg+xml;base64,") >= 6
    assert 'src="report-images' not in html  # the page needs no other file
    assert "<table>" in html


def test_finished_run_is_not_overwritten_but_resumes_to_nothing(
    finished: Path, run_here: Run
) -> None:
    before = (finished / "adam_full.json").read_bytes()
    events = (finished / "events.jsonl").read_bytes()
    again = (*SAMPLE, "--only", "adam_full", "--epochs", "2", "--out", finished)
    refused = run_here(*again)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    resumed = run_here(*again, "--resume")
    assert resumed.returncode == 0
    assert "adam_full: Saved: test accuracy" in resumed.stdout
    other = run_here(*again, "--resume", "--seed", "9")
    assert other.returncode == 1
    assert "other settings" in other.stderr
    assert (finished / "adam_full.json").read_bytes() == before
    assert (finished / "events.jsonl").read_bytes() == events


def test_damaged_checkpoint_is_trained_anew_and_said(
    finished: Path, run_here: Run, tmp_path: Path
) -> None:
    for path in finished.glob("sgd_frozen.*"):
        shutil.copy(path, tmp_path)
    with (tmp_path / "sgd_frozen.safetensors").open("r+b") as content:
        content.truncate(1000)
    arguments = ("--only", "sgd_frozen", "--epochs", "2", "--resume", "--out", tmp_path)
    run = run_here(*SAMPLE, *arguments)
    assert run.returncode == 0, run.stderr
    assert "sgd_frozen: its checkpoint is damaged" in run.stdout
    again, first = (
        checkpoint.load_checkpoint(folder, "sgd_frozen").weights for folder in (tmp_path, finished)
    )
    assert all(torch.equal(again[key], first[key]) for key in first)


def test_evaluate_agrees_and_notices_a_change(
    finished: Path, run_here: Run, tmp_path: Path
) -> None:
    same = run_here("evaluate", "--sample", "--checkpoints", finished, "--only", "adam_full")
    assert (same.returncode, same.stderr) == (0, "")
    assert "equals the recorded figures" in same.stdout
    for path in finished.glob("adam_full.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record = json.loads((tmp_path / "adam_full.json").read_text())
    record["test"]["confusion"][0][0] += 1
    record["test"]["confusion"][0][1] -= 1
    (tmp_path / "adam_full.json").write_text(json.dumps(record))
    changed = run_here("evaluate", "--sample", "--checkpoints", tmp_path)
    assert changed.returncode == 1
    assert "DIFFERS" in changed.stdout


@pytest.mark.parametrize("name", ["sgd_frozen", "adam_full"])
def test_a_run_leaves_its_detector(finished: Path, name: str) -> None:
    record = checkpoint.load_record(finished, name)
    facts = record.familiarity
    assert facts is not None
    assert checkpoint.load_familiarity(finished, record) is not None
    assert facts.validation_false_alarms == pytest.approx(1 - ACCEPTED, abs=0.01)
    assert facts.test_false_alarms < 0.15
    assert facts.photographs == ()


def test_predict_says_what_looks_like_none_of_the_ten(
    finished: Path, run_here: Run, tmp_path: Path
) -> None:
    noise = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(tmp_path / "noise.png")
    run = run_here("predict", tmp_path / "noise.png", "--checkpoints", finished)
    assert "none of the ten: so do, by mistake," in run.stdout
    run = run_here("predict", tmp_path / "noise.png", "--checkpoints", finished, "--json")
    assert json.loads(run.stdout)[str(tmp_path / "noise.png")]["familiar"] is False


def test_predict_prints_a_table_and_json(finished: Path, run_here: Run, tmp_path: Path) -> None:
    picture = ROOT / "trainer" / "sample" / "example.png"
    table = run_here("predict", picture, "--checkpoints", finished, "--top", "2")
    assert table.returncode == 0
    assert "sgd_full is left out" in table.stderr
    assert table.stdout.count("%") == 6
    answers = json.loads(run_here("predict", picture, "--checkpoints", finished, "--json").stdout)
    decider = checkpoint.load_record(finished, "sgd_frozen").familiarity
    assert decider is not None
    familiar = answers[str(picture)].pop("familiar")
    assert familiar is ("none of the ten" not in table.stdout)
    for probabilities in answers[str(picture)].values():
        assert len(probabilities) == 10
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    (tmp_path / "bad.png").write_text("no picture")
    mixed = run_here("predict", tmp_path / "bad.png", picture, "--checkpoints", finished)
    assert mixed.returncode == 1
    assert "not a whole picture" in mixed.stderr
    assert "adam_full" in mixed.stdout


@pytest.fixture(scope="module")
def few(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[str | Path, ...]:
    """`train` on forty training and ten test images of each class."""
    folder = tmp_path_factory.mktemp("few")
    for name, split, count in (("train", sample.train, 40), ("test", sample.test, 10)):
        for label, class_name in enumerate(CLASSES):
            (folder / name / class_name).mkdir(parents=True)
            for row in (split.labels == label).nonzero()[:count, 0].tolist():
                image = Image.fromarray(split.images[row].permute(1, 2, 0).numpy())
                image.save(folder / name / class_name / f"{row}.png")
    return "train", *COMMON, "--data", folder


LONG = ("--only", "sgd_full", "--epochs", "2", "--batch-size", "90")


@contextlib.contextmanager
def training(
    *arguments: str | Path, module: tuple[str, ...] = ("trainer",)
) -> Iterator["subprocess.Popen[str]"]:
    """A process whose lines can be awaited; gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def await_line(process: "subprocess.Popen[str]", part: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if part in line:
            return
    raise AssertionError(f"the process ended before it printed {part!r}")


@pytest.fixture(scope="module")
def uninterrupted(
    run_here: Run, few: tuple[str | Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run = run_here(*few, *LONG, "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def stopped(
    run_here: Run, few: tuple[str | Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that SIGTERM ended after its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    run = run_here(
        *few, *LONG, "--out", folder,
        on_output=("Epoch 1 of 2", lambda: signal.raise_signal(signal.SIGTERM)),
    )  # fmt: skip
    assert run.returncode == 128 + signal.SIGTERM
    assert "continue with --resume" in run.stderr
    *_, last = read_events(folder / "events.jsonl")
    assert isinstance(last, RunFailed)
    assert checkpoint.has_state(folder, "sgd_full")
    assert not (folder / "sgd_full.safetensors").exists()
    return folder


def without_times(epochs: tuple[Epoch, ...]) -> list[Epoch]:
    return [epoch.model_copy(update={"train_s": 0.0, "seconds": 0.0}) for epoch in epochs]


def assert_same_bits(folder: Path, uninterrupted: Path) -> None:
    first, second = (checkpoint.load_checkpoint(f, "sgd_full") for f in (uninterrupted, folder))
    assert all(torch.equal(second.weights[key], first.weights[key]) for key in first.weights)
    assert without_times(first.record.history) == without_times(second.record.history)
    assert first.record.test == second.record.test
    assert not checkpoint.has_state(folder, "sgd_full")


def test_stopped_run_resumes_to_the_same_bits_past_a_damaged_state(
    stopped: Path, uninterrupted: Path, run_here: Run, few: tuple[str | Path, ...], tmp_path: Path
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "run")
    resume = (*few, *LONG, "--out", folder, "--resume")
    other = run_here(*resume, "--seed", "4")
    assert other.returncode == 1
    assert "another recipe" in other.stderr

    (folder / f"sgd_full.99999999.{'0' * 32}.state").write_bytes(b"cut short")
    (folder / ".sgd_full.json.x.unfinished").write_bytes(b"left by a killed process")
    resumed = run_here(*resume)
    assert resumed.returncode == 0, resumed.stderr
    assert "Continues after step" in resumed.stdout
    assert "1 newer state, damaged, passed over" in resumed.stdout
    assert_same_bits(folder, uninterrupted)
    assert not list(folder.glob(".*unfinished"))


def test_damaged_states_alone_are_refused_in_one_sentence(
    stopped: Path, run_here: Run, few: tuple[str | Path, ...], tmp_path: Path
) -> None:
    for path in stopped.glob("*.state"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-1])
    run = run_here(*few, *LONG, "--out", tmp_path, "--resume")
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "only damaged states of sgd_full" in run.stderr


def test_interrupt_is_told_by_its_own_status(
    run_here: Run, few: tuple[str | Path, ...], tmp_path: Path
) -> None:
    run = run_here(
        *few, "--only", "sgd_frozen", "--epochs", "2", "--out", tmp_path,
        on_output=("Epoch 1 of 2", lambda: signal.raise_signal(signal.SIGINT)),
    )  # fmt: skip
    assert run.returncode == 128 + signal.SIGINT
    assert checkpoint.has_state(tmp_path, "sgd_frozen")


def test_killed_run_resumes_to_the_same_bits_and_keeps_others_off_its_folder(
    uninterrupted: Path, run_here: Run, few: tuple[str | Path, ...], tmp_path: Path
) -> None:
    resume = (*few, *LONG, "--out", tmp_path, "--resume")
    with training(*few, *LONG, "--save-every-s", "0", "--out", tmp_path) as process:
        await_line(process, "Epoch 1 of 2")
        process.send_signal(signal.SIGSTOP)
        second = run_here(*resume)
        assert second.returncode == 1
        assert f"in use by a training run (process {process.pid})" in second.stderr
        process.kill()
        process.communicate(timeout=60)
    assert checkpoint.has_state(tmp_path, "sgd_full")
    assert not (tmp_path / "sgd_full.safetensors").exists()

    resumed = run_here(*resume)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_bits(tmp_path, uninterrupted)
    events = list(read_events(tmp_path / "events.jsonl"))
    assert sum(isinstance(event, RunStarted) for event in events) == 2


def test_loss_that_is_not_finite_stops_before_the_step(
    sample: Dataset, backbone: Backbone, tmp_path: Path
) -> None:
    weights = {**backbone.weights, "bn1.weight": torch.full((64,), 1e38)}
    spoiled = dataclasses.replace(backbone, weights=weights)
    trainer = Trainer(sample, spoiled, Placement(tmp_path, torch.device("cpu")))
    events: list[Event] = []
    with pytest.raises(TrainingError, match=r"not finite at step 1 \(learning rate 0.001\)"):
        trainer.fit(PRESETS["report"]["sgd_full"], events.append, StopRequest())
    assert isinstance(events[-1], RunFailed)
    assert not list(tmp_path.iterdir())


DISK_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
from trainer.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.usefixtures("sample")  # decoded into the cache, which would not fit now
def test_full_disk_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    arguments = ["--only", "sgd_frozen", "--epochs", "1", "--out", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-c", DISK_FULL, *map(str, SAMPLE), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "error: File too large" in run.stderr
    assert "Traceback" not in run.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {".lock"} == {"events.jsonl"}


def test_unusable_folder_is_said(tmp_path: Path, run_here: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    run = run_here(*SAMPLE, "--only", "sgd_frozen", "--out", tmp_path / "file" / "run")
    assert run.returncode == 1
    assert "choose another folder" in run.stderr
    assert "Traceback" not in run.stderr


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "trainer")


def test_two_processes_agree_with_one(
    few: tuple[str | Path, ...], run_here: Run, tmp_path: Path
) -> None:
    recipes = ("--only", "sgd_full", "adam_frozen", "--epochs", "1", "--batch-size", "60")
    alone = run_here(*few, *recipes, "--out", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    with training(*few, *recipes, "--out", tmp_path / "two", module=TORCHRUN) as process:
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    for name in ("sgd_full", "adam_frozen"):
        one = checkpoint.load_checkpoint(tmp_path / "one", name)
        two = checkpoint.load_checkpoint(tmp_path / "two", name)
        assert two.record.processes == 2
        for key, tensor in one.weights.items():
            assert torch.allclose(tensor.float(), two.weights[key].float(), atol=4e-3), key
        (first,), (second,) = one.record.history, two.record.history
        for figure in ("train_loss", "validation_loss", "test_loss"):
            assert getattr(first, figure) == pytest.approx(getattr(second, figure), rel=2e-3)
        assert first.test_accuracy == pytest.approx(second.test_accuracy, abs=0.011)
    events = list(read_events(tmp_path / "two" / "events.jsonl"))
    assert sum(isinstance(event, RunFinished) for event in events) == 2  # one writer


def test_dead_rank_takes_the_other_down(few: tuple[str | Path, ...], tmp_path: Path) -> None:
    recipes = ("--only", "sgd_full", "--epochs", "500", "--batch-size", "60")
    with training(*few, *recipes, "--out", tmp_path / "run", module=TORCHRUN) as process:
        await_line(process, "Epoch 1 of 500")
        ranks = psutil.Process(process.pid).children(recursive=True)
        victims = [rank for rank in ranks if "train" in rank.cmdline()]
        assert len(victims) >= 2
        victims[-1].kill()
        process.communicate(timeout=60)
        assert process.returncode != 0
        _, alive = psutil.wait_procs(ranks, timeout=10)
        assert not alive
