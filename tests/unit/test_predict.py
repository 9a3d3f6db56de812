import json
import shutil
from pathlib import Path

import pytest
import torch

from demo.models import OwnModel
from tests.conftest import CHECKPOINTS, ROOT, Run
from trainer import checkpoint
from trainer.calibration import temper
from trainer.data import Dataset, load_sample_rows
from trainer.decoding import shared_decoder
from trainer.errors import CheckpointError
from trainer.predict import Quartet
from trainer.recipe import CLASSES, RECIPE_NAMES

TEMPERATURES = {"sgd_full": 3.0, "adam_full": 1.0, "sgd_frozen": 1.1, "adam_frozen": 0.5}


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


@pytest.fixture
def tempered(copied: Path) -> Path:
    """The shipped checkpoints, with the temperatures of `TEMPERATURES` in their records."""
    for name, temperature in TEMPERATURES.items():
        record = checkpoint.load_record(CHECKPOINTS, name)
        path = copied / f"{name}.json"
        path.unlink()
        path.write_text(record.model_copy(update={"temperature": temperature}).as_json())
    return copied


def test_a_temperature_changes_what_is_stated_and_no_answer(
    quartet: Quartet, tempered: Path, sample: Dataset
) -> None:
    logits = quartet.classify(sample.test.images).logits
    divided = Quartet(tempered).classify(sample.test.images)
    for name, temperature in TEMPERATURES.items():
        assert torch.equal(divided.logits[name], logits[name])
        stated, plain = divided.probabilities[name], temper(logits[name], 1.0)
        assert torch.equal(stated, temper(logits[name], temperature))
        assert torch.equal(stated.argmax(dim=1), logits[name].argmax(dim=1))
        sure, before = (one.amax(dim=1).mean().item() for one in (stated, plain))
        assert (sure < before, sure > before) == (temperature > 1, temperature < 1)


def test_command_line_and_app_state_the_divided_probabilities(
    quartet: Quartet, tempered: Path, run_here: Run
) -> None:
    picture = ROOT / "trainer" / "sample" / "example.png"
    run = run_here("predict", picture, "--checkpoints", tempered, "--json")
    (told,) = json.loads(run.stdout).values()
    pixels = shared_decoder().decode(picture.read_bytes())
    all_logits = quartet.classify(torch.from_numpy(pixels)[None]).logits
    for name in ("sgd_full", "adam_frozen"):
        logits = all_logits[name]
        expected = temper(logits, TEMPERATURES[name])[0].tolist()
        assert list(told[name].values()) == pytest.approx(expected)
        answer = OwnModel(tempered, name).classify(pixels)
        assert list(answer["probabilities"].values()) == pytest.approx(expected)
        assert answer["answer"] == CLASSES[int(logits.argmax())]
        plain = OwnModel(CHECKPOINTS, name).classify(pixels)
        assert (answer["energy"], answer["familiar"]) == (plain["energy"], plain["familiar"])
