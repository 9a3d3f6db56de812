"""The checkpoints in the repository do what their records say."""

import os
import re
from pathlib import Path

import pytest
import torch
from torchvision import transforms

from tests.conftest import CHECKPOINTS, ROOT, Run
from trainer import checkpoint
from trainer.data import Dataset, load_sample_rows
from trainer.explain.analysed import FILE as ANALYSIS
from trainer.explain.sweep import FILE as SWEEP
from trainer.mistakes import FACTS_FILE, IMAGES_FILE, MOST_BYTES, MistakesFacts, load_mistakes
from trainer.recipe import RECIPE_NAMES
from trainer.reference import load_reference, reference_accuracy
from trainer.seeds import RUNS_FILE


@pytest.fixture(params=RECIPE_NAMES)
def shipped(request: pytest.FixtureRequest) -> checkpoint.Checkpoint:
    return checkpoint.load_checkpoint(CHECKPOINTS, request.param)


def test_shipped_set_is_complete_and_small() -> None:
    names = {path.name for path in CHECKPOINTS.iterdir()}
    expected = {
        f"{name}{suffix}"
        for name in RECIPE_NAMES
        for suffix in (".safetensors", ".json", ".predictions.safetensors")
    }
    detectors = [
        CHECKPOINTS / f"{name}.familiarity.safetensors"
        for name in RECIPE_NAMES
        if checkpoint.load_record(CHECKPOINTS, name).familiarity
    ]
    assert sum(path.stat().st_size for path in detectors) < 5e6
    expected |= {path.name for path in detectors}
    assert names - {RUNS_FILE} == expected | {
        "events.jsonl",
        IMAGES_FILE,
        FACTS_FILE,
        ANALYSIS,
        SWEEP,
    }
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 100e6


def test_shipped_mistakes_are_those_of_the_shipped_models(sample: Dataset) -> None:
    """After new checkpoints: python -m trainer mistakes --data DIR"""
    records = {name: checkpoint.load_record(CHECKPOINTS, name) for name in RECIPE_NAMES}
    facts = MistakesFacts.model_validate_json((CHECKPOINTS / FACTS_FILE).read_bytes())
    assert facts.weights_sha256 == {name: one.weights_sha256 for name, one in records.items()}
    assert (CHECKPOINTS / IMAGES_FILE).stat().st_size <= MOST_BYTES
    kept = load_mistakes(CHECKPOINTS, records["sgd_full"].data.digest)
    assert kept is not None
    labels = checkpoint.load_predictions(CHECKPOINTS, records["sgd_full"]).labels
    assert torch.equal(kept.split.labels, labels[kept.rows])
    assert not torch.isin(kept.rows, load_sample_rows()).any()


def test_full_test_split_is_measured_and_beats_the_reference(
    shipped: checkpoint.Checkpoint,
) -> None:
    record = shipped.record
    confusion = torch.tensor(record.test.confusion)
    assert confusion.sum(dim=1).tolist() == [1000] * 10
    assert record.test.accuracy == pytest.approx(confusion.diagonal().sum().item() / 10_000)
    assert record.test.accuracy > reference_accuracy(load_reference(), shipped.name)
    assert record.data.train_count == 45_000


def test_documented_lines_reproduce_recorded_predictions(
    shipped: checkpoint.Checkpoint, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's torchvision lines and torchvision's own transforms, none of our code."""
    (lines,) = re.findall(
        r"```python\n(from safetensors.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    monkeypatch.chdir(ROOT)
    scope: dict[str, torch.nn.Module] = {}
    exec(lines.replace("sgd_full", shipped.name), scope)
    metadata = shipped.metadata
    prepare = transforms.Compose(
        [
            transforms.ConvertImageDtype(torch.float32),
            transforms.Resize(int(metadata["image_px"]), antialias=False),
            transforms.Normalize(eval(metadata["mean"]), eval(metadata["std"])),
        ]
    )
    with torch.no_grad():
        probabilities = scope["model"](prepare(sample.test.images)).softmax(dim=1)
    recorded = checkpoint.load_predictions(CHECKPOINTS, shipped.record).probabilities
    assert recorded.shape == (10_000, 10)
    assert torch.allclose(probabilities, recorded[load_sample_rows()], atol=2e-3)


def test_frozen_pair_shares_its_backbone() -> None:
    first, second = (
        checkpoint.load_checkpoint(CHECKPOINTS, name).weights
        for name in ("sgd_frozen", "adam_frozen")
    )
    differing = {name for name in first if not torch.equal(first[name], second[name])}
    assert differing == {"fc.bias", "fc.weight"}


@pytest.mark.skipif(not os.environ.get("QUARTET_DATA"), reason="needs the full CIFAR-10")
@pytest.mark.parametrize("name", ["sgd_full", "adam_frozen"])
def test_evaluate_agrees_with_the_record(name: str, run_here: Run) -> None:
    """Of the others some images do (`test_predict`): all of them take a minute a model."""
    run = run_here("evaluate", "--only", name, "--device", "cpu")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "equals the recorded figures" in run.stdout


def test_report_is_the_one_its_command_writes(run_here: Run, tmp_path: Path) -> None:
    run = run_here("report", "--out", tmp_path / "report.md")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "report.md").read_text() == (ROOT / "docs" / "report.md").read_text()
    for figure in (tmp_path / "report-images").iterdir():
        assert (ROOT / "docs" / "report-images" / figure.name).exists()
