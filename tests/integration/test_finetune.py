"""`python -m trainer finetune` on the embedded sample, as a user runs it."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import CHECKPOINTS, Run
from trainer import checkpoint
from trainer.data import evaluated_rows, load_dataset, split_validation
from trainer.events import EpochFinished, RunFinished, StepSummary, read_events
from trainer.finetune import choose_images
from trainer.recipe import CLASSES, PRESETS, RecipeError
from trainer.resnet import is_head
from trainer.settings import Settings

QUICK = ("--sample", "--images", "128", "--batch-size", "32", "--evaluated", "50")


def changed_weights(folder: Path, name: str, start: str) -> set[str]:
    """Names of the tensors that differ from the start's."""
    before = checkpoint.load_checkpoint(CHECKPOINTS, start).weights
    after = checkpoint.load_checkpoint(folder, name).weights
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_last_layer_alone_is_trained_and_everything_recorded(
    run_trainer: Run, tmp_path: Path
) -> None:
    run = run_trainer("finetune", "--start", "sgd_frozen", *QUICK, "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    changed = changed_weights(tmp_path, "finetuned", "sgd_frozen")
    assert changed == {"fc.weight", "fc.bias"}
    record = checkpoint.load_record(tmp_path, "finetuned")
    assert record["origin"]["start"] == "sgd_frozen"
    assert record["origin"]["settings"]["images"] == 128
    assert record["data"]["train_count"] == 128
    assert record["data"]["test_count"] == 50
    events = list(read_events(tmp_path / "events.jsonl"))
    (epoch,) = (event for event in events if isinstance(event, EpochFinished))
    assert epoch.validation_confusion is not None
    assert sum(map(sum, epoch.validation_confusion)) == 50
    assert any(isinstance(event, StepSummary) for event in events)
    assert isinstance(events[-1], RunFinished)


def test_last_block_leaves_everything_before_it(run_trainer: Run, tmp_path: Path) -> None:
    run = run_trainer(
        "finetune", "--start", "adam_full", "--trained", "last_block", *QUICK, "--out", tmp_path
    )
    assert run.returncode == 0, run.stderr
    changed = changed_weights(tmp_path, "finetuned", "adam_full")
    assert changed
    assert all(is_head(name) or name.startswith("layer4.1.") for name in changed)
    assert "layer4.1.bn1.running_mean" in changed


def test_same_command_gives_the_same_bits(run_trainer: Run, tmp_path: Path) -> None:
    settings = Settings(
        start="sgd_full", trained="all", optimizer="adamw", learning_rate=1e-4, images=64,
        batch_size=32, emphasised=("cat", "dog"), augment=True, seed=7, evaluated=20,
    )  # fmt: skip
    weights = []
    for name in ("first", "second"):
        run = run_trainer(*settings.arguments(), "--sample", "--out", tmp_path / name)
        assert run.returncode == 0, run.stderr
        record = checkpoint.load_record(tmp_path / name, "finetuned")
        assert record["origin"]["settings"] == json.loads(json.dumps(settings.as_dict()))
        weights.append(checkpoint.load_checkpoint(tmp_path / name, "finetuned").weights)
    first, second = weights
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_kept_features_change_nothing(
    run_trainer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("QUARTET_CACHE", str(cache))
    for name in ("computed", "read", "damaged"):
        run = run_trainer("finetune", "--start", "sgd_frozen", *QUICK, "--out", tmp_path / name)
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
        assert other.record["predictions_sha256"] == first.record["predictions_sha256"]


def test_steps_end_in_the_middle_of_an_epoch(run_trainer: Run, tmp_path: Path) -> None:
    run = run_trainer(
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


def test_an_earlier_run_is_a_start(run_trainer: Run, tmp_path: Path) -> None:
    first = run_trainer("finetune", "--start", "backbone", *QUICK, "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    again = run_trainer(
        "finetune", "--start", tmp_path / "finetuned.safetensors", *QUICK, "--name", "again",
        "--out", tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    record = checkpoint.load_record(tmp_path, "again")
    assert record["backbone"]["name"] == "finetuned"
    refused = run_trainer("finetune", *QUICK, "--name", "again", "--out", tmp_path)
    assert refused.returncode == 1
    assert "already holds" in refused.stderr


def test_batch_is_no_larger_than_what_there_is(run_trainer: Run, tmp_path: Path) -> None:
    run = run_trainer(
        "finetune", "--start", "sgd_frozen", "--sample", "--images", "20", "--batch-size", "64",
        "--evaluated", "20", "--out", tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert checkpoint.load_record(tmp_path, "finetuned")["recipe"]["batch_size"] == 20


def test_own_pictures_are_learned(run_trainer: Run, tmp_path: Path) -> None:
    own = tmp_path / "own"
    for label, colour in (("frog", "magenta"), ("ship", "yellow")):
        (own / label).mkdir(parents=True)
        Image.new("RGB", (64, 48), colour).save(own / label / "one.png")
    run = run_trainer(
        "finetune", "--start", "sgd_frozen", "--optimizer", "adam", "--learning-rate", "0.01",
        "--own", own, "--own-repeats", "40", "--epochs", "3", *QUICK, "--out", tmp_path / "run",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    record = checkpoint.load_record(tmp_path / "run", "finetuned")
    assert record["data"]["train_count"] == 128 + 80
    assert record["origin"]["own_pictures"]["count"] == 2
    weights = checkpoint.load_checkpoint(tmp_path / "run", "finetuned").weights
    from trainer.figures import stored_logits

    images = torch.stack([torch.full((32, 32), v, dtype=torch.uint8) for v in (255, 0, 255)])[None]
    logits = stored_logits(weights, images, 32, torch.device("cpu"))
    assert CLASSES[int(logits.argmax())] == "frog"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--learning-rate", "nan"), "learning_rate must lie in"),
        (("--learning-rate", "-1"), "learning_rate must lie in"),
        (("--learning-rate", "inf"), "learning_rate must lie in"),
        (("--momentum", "1"), "below 1"),
        (("--epochs", "0"), "epochs must be"),
        (("--steps", "0"), "steps must be"),
        (("--images", "-5"), "images must be"),
        (("--batch-size", "100000000"), "batch_size must be"),
        (("--emphasise", "unicorn"), "not a class"),
        (("--start", "nowhere/none.safetensors"), "cannot be read"),
        (("--own", "/nowhere"), "holds no pictures"),
        (("--name", "../x"), "letters, digits"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(
    run_trainer: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    run = run_trainer("finetune", *QUICK, *arguments, "--out", tmp_path / "run")
    assert run.returncode != 0
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_emphasised_classes_are_drawn_more_often() -> None:
    train, _ = split_validation(load_dataset(sample=True))
    plain = choose_images(train, Settings(images=600))
    chosen = choose_images(train, Settings(images=600, emphasised=("cat",)))
    cat = CLASSES.index("cat")
    assert len(chosen) == len(plain) == 600
    assert (chosen.labels == cat).sum() > 1.5 * (plain.labels == cat).sum()
    again = choose_images(train, Settings(images=600, emphasised=("cat",)))
    assert torch.equal(chosen.images, again.images)
    everything = choose_images(train, Settings(images=50_000))
    assert torch.equal(everything.labels, train.labels)


def test_evaluated_images_are_spread_over_the_split() -> None:
    assert evaluated_rows(100, 10).tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert evaluated_rows(3, None).tolist() == evaluated_rows(3, 1000).tolist() == [0, 1, 2]


def test_settings_and_their_command_line_say_the_same() -> None:
    assert Settings.like(PRESETS["default"]["adam_full"], "adam_full").optimizer == "adam"
    assert Settings.like(None, "backbone").trained == "last_layer"
    settings = Settings(start="adam_full", emphasised=("cat", "dog"), augment=True, evaluated=100)
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
    arguments = settings.arguments()
    assert arguments[0] == "finetune"
    assert arguments[arguments.index("--emphasise") + 1] == "cat,dog"
    assert "--augment" in arguments
    with pytest.raises(RecipeError, match="not settings"):
        Settings.from_dict({"unknown": 1})
    with pytest.raises(RecipeError, match="start"):
        Settings(start="--out")
