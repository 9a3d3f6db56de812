"""Whole runs on the embedded sample, through the command line."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from tests.conftest import BACKBONE, ROOT, Run
from trainer import checkpoint
from trainer.data import Dataset
from trainer.engine import Placement, Trainer
from trainer.events import (
    EpochFinished,
    Event,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    read_events,
)
from trainer.model import Backbone
from trainer.recipe import PRESETS
from trainer.run import TrainingError
from trainer.stop import StopRequest

COMMON = ("--sample", "--device", "cpu", "--image-px", "32", "--backbone", BACKBONE)
CHANCE = 0.1


@pytest.fixture(scope="module")
def finished(run_trainer: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two frozen recipes and a full one."""
    folder = tmp_path_factory.mktemp("finished")
    names = "sgd_frozen,adam_frozen,adam_full"
    run = run_trainer("train", *COMMON, "--only", names, "--epochs", "2", "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.parametrize("name", ["sgd_frozen", "adam_frozen", "adam_full"])
def test_sample_trains_above_chance(finished: Path, name: str) -> None:
    record = checkpoint.load_checkpoint(finished, name).record
    assert record["test"]["accuracy"] > 3 * CHANCE
    assert record["validation"]["accuracy"] > 3 * CHANCE
    losses = [epoch["train_loss"] for epoch in record["history"]]
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
    record, test = loaded.record, loaded.record["test"]
    confusion = torch.tensor(test["confusion"])
    assert confusion.sum(dim=1).tolist() == [50] * 10
    assert test["accuracy"] == confusion.diagonal().sum().item() / 500
    assert test["per_class_accuracy"] == (confusion.diagonal().double() / 50).tolist()
    assert len(record["history"]) == 2
    predictions = checkpoint.load_predictions(finished, record)
    probabilities = predictions.probabilities
    assert probabilities.shape == (500, 10)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(500))
    right = probabilities.argmax(dim=1) == predictions.labels
    assert right.double().mean().item() == pytest.approx(record["test"]["accuracy"])
    assert {
        "format", "recipe", "preset", "image_px", "mean", "std", "classes", "backbone",
        "backbone_sha256", "epochs", "seed", "test_accuracy", "versions", "date",
    } <= loaded.metadata.keys()  # fmt: skip
    assert float(loaded.metadata["test_accuracy"]) == test["accuracy"]


def test_events_tell_the_whole_run(finished: Path) -> None:
    events = [e for e in read_events(finished / "events.jsonl") if e.recipe == "adam_full"]
    kinds = [type(event) for event in events]
    assert kinds[0] is RunStarted
    assert kinds[-1] is RunFinished
    assert kinds.count(EpochFinished) == 2
    assert ResourceSample in kinds


def test_report_is_written_with_its_figures(finished: Path) -> None:
    text = (finished / "report.md").read_text()
    assert "## Conclusions" in text
    for name in ("test-accuracy", "train-loss", "test-loss", "confusion", "predictions"):
        assert f"report-images/{name}.svg" in text
        assert (finished / "report-images" / f"{name}.svg").read_bytes().startswith(b"<?xml")


def test_report_page_needs_no_other_file(finished: Path, run_trainer: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    run = run_trainer(
        "report", "--checkpoints", finished, "--out", tmp_path / "report.md", "--html", page
    )
    assert run.returncode == 0, run.stderr
    html = page.read_text()
    assert html.count("data:image/svg+xml;base64,") >= 6
    assert 'src="report-images' not in html
    assert "<table>" in html


def test_finished_run_is_not_overwritten_but_resumes_to_nothing(
    finished: Path, run_trainer: Run
) -> None:
    before = (finished / "adam_full.json").read_bytes()
    again = ("train", *COMMON, "--only", "adam_full", "--epochs", "2", "--out", finished)
    refused = run_trainer(*again)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    assert run_trainer(*again, "--resume").returncode == 0
    other = run_trainer(*again, "--resume", "--seed", "9")
    assert other.returncode == 1
    assert "other settings" in other.stderr
    assert (finished / "adam_full.json").read_bytes() == before


def test_evaluate_agrees_and_notices_a_change(
    finished: Path, run_trainer: Run, tmp_path: Path
) -> None:
    same = run_trainer("evaluate", "--sample", "--checkpoints", finished, "--only", "adam_full")
    assert (same.returncode, same.stderr) == (0, "")
    assert "equals the recorded figures" in same.stdout
    for path in finished.glob("adam_full.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record = json.loads((tmp_path / "adam_full.json").read_text())
    record["test"]["confusion"][0][0] += 1
    record["test"]["confusion"][0][1] -= 1
    (tmp_path / "adam_full.json").write_text(json.dumps(record))
    changed = run_trainer("evaluate", "--sample", "--checkpoints", tmp_path)
    assert changed.returncode == 1
    assert "DIFFERS" in changed.stdout


def test_predict_prints_a_table_and_json(finished: Path, run_trainer: Run, tmp_path: Path) -> None:
    picture = ROOT / "trainer" / "sample" / "example.png"
    table = run_trainer("predict", picture, "--checkpoints", finished, "--top", "2")
    assert table.returncode == 0
    assert "sgd_full is left out" in table.stderr
    assert table.stdout.count("%") == 6
    answers = json.loads(
        run_trainer("predict", picture, "--checkpoints", finished, "--json").stdout
    )
    for probabilities in answers[str(picture)].values():
        assert len(probabilities) == 10
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    (tmp_path / "bad.png").write_text("no picture")
    mixed = run_trainer("predict", tmp_path / "bad.png", picture, "--checkpoints", finished)
    assert mixed.returncode == 1
    assert "not a whole picture" in mixed.stderr
    assert "adam_full" in mixed.stdout


@contextlib.contextmanager
def training(
    *arguments: str | Path, module: tuple[str, ...] = ("trainer",)
) -> Iterator["subprocess.Popen[str]"]:
    """A `train` process whose lines can be awaited; gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module, "train", *COMMON, *map(str, arguments)],
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


LONG = ("--only", "sgd_full", "--epochs", "2", "--batch-size", "60", "--save-every-s", "1")


@pytest.fixture(scope="module")
def uninterrupted(run_trainer: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run_trainer("train", *COMMON, *LONG, "--out", folder).returncode == 0
    return folder


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_run_resumes_to_the_same_bits(
    how: signal.Signals, uninterrupted: Path, run_trainer: Run, tmp_path: Path
) -> None:
    with training(*LONG, "--out", tmp_path) as process:
        await_line(process, "epoch 1/2")
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + how
        assert "continue with --resume" in errors
        *_, last = read_events(tmp_path / "events.jsonl")
        assert isinstance(last, RunFailed)
    assert checkpoint.has_state(tmp_path, "sgd_full")
    assert not (tmp_path / "sgd_full.safetensors").exists()

    resumed = run_trainer("train", *COMMON, *LONG, "--out", tmp_path, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "continues after step" in resumed.stdout
    first = checkpoint.load_checkpoint(uninterrupted, "sgd_full")
    second = checkpoint.load_checkpoint(tmp_path, "sgd_full")
    assert all(torch.equal(second.weights[key], first.weights[key]) for key in first.weights)
    times = ("train_s", "seconds")
    for ours, theirs in zip(second.record["history"], first.record["history"], strict=True):
        assert {k: v for k, v in ours.items() if k not in times} == {
            k: v for k, v in theirs.items() if k not in times
        }
    assert first.record["test"] == second.record["test"]
    assert not checkpoint.has_state(tmp_path, "sgd_full")


def test_resume_refuses_other_settings(tmp_path: Path, run_trainer: Run) -> None:
    with training(*LONG, "--out", tmp_path) as process:
        await_line(process, "epoch 1/2")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    other = run_trainer("train", *COMMON, *LONG, "--seed", "4", "--out", tmp_path, "--resume")
    assert other.returncode == 1
    assert "another recipe" in other.stderr


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


def test_full_disk_ends_the_run_with_the_reason(tmp_path: Path, run_trainer: Run) -> None:
    arguments = ["--only", "sgd_frozen", "--epochs", "1", "--out", str(tmp_path / "run")]
    run_trainer("train", *COMMON, *arguments[:-1], tmp_path / "warm")  # decodes the sample
    run = subprocess.run(
        [sys.executable, "-c", DISK_FULL, "train", *map(str, COMMON), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "error: File too large" in run.stderr
    assert "Traceback" not in run.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["events.jsonl"]


def test_unusable_folder_is_said(tmp_path: Path, run_trainer: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    run = run_trainer("train", *COMMON, "--only", "sgd_frozen", "--out", tmp_path / "file" / "run")
    assert run.returncode == 1
    assert "choose another folder" in run.stderr
    assert "Traceback" not in run.stderr


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "trainer")


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    recipes = ("--only", "sgd_full,adam_frozen", "--epochs", "1", "--batch-size", "60")
    recipes += ("--precision", "fp32")  # bf16 rounds a half batch's gradients otherwise
    for folder, module in (("one", ("trainer",)), ("two", TORCHRUN)):
        with training(*recipes, "--out", tmp_path / folder, module=module) as process:
            _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    for name in ("sgd_full", "adam_frozen"):
        one = checkpoint.load_checkpoint(tmp_path / "one", name)
        two = checkpoint.load_checkpoint(tmp_path / "two", name)
        assert two.record["processes"] == 2
        for key, tensor in one.weights.items():
            assert torch.allclose(tensor.float(), two.weights[key].float(), atol=4e-3), key
        (first,), (second,) = one.record["history"], two.record["history"]
        for figure in ("train_loss", "validation_loss", "test_loss"):
            assert first[figure] == pytest.approx(second[figure], rel=2e-3)
        assert first["test_accuracy"] == pytest.approx(second["test_accuracy"], abs=0.011)
    events = list(read_events(tmp_path / "two" / "events.jsonl"))
    assert sum(isinstance(event, RunFinished) for event in events) == 2  # one writer


def test_dead_rank_takes_the_other_down(tmp_path: Path) -> None:
    recipes = ("--only", "sgd_full", "--epochs", "50", "--batch-size", "60")
    with training(*recipes, "--out", tmp_path / "run", module=TORCHRUN) as process:
        await_line(process, "epoch 1/50")
        ranks = psutil.Process(process.pid).children(recursive=True)
        victims = [rank for rank in ranks if "train" in rank.cmdline()]
        assert len(victims) >= 2
        victims[-1].kill()
        process.communicate(timeout=60)
        assert process.returncode != 0
        _, alive = psutil.wait_procs(ranks, timeout=10)
        assert not alive
