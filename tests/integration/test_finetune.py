"""`python -m trainer finetune` on the embedded sample, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import CHECKPOINTS, ROOT, Run
from trainer import checkpoint
from trainer.data import evaluated_rows, load_dataset, split_validation
from trainer.events import EpochFinished, RunFinished, StepSummary, read_events
from trainer.familiarity import LEAST_IMAGES
from trainer.figures import stored_outputs
from trainer.recipe import CLASSES, JobSettings
from trainer.resnet import is_head
from trainer.short_run import choose_images

QUICK = ("--sample", "--images", "128", "--batch-size", "32", "--evaluated", "50")


def changed_weights(folder: Path, name: str, start: str) -> set[str]:
    """Names of the tensors that differ from the start's."""
    before = checkpoint.load_checkpoint(CHECKPOINTS, start).weights
    after = checkpoint.load_checkpoint(folder, name).weights
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_last_layer_alone_is_trained_and_everything_recorded(run_here: Run, tmp_path: Path) -> None:
    run = run_here("finetune", "--start", "sgd_frozen", *QUICK, "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    changed = changed_weights(tmp_path, "finetuned", "sgd_frozen")
    assert changed == {"fc.weight", "fc.bias"}
    record = checkpoint.load_record(tmp_path, "finetuned")
    assert record.origin is not None
    assert record.origin.start == "sgd_frozen"
    assert record.origin.settings.images == 128
    assert not record.origin.ended_early
    assert (record.data.train_count, record.data.test_count) == (128, 50)
    assert record.temperature != 1
    events = list(read_events(tmp_path / "events.jsonl"))
    (epoch,) = (event for event in events if isinstance(event, EpochFinished))
    assert epoch.validation_confusion is not None
    assert sum(map(sum, epoch.validation_confusion)) == 50
    assert any(isinstance(event, StepSummary) for event in events)
    assert isinstance(events[-1], RunFinished)


def test_short_run_leaves_no_detector(run_here: Run, tmp_path: Path) -> None:
    """However many images it sees: it would wait for another pass over them."""
    images = ("--sample", "--images", str(LEAST_IMAGES), "--evaluated", "10")
    run = run_here("finetune", "--start", "sgd_frozen", *images, "--steps", "1", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    assert checkpoint.load_record(tmp_path, "finetuned").familiarity is None
    assert not list(tmp_path.glob("*.familiarity.*"))


def test_last_block_leaves_everything_before_it(run_here: Run, tmp_path: Path) -> None:
    run = run_here(
        "finetune", "--start", "adam_full", "--trained", "last_block", *QUICK, "--out", tmp_path
    )
    assert run.returncode == 0, run.stderr
    changed = changed_weights(tmp_path, "finetuned", "adam_full")
    assert changed
    assert all(is_head(name) or name.startswith("layer4.1.") for name in changed)
    assert "layer4.1.bn1.running_mean" in changed


def test_same_command_gives_the_same_bits(run_here: Run, tmp_path: Path) -> None:
    settings = JobSettings(
        start="sgd_full", trained="all", optimizer="adamw", learning_rate=1e-4, images=64,
        batch_size=32, emphasised=("cat", "dog"), augment=True, seed=7, evaluated=20,
    )  # fmt: skip
    weights = []
    for name in ("first", "second"):
        run = run_here(*settings.arguments(), "--sample", "--out", tmp_path / name)
        assert run.returncode == 0, run.stderr
        record = checkpoint.load_record(tmp_path / name, "finetuned")
        assert record.origin is not None
        for field in JobSettings.model_fields:
            assert getattr(record.origin.settings, field) == getattr(settings, field)
        weights.append(checkpoint.load_checkpoint(tmp_path / name, "finetuned").weights)
    first, second = weights
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_kept_features_change_nothing(
    run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("QUARTET_CACHE", str(cache))
    for name in ("computed", "read", "damaged"):
        run = run_here("finetune", "--start", "sgd_frozen", *QUICK, "--out", tmp_path / name)
        assert run.returncode == 0, run.stderr
        kept = sorted(cache.glob("features-*"))
        # Of training, validation and test: the stored model's figures come from the same ones.
        assert len(kept) == 3
        if name == "read":
            content = bytearray(kept[0].read_bytes())
            content[-1] ^= 1
            kept[0].write_bytes(content)
    first, *others = (
        checkpoint.load_checkpoint(tmp_path / name, "finetuned")
        for name in ("computed", "read", "damaged")
    )
    for other in others:
        assert torch.equal(other.weights["fc.weight"], first.weights["fc.weight"])
        assert other.record.predictions_sha256 == first.record.predictions_sha256


def test_steps_end_in_the_middle_of_an_epoch(run_here: Run, tmp_path: Path) -> None:
    run = run_here(
        "finetune", "--start", "sgd_full", "--trained", "all", "--steps", "6", *QUICK,
        "--out", tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    events = list(read_events(tmp_path / "events.jsonl"))
    last = [event for event in events if isinstance(event, StepSummary)][-1]
    assert (last.step, last.total_steps) == (6, 6)
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    assert [(epoch.epoch, epoch.epochs) for epoch in epochs] == [(1, 2), (2, 2)]
    # Four steps, then two: both means are over the images seen, so both are losses of this model.
    assert 0.5 < epochs[1].train_loss / epochs[0].train_loss < 2


def test_an_earlier_run_is_a_start(run_here: Run, tmp_path: Path) -> None:
    first = run_here("finetune", "--start", "backbone", *QUICK, "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    again = run_here(
        "finetune", "--start", tmp_path / "finetuned.safetensors", *QUICK, "--name", "again",
        "--out", tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    earlier, record = (checkpoint.load_record(tmp_path, name) for name in ("finetuned", "again"))
    assert record.backbone.name == "finetuned"
    before = checkpoint.load_predictions(tmp_path, record).start_probabilities
    assert before is not None
    said = checkpoint.load_predictions(tmp_path, earlier).probabilities
    assert torch.allclose(before, said, atol=1e-4)
    refused = run_here("finetune", *QUICK, "--name", "again", "--out", tmp_path)
    assert refused.returncode == 1
    assert "already holds" in refused.stderr


def test_batch_is_no_larger_than_what_there_is(run_here: Run, tmp_path: Path) -> None:
    run = run_here(
        "finetune", "--start", "sgd_frozen", "--sample", "--images", "20", "--batch-size", "64",
        "--evaluated", "20", "--out", tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert checkpoint.load_record(tmp_path, "finetuned").recipe.batch_size == 20


def test_own_pictures_are_learned(run_here: Run, tmp_path: Path) -> None:
    own = tmp_path / "own"
    for label, colour in (("frog", "magenta"), ("ship", "yellow")):
        (own / label).mkdir(parents=True)
        Image.new("RGB", (64, 48), colour).save(own / label / "one.png")
    run = run_here(
        "finetune", "--start", "sgd_frozen", "--optimizer", "adam", "--learning-rate", "0.01",
        "--own", own, "--own-repeats", "40", "--epochs", "3", *QUICK, "--out", tmp_path / "run",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    record = checkpoint.load_record(tmp_path / "run", "finetuned")
    assert record.data.train_count == 128 + 80
    assert record.origin is not None
    assert record.origin.own_pictures is not None
    assert record.origin.own_pictures.count == 2
    weights = checkpoint.load_checkpoint(tmp_path / "run", "finetuned").weights
    images = torch.stack([torch.full((32, 32), v, dtype=torch.uint8) for v in (255, 0, 255)])[None]
    logits = stored_outputs(weights, images, 32, torch.device("cpu")).logits
    assert CLASSES[int(logits.argmax())] == "frog"


def test_the_start_decides_what_is_not_given(run_here: Run, tmp_path: Path) -> None:
    few = ("--sample", "--images", "32", "--evaluated", "10")
    first = run_here(
        "finetune", "--start", "sgd_frozen", "--image-px", "48", "--batch-size", "16",
        "--optimizer", "adamw", "--name", "sgd_full", *few, "--out", tmp_path,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    arguments = ("--checkpoints", tmp_path, "--start", "sgd_full", "--learning-rate", "0.5")
    run = run_here("finetune", *arguments, *few, "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    recipe = checkpoint.load_record(tmp_path, "finetuned").recipe
    assert (recipe.image_px, recipe.batch_size, recipe.optimizer) == (48, 16, "adamw")
    assert recipe.learning_rate == 0.5


@pytest.mark.parametrize(("line", "epochs", "steps"), [("Started", 1, 1), ("Epoch 2 of 50", 2, 8)])
def test_told_to_stop_it_keeps_what_it_has_learned(
    run_here: Run, tmp_path: Path, line: str, epochs: int, steps: int
) -> None:
    """Also where the signal comes before the first step, which is then the only one."""
    run = run_here(
        "finetune", "--start", "sgd_full", "--epochs", "50", *QUICK, "--out", tmp_path,
        on_output=(line, lambda: signal.raise_signal(signal.SIGTERM)),
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    record = checkpoint.load_checkpoint(tmp_path, "finetuned").record
    assert record.origin is not None
    assert record.origin.ended_early
    assert len(record.history) == epochs
    events = list(read_events(tmp_path / "events.jsonl"))
    assert isinstance(events[-1], RunFinished)
    assert [event for event in events if isinstance(event, StepSummary)][-1].step == steps
    assert changed_weights(tmp_path, "finetuned", "sgd_full")


def test_standby_runs_what_it_is_asked_and_obeys_a_signal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    arguments = [
        "finetune", "--start", "sgd_frozen", "--epochs", "1000", *QUICK, "--out", str(tmp_path),
    ]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "trainer", "standby"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"arguments": arguments, "log": str(log)}).encode() + b"\n")
        process.stdin.flush()
        with log.open() as lines:
            assert any("Started" in line for line in lines)
            process.send_signal(signal.SIGTERM)
            assert "is written" in lines.read()
        assert process.wait() == 0
    record = checkpoint.load_record(tmp_path, "finetuned")
    assert record.origin is not None
    assert record.origin.ended_early


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--learning-rate", "nan"), "--learning-rate: give a number above 0"),
        (("--learning-rate", "-1"), "--learning-rate: give a number above 0"),
        (("--momentum", "1"), "to below 1"),
        (("--epochs", "1.5"), "--epochs: give a whole number"),
        (("--epochs", ""), "--epochs: give a whole number"),
        (("--steps", "0"), "--steps: give a whole number"),
        (("--images", "-5"), "--images: give a whole number"),
        (("--batch-size", "100000000"), "--batch-size: give a whole number"),
        (("--optimizer", "rmsprop"), "--optimizer: give one of sgd, adam, adamw"),
        (("--emphasised", "cat", "unicorn"), "--emphasised: give some of airplane"),
        (("--name", "../x"), "--name: give letters, digits"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(
    run_here: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    run = run_here("finetune", *QUICK, *arguments, "--out", tmp_path / "run")
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--start", "nowhere/none.safetensors"), "cannot be read"),
        (("--checkpoints", "/nowhere"), "cannot be read"),
        (("--own", "/nowhere"), "holds no pictures"),
    ],
)
def test_missing_files_are_named_in_one_sentence(
    run_here: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    run = run_here("finetune", *QUICK, *arguments, "--out", tmp_path / "run")
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert not (tmp_path / "run").exists()


def test_emphasised_classes_are_drawn_more_often() -> None:
    train, _ = split_validation(load_dataset(sample=True))
    plain = choose_images(train, JobSettings(images=600))
    chosen = choose_images(train, JobSettings(images=600, emphasised=("cat",)))
    cat = CLASSES.index("cat")
    assert len(chosen) == len(plain) == 600
    assert (chosen.labels == cat).sum() > 1.5 * (plain.labels == cat).sum()
    again = choose_images(train, JobSettings(images=600, emphasised=("cat",)))
    assert torch.equal(chosen.images, again.images)
    everything = choose_images(train, JobSettings(images=50_000))
    assert torch.equal(everything.labels, train.labels)


def test_evaluated_images_are_spread_over_the_split() -> None:
    assert evaluated_rows(100, 10).tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert evaluated_rows(3, None).tolist() == evaluated_rows(3, 1000).tolist() == [0, 1, 2]
