import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import CHECKPOINTS
from trainer import checkpoint
from trainer.data import Dataset, load_sample_rows
from trainer.errors import CheckpointError
from trainer.predict import Quartet
from trainer.recipe import RECIPE_NAMES


@pytest.fixture(scope="module")
def quartet() -> Quartet:
    return Quartet(CHECKPOINTS)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped checkpoints, as links; replace one to damage it."""
    for path in CHECKPOINTS.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_answers_equal_the_recorded_predictions(quartet: Quartet, sample: Dataset) -> None:
    rows = load_sample_rows()
    recorded = {
        name: checkpoint.load_predictions(CHECKPOINTS, record).probabilities[rows]
        for name, record in quartet.records.items()
    }
    answers = quartet.classify(sample.test.images)
    assert list(answers.logits) == list(answers.seconds) == list(RECIPE_NAMES)
    for name, logits in answers.logits.items():
        weight, bias = quartet.body_of(name).heads[name]
        assert torch.allclose(answers.features[name] @ weight.T + bias, logits, atol=1e-4)
        assert len(answers.maps[name]) == len(logits)
        assert torch.allclose(logits.softmax(dim=1), recorded[name], atol=2e-3)


def test_frozen_pair_shares_one_backbone(quartet: Quartet) -> None:
    shared = [set(body.heads) for body in quartet._bodies.values()]
    assert {"sgd_frozen", "adam_frozen"} in shared
    assert len(shared) == 3


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_damaged_model_is_named_and_the_others_answer(
    copied: Path, sample: Dataset, name: str, damage: str
) -> None:
    path = copied / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    quartet = Quartet(copied)
    assert list(quartet.faults) == [name]
    assert f"{name}.safetensors" in str(quartet.faults[name])
    answers = quartet.classify(sample.test.images[:1])
    assert set(answers.logits) == set(RECIPE_NAMES) - {name}


def test_no_model_at_all_is_an_error(tmp_path: Path) -> None:
    shutil.copy(CHECKPOINTS / "sgd_full.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        Quartet(tmp_path)
