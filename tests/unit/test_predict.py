import json
import shutil
from pathlib import Path

import pytest
import torch

from demo.models import OwnModel, list_answer
from tests.conftest import CHECKPOINTS, ROOT, Run
from tests.records import build_facts, build_record
from trainer import checkpoint
from trainer.calibration import temper
from trainer.data import Dataset, load_sample_rows
from trainer.decoding import shared_decoder
from trainer.errors import CheckpointError
from trainer.predict import Quartet, choose_decider
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


def test_detector_tells_noise_from_test_images(
    detecting: Path, sample: Dataset, generator: torch.Generator
) -> None:
    quartet = Quartet(detecting)
    assert quartet.decider == "sgd_frozen"
    noise = torch.randint(0, 256, (64, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images = torch.cat([sample.test.images, noise])
    familiar = quartet.classify(images).familiar
    assert familiar is not None
    own, foreign = familiar.split([len(sample.test), len(noise)])
    facts = quartet.records["sgd_frozen"].familiarity
    assert facts is not None
    # The folded pass equals the recorded one to rounding, so a picture on the edge may differ.
    assert (~own).double().mean().item() == pytest.approx(facts.test_false_alarms, abs=0.01)
    assert foreign.double().mean() < 0.1


def test_nothing_is_said_where_no_model_can_tell(detecting: Path, sample: Dataset) -> None:
    quartet = Quartet(detecting, ("sgd_full", "adam_frozen"))
    assert quartet.decider is None
    assert quartet.classify(sample.test.images[:2]).familiar is None
    # A full model's detector was fitted here, but measured on no photographs.
    assert Quartet(detecting, ("adam_full",)).decider is None


def test_model_with_a_damaged_detector_is_left_out(
    detecting: Path, sample: Dataset, tmp_path: Path
) -> None:
    for path in detecting.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "sgd_frozen.familiarity.safetensors").unlink()
    quartet = Quartet(tmp_path)
    assert list(quartet.faults) == ["sgd_frozen"]
    assert "sgd_frozen.familiarity.safetensors" in str(quartet.faults["sgd_frozen"])
    assert quartet.classify(sample.test.images[:1]).familiar is None


@pytest.mark.parametrize(
    ("photographs", "decider"),
    [
        ({}, "sgd_frozen"),
        ({"adam_frozen": (0.07, 0.6), "sgd_frozen": (0.05, 0.5)}, "adam_frozen"),
        # More than is allowed is held against it, whatever it notices.
        ({"sgd_full": (0.3, 0.9), "adam_frozen": (0.08, 0.5)}, "adam_frozen"),
        ({"sgd_full": (0.12, 0.5), "adam_frozen": (0.13, 0.9)}, "sgd_full"),
        # A measured one goes before those that nobody measured.
        ({"adam_full": (0.07, 0.5)}, "adam_full"),
        # One that notices less than it alarms falsely is of no use, nor does it make others so.
        ({"sgd_full": (0.05, 0.04), "sgd_frozen": (0.2, 0.6)}, "sgd_frozen"),
        ({"sgd_frozen": (0.4, 0.3)}, None),
    ],
)
def test_who_decides(photographs: dict[str, tuple[float, float]], decider: str | None) -> None:
    records = {
        name: build_record(
            name,
            familiarity=build_facts((32, 0.5, 0.1), (64, *photographs[name]))
            if name in photographs
            else build_facts(),
        )
        for name in RECIPE_NAMES
    }
    assert choose_decider(records) == decider
    assert choose_decider({name: build_record(name) for name in RECIPE_NAMES}) is None


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
    pictures = torch.from_numpy(pixels)[None]
    logits_of = quartet.classify(pictures).logits
    for name in ("sgd_full", "adam_frozen"):
        logits = logits_of[name]
        expected = temper(logits, TEMPERATURES[name])[0].tolist()
        assert list(told[name].values()) == pytest.approx(expected)
        answer = list_answer(OwnModel(tempered, name).look(pixels), 0)[name]
        assert list(answer["probabilities"].values()) == pytest.approx(expected)
        assert answer["answer"] == CLASSES[int(logits.argmax())]
