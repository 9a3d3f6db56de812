import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from trainer import checkpoint
from trainer.checkpoint import CheckpointError
from trainer.model import build_model

NAME = "sgd_full"


def fresh(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return checkpoint.to_stored(build_model().state_dict())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(tmp_path, fresh(0))
    return tmp_path


def save(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    record: dict[str, Any] = {"format": checkpoint.RECORD_FORMAT, "name": NAME}
    predictions = checkpoint.Predictions(torch.full((5, 10), 0.1), torch.arange(5))
    checkpoint.save_checkpoint(folder, NAME, weights, {"format": "pt"}, predictions, record)


def rehash(folder: Path) -> None:
    """Makes the record agree with a changed weights file."""
    record = json.loads((folder / f"{NAME}.json").read_text())
    content = (folder / f"{NAME}.safetensors").read_bytes()
    record["weights_sha256"] = checkpoint._sha256(content)
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
    assert sorted(path.name for path in saved.iterdir()) == [
        f"{NAME}.json",
        f"{NAME}.predictions.safetensors",
        f"{NAME}.safetensors",
    ]


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
    weights = fresh(0)
    weights.pop(name, None)
    if value is not None:
        weights[name] = value
    (saved / f"{NAME}.safetensors").write_bytes(safetensors.torch.save(weights))
    rehash(saved)
    with pytest.raises(CheckpointError, match=said):
        checkpoint.load_checkpoint(saved, NAME)


def test_record_of_another_format_is_refused(saved: Path) -> None:
    (saved / f"{NAME}.json").write_text('{"format": 99}')
    with pytest.raises(CheckpointError, match="format 1"):
        checkpoint.load_checkpoint(saved, NAME)


OUT_OF_SPACE = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.test_checkpoint import fresh, save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))
save(Path(sys.argv[1]), fresh(1))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits file sizes with setrlimit")
def test_full_disk_leaves_the_old_checkpoint(saved: Path) -> None:
    """A file-size limit makes the real write fail half-way, as a full disk does."""
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, "-c", OUT_OF_SPACE, str(saved), str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert "File too large" in finished.stderr
    old = checkpoint.load_checkpoint(saved, NAME)
    assert torch.equal(old.weights["conv1.weight"], fresh(0)["conv1.weight"])
    assert len(list(saved.iterdir())) == 3


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
    assert checkpoint.load_newest_state(tmp_path, NAME) is None
    checkpoint.drop_states(tmp_path, NAME)
    assert not checkpoint.has_state(tmp_path, NAME)


def test_states_of_other_recipes_are_left_alone(tmp_path: Path) -> None:
    for name in ("sgd_full", "adam_full"):
        checkpoint.save_state(tmp_path, name, 1, {"x": torch.zeros(1)}, {"step": 1})
    checkpoint.drop_states(tmp_path, "sgd_full")
    assert checkpoint.load_newest_state(tmp_path, "adam_full") is not None
