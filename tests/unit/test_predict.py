import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import CHECKPOINTS
from trainer import checkpoint
from trainer.checkpoint import CheckpointError
from trainer.data import Dataset, load_sample_rows
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
        name: checkpoint.load_probabilities(CHECKPOINTS, loaded.record)[rows]
        for name, loaded in quartet.checkpoints.items()
    }
    for index in range(0, 500, 83):
        logits = quartet.classify(sample.test.images[index].numpy())
        assert list(logits) == list(RECIPE_NAMES)
        for name, values in logits.items():
            assert torch.allclose(values.softmax(dim=0), recorded[name][index], atol=2e-3)


def test_frozen_pair_shares_one_backbone(quartet: Quartet) -> None:
    shared = [set(body.heads) for body in quartet._bodies]
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
    assert f"{name}.safetensors" in quartet.faults[name]
    answers = quartet.classify(sample.test.images[0].numpy())
    assert set(answers) == set(RECIPE_NAMES) - {name}


def test_no_model_at_all_is_an_error(tmp_path: Path) -> None:
    shutil.copy(CHECKPOINTS / "sgd_full.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        Quartet(tmp_path)
