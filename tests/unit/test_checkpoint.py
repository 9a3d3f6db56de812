import contextlib
import functools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.records import build_facts, build_record
from trainer import checkpoint
from trainer.errors import CheckpointError, TrainingError
from trainer.familiarity import Familiarity, fit_familiarity
from trainer.files import hash_file
from trainer.model import build_model
from trainer.record import RECORD_FORMAT

NAME = "sgd_full"


@functools.cache
def fresh(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return checkpoint.to_stored(build_model().state_dict())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    save(folder, fresh(0))
    return folder


@pytest.fixture
def saved(whole: Path, tmp_path: Path) -> Path:
    """A whole checkpoint that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "saved"))


def save(folder: Path, weights: dict[str, torch.Tensor], start: torch.Tensor | None = None) -> None:
    predictions = checkpoint.Predictions(torch.full((5, 10), 0.1), torch.arange(5), start)
    record = build_record(NAME)
    checkpoint.save_checkpoint(folder, NAME, weights, {"format": "pt"}, predictions, record)


def rehash(folder: Path) -> None:
    """Makes the record agree with a changed weights file."""
    record = json.loads((folder / f"{NAME}.json").read_text())
    record["weights_sha256"] = hash_file(folder / f"{NAME}.safetensors")
    (folder / f"{NAME}.json").write_text(json.dumps(record))


def test_checkpoint_comes_back_as_saved(saved: Path) -> None:
    loaded = checkpoint.load_checkpoint(saved, NAME)
    weights = fresh(0)
    assert loaded.metadata == {"format": "pt"}
    assert all(torch.equal(loaded.weights[name], weights[name]) for name in weights)
    assert loaded.weights["conv1.weight"].dtype == torch.float16
    assert loaded.weights["bn1.running_var"].dtype == torch.float32
    predictions = checkpoint.load_predictions(saved, loaded.record)
    assert predictions.probabilities.shape == (5, 10)
    assert predictions.labels.tolist() == [0, 1, 2, 3, 4]
    assert predictions.start_probabilities is None
    assert loaded.record.recipe == build_record(NAME).recipe
    assert sorted(path.name for path in saved.iterdir()) == [
        f"{NAME}.json",
        f"{NAME}.predictions.safetensors",
        f"{NAME}.safetensors",
    ]


@pytest.fixture(scope="module")
def detector() -> Familiarity:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(700, 512, generator=generator)
    return fit_familiarity(features, torch.randn(10, 512, generator=generator), torch.zeros(10))


def test_a_detector_is_added_and_nothing_else_changes(saved: Path, detector: Familiarity) -> None:
    parts = (f"{NAME}.safetensors", f"{NAME}.predictions.safetensors")
    before = [(saved / part).read_bytes() for part in parts]
    old = checkpoint.load_record(saved, NAME)
    assert checkpoint.load_familiarity(saved, old) is None
    facts = build_facts((64, 0.07, 0.66))
    checkpoint.save_familiarity(saved, old.model_copy(update={"familiarity": facts}), detector)
    new = checkpoint.load_checkpoint(saved, NAME).record
    assert [(saved / part).read_bytes() for part in parts] == before
    assert new == old.model_copy(
        update={"familiarity": facts, "familiarity_sha256": new.familiarity_sha256}
    )
    found = checkpoint.load_familiarity(saved, new)
    assert found is not None
    assert torch.equal(found.directions, detector.directions)

    path = saved / f"{NAME}.familiarity.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"familiarity.safetensors is damaged"):
        checkpoint.load_familiarity(saved, new)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"familiarity.safetensors cannot be read"):
        checkpoint.load_familiarity(saved, new)


def test_no_detector_outlives_its_model(saved: Path, detector: Familiarity) -> None:
    record = build_record(NAME, familiarity=build_facts())
    checkpoint.save_familiarity(saved, record, detector)
    assert len(list(saved.iterdir())) == 4
    save(saved, fresh(0))
    assert len(list(saved.iterdir())) == 3


def test_the_record_is_written_last(tmp_path: Path) -> None:
    """A file that cannot be put in its place: what lies there is a folder with something in it."""
    (tmp_path / f"{NAME}.safetensors" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=NAME):
        save(tmp_path, fresh(0))
    assert not (tmp_path / f"{NAME}.json").exists()


def test_what_a_short_runs_start_said_is_kept(tmp_path: Path) -> None:
    said = torch.rand(5, 10)
    save(tmp_path, fresh(0), said)
    predictions = checkpoint.load_predictions(tmp_path, checkpoint.load_record(tmp_path, NAME))
    assert predictions.start_probabilities is not None
    assert torch.equal(predictions.start_probabilities, said)


@pytest.mark.parametrize("suffix", [".safetensors", ".predictions.safetensors", ".json"])
@pytest.mark.parametrize("damage", ["missing", "zeroed", "flipped", "cut", "empty"])
def test_damage_of_each_kind_is_named(saved: Path, suffix: str, damage: str) -> None:
    path = saved / f"{NAME}{suffix}"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0x10
    elif damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "zeroed":
        content[:] = bytes(len(content))
    elif damage == "empty":
        content.clear()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content)

    def load() -> None:
        checkpoint.load_predictions(saved, checkpoint.load_checkpoint(saved, NAME).record)

    with pytest.raises(CheckpointError, match=NAME):
        load()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fc.weight", torch.full((10, 512), float("nan")).half(), "not finite"),
        ("fc.bias", torch.full((10,), float("inf")).half(), "not finite"),
        ("fc.weight", torch.zeros(11, 512).half(), r"fc.weight is \(11, 512\)"),
        ("fc.weight", torch.zeros(10, 512), "float32"),
        ("extra", torch.zeros(1), "tensors"),
        ("fc.bias", None, "tensors"),
    ],
)
def test_wrong_tensors_with_a_right_hash_are_refused(
    saved: Path, name: str, value: torch.Tensor | None, said: str
) -> None:
    weights = dict(fresh(0))
    weights.pop(name, None)
    if value is not None:
        weights[name] = value
    (saved / f"{NAME}.safetensors").write_bytes(safetensors.torch.save(weights))
    rehash(saved)
    with pytest.raises(CheckpointError, match=said):
        checkpoint.load_checkpoint(saved, NAME)


def test_record_of_another_format_is_refused(saved: Path) -> None:
    (saved / f"{NAME}.json").write_text('{"format": 99}')
    with pytest.raises(CheckpointError, match=f"format {RECORD_FORMAT}"):
        checkpoint.load_checkpoint(saved, NAME)


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Makes the real write of a larger file fail half-way, as a full disk does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python ignores its signal
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(os.name != "posix", reason="limits file sizes with setrlimit")
def test_full_disk_leaves_the_old_checkpoint(saved: Path) -> None:
    with files_limited_to(10_000_000), pytest.raises(OSError, match="File too large"):
        save(saved, fresh(1))
    old = checkpoint.load_checkpoint(saved, NAME)
    assert torch.equal(old.weights["conv1.weight"], fresh(0)["conv1.weight"])
    assert checkpoint.load_predictions(saved, old.record).probabilities[0, 0] == pytest.approx(0.1)
    assert len(list(saved.iterdir())) == 3  # nothing half-written either


def test_files_are_readable_by_others(saved: Path) -> None:
    for path in saved.iterdir():
        assert path.stat().st_mode & 0o777 == 0o644


def states(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.state"))


def test_newest_whole_state_wins(tmp_path: Path) -> None:
    for step in (5, 40, 300):
        checkpoint.save_state(
            tmp_path, NAME, step, {"x": torch.full((3,), float(step))}, {"step": step}
        )
    assert len(states(tmp_path)) == checkpoint.KEPT_STATES
    found = checkpoint.load_newest_state(tmp_path, NAME)
    assert found is not None
    assert found[1] == {"step": 300}

    newest = states(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    found = checkpoint.load_newest_state(tmp_path, NAME)
    assert found is not None
    assert found[0]["x"].tolist() == [40.0] * 3

    states(tmp_path)[0].write_bytes(b"")
    with pytest.raises(TrainingError) as caught:
        checkpoint.load_newest_state(tmp_path, NAME)
    assert caught.value.code == "states_damaged"
    checkpoint.drop_states(tmp_path, NAME)
    assert not checkpoint.has_state(tmp_path, NAME)
    assert checkpoint.load_newest_state(tmp_path, NAME) is None


def test_states_of_other_recipes_are_left_alone(tmp_path: Path) -> None:
    for name in ("sgd_full", "adam_full"):
        checkpoint.save_state(tmp_path, name, 1, {"x": torch.zeros(1)}, {"step": 1})
    checkpoint.drop_states(tmp_path, "sgd_full")
    assert checkpoint.load_newest_state(tmp_path, "adam_full") is not None
