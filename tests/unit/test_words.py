"""Sentences change with what they describe."""

import re
import string
from typing import Any

import pytest
import torch
from torch import Tensor

from demo import faults
from demo.jobs.hub import HubBackend
from demo.jobs.jobs import EARLIER
from demo.jobs.limits import Limits
from demo.jobs.local import LocalBackend
from demo.words import about, accuracy, common, compare, finetune
from tests.conftest import CHECKPOINTS
from tests.records import build_origin, build_record
from trainer import errors
from trainer.checkpoint import load_record
from trainer.errors import QuartetError, SettingError
from trainer.explain.perturbations import trace_confidence
from trainer.metrics import Overlap
from trainer.recipe import OWN_REPEATS, PLAIN_BACKBONE, RECIPE_NAMES, JobSettings
from trainer.record import Record


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    return {name: load_record(CHECKPOINTS, name) for name in RECIPE_NAMES}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("cat cat cat cat", "All four say cat."),
        ("cat cat dog dog", "Both with all layers trained say cat; both with only the last layer "
         "trained say dog."),
        ("cat dog cat dog", "Both trained by SGD say cat; both trained by Adam say dog."),
        ("cat dog dog cat", "SGD (all layers) and Adam (last layer) say cat; Adam (all layers) "
         "and SGD (last layer) say dog."),
        ("dog cat cat cat", "Three say cat; SGD (all layers) says dog."),
        ("cat cat dog frog", "Both with all layers trained say cat; SGD (last layer) says dog; "
         "Adam (last layer) says frog."),
        ("cat dog frog ship", "No two agree: SGD (all layers) says cat; Adam (all layers) says "
         "dog; SGD (last layer) says frog; Adam (last layer) says ship."),
    ],
)  # fmt: skip
def test_agreement_names_who_says_what(answers: str, sentence: str) -> None:
    named = dict(zip(common.LABELS, answers.split(), strict=True))
    assert compare.describe_agreement(named) == sentence


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"a": [3] * 9}, "No blur on this slider changes its answer."),
        ({"a": [3] * 9, "b": [5] * 9}, "No blur on this slider changes an answer."),
        ({"a": [3] * 3 + [5] * 6}, "A changes its mind, at 1.2 px."),
        (
            {"a": [3] * 8 + [5], "b": [3, 5] + [3] * 7, "c": [3] * 9},
            "B changes its mind first, at 0.4 px; C keeps its answer.",
        ),
        (
            {"a": [3] + [5] * 8, "b": [3, 5] + [3] * 7, "c": [1] * 9, "d": [2] * 9},
            "A and B change their minds, at 0.4 px; C and D keep their answers.",
        ),
    ],
)
def test_who_changes_its_mind_first_is_told(answers: dict[str, list[int]], said: str) -> None:
    def classify(images: Tensor) -> dict[str, Tensor]:
        return {name: torch.eye(10)[labels] for name, labels in answers.items()}

    curve = trace_confidence(classify, torch.zeros(3, 32, 32, dtype=torch.uint8), "blur")
    assert compare.describe_breaks(curve, {name: name.upper() for name in answers}) == said


def test_agreement_of_fewer_models() -> None:
    assert compare.describe_agreement({"sgd_full": "cat"}) == "The only model here says cat."
    assert compare.describe_agreement({"sgd_full": "cat", "adam_full": "cat"}) == "Both say cat."
    said = compare.describe_agreement({"sgd_full": "cat", "adam_full": "dog"})
    assert said == "No two agree: SGD (all layers) says cat; Adam (all layers) says dog."


@pytest.mark.parametrize(
    ("alone", "said"),
    [
        ((5, 6), "No real difference: of the 11 images that only one of the two gets right, "
         "Adam (all layers) has 6, which chance alone may explain (McNemar's exact test, "
         "p = 1.000)."),
        ((5, 5), "No real difference: of the 10 images that only one of the two gets right, each "
         "has 5 (McNemar's exact test, p = 1.000)."),
        ((5, 17), "Adam (all layers) is really better: of the 22 images that only one of the two "
         "gets right it has 17, more than chance explains (McNemar's exact test, p = 0.017)."),
        # 2 ** -1999 is below the smallest number that a float holds.
        ((2000, 0), "SGD (all layers) is really better: of the 2,000 images that only one of the "
         "two gets right it has 2,000, more than chance explains (McNemar's exact test, "
         "p < 0.001)."),
        ((0, 0), "SGD (all layers) and Adam (all layers) are right and wrong on the very same "
         "images."),
    ],
)  # fmt: skip
def test_paired_test_in_words_follows_the_figures(alone: tuple[int, int], said: str) -> None:
    assert accuracy.describe_overlap("sgd_full", "adam_full", Overlap(10, *alone, 1)) == said


def test_shown_counts_are_told_apart() -> None:
    assert accuracy.describe_shown(0, 0, 1, 1) == "No test image is here."
    assert accuracy.describe_shown(1, 1, 1, 1) == "1 test image."
    assert accuracy.describe_shown(134, 7, 1, 1) == "134 test images, 7 of them at hand."
    assert accuracy.describe_shown(134, 134, 2, 6) == "134 test images. Page 2 of 6."


def test_about_names_what_the_recipes_differ_in(records: dict[str, Record]) -> None:
    full, last, *_ = about.describe_differences(records)
    assert full == "With all layers trained, SGD and Adam differ in the optimizer alone."
    assert last == "With only the last layer trained, SGD and Adam differ in the optimizer alone."
    other = records["adam_full"].recipe.changed(epochs=records["adam_full"].recipe.epochs + 1)
    changed = {**records, "adam_full": records["adam_full"].model_copy(update={"recipe": other})}
    assert "differ in optimizer and epochs." in about.describe_differences(changed)[0]


def test_about_shows_every_setting_in_which_recipes_differ(records: dict[str, Record]) -> None:
    columns, rows = about.list_recipes(records)
    headers = [header for header, _ in columns]
    assert [row[0] for row in rows] == list(common.LABELS.values())
    assert [row[headers.index("batch size")] for row in rows] == [64, 64, 128, 128]
    assert {"schedule", "warm-up", "averaging of weights"} <= set(headers)
    assert "seed" not in headers


def test_same_images_are_claimed_only_where_they_are(records: dict[str, Record]) -> None:
    assert "All see the same 45,000 training images" in about.describe_experiment(records)
    data = records["adam_full"].data.model_copy(update={"train_count": 1_600})
    mixed = {**records, "adam_full": records["adam_full"].model_copy(update={"data": data})}
    assert "All see the same" not in about.describe_experiment(mixed)


def test_promise_of_deletion_follows_the_sweeper() -> None:
    limits = Limits(kept_s=2 * 3600.0, pictures_kept_s=7200.0, uploads_kept_s=5400.0)
    said = about.describe_keeping(limits)
    assert "90 minutes after it arrived" in said
    assert "2 hours" in said
    assert "24 hours" not in said
    assert "an hour after it arrived" in about.describe_keeping(Limits(uploads_kept_s=3600.0))


def test_what_jobs_leave_elsewhere_is_said() -> None:
    left = HubBackend.leaves
    assert "Hugging Face" in left
    assert f"\n- {left}\n\n" in about.describe_keeping(Limits(), left)
    assert finetune.ask_delete("0123456789abcdef", left).endswith(f"for good? {left}")
    assert finetune.ask_delete("0123456789abcdef", LocalBackend.leaves).endswith("for good?")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("sgd_full", "SGD, all layers"),
        (PLAIN_BACKBONE, common.PLAIN),
        (f"{EARLIER}0123456789abcdef", "job 012345"),
    ],
)
def test_model_card_tells_start_and_images_as_they_were(start: str, said: str) -> None:
    origin = build_origin(images=400)
    data = build_record().data.model_copy(update={"train_count": 400 + 2 * OWN_REPEATS})
    shipped = {"sgd_full": load_record(CHECKPOINTS, "sgd_full")}
    card = finetune.describe_model_card(build_record(origin=origin, data=data), start, shipped)
    assert f"| Start from | {said} |" in card
    assert "on 400 images of CIFAR-10 and 2 pictures of its owner's." in card
    assert "temperature" not in card
    divided = build_record(origin=origin, data=data, temperature=1.4)
    assert "divided by 1.4, a temperature" in finetune.describe_model_card(divided, start, shipped)


FACTS: dict[str, Any] = {
    "flag": "--learning-rate", "label": "Learning rate", "path": "/srv/data", "value": "None",
    "folder": "/srv/runs", "file": "sgd_full.safetensors", "name": "sgd_full", "fault": "/srv",
    "tensor": "bn1.running_mean", "reason": "No space left on device", "holder": "process 17",
    "fetch": "hf download uoft-cs/cifar10", "allowed": "a number", "learning_rate": 0.1,
}  # fmt: skip
NOT_FOR_VISITORS = re.compile(r"--|/|\w_\w|NoneType|python |\bhf |\.safetensors|Traceback")


@pytest.mark.parametrize("setting", ["learning_rate", "crop_padding_px"])
@pytest.mark.parametrize("code", sorted(errors.SENTENCES))
def test_no_error_shows_a_visitor_what_is_behind_the_screen(code: str, setting: str) -> None:
    template = errors.SENTENCES[code]
    fields = {field for _, field, _, _ in string.Formatter().parse(template) if field}
    facts = {**dict.fromkeys(fields, 7), **FACTS, "setting": setting}
    said = faults.explain(QuartetError(code, **facts))
    assert not NOT_FOR_VISITORS.search(said), said
    assert said.endswith(".")
    assert said[0].isupper()


def test_visitors_own_sentences_are_of_errors_that_exist() -> None:
    assert faults.SENTENCES.keys() <= errors.SENTENCES.keys()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate", -1, "Learning rate: give a number above 0 and up to 10."),
        ("epochs", None, "Epochs: give a whole number from 1 to 1,000."),
        ("epochs", 1.5, "Epochs: give a whole number from 1 to 1,000."),
        ("trained", "x", "What is trained: choose the last layer, the last block and layer or "
         "all layers."),
    ],
)  # fmt: skip
def test_wrong_setting_is_told_by_its_label(name: str, value: Any, said: str) -> None:
    with pytest.raises(SettingError) as error:
        JobSettings(**{name: value})
    assert faults.explain(error.value) == said
