"""What Compare answers beside the answers: why the models give them, without a browser."""

import contextlib
import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from demo.analyses import Analyses
from demo.banks import Banks
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.models import Models, OwnModel
from demo.tabs.compare import CompareTab
from demo.tabs.compare.mind import FIRST
from demo.tabs.shared import Shared
from demo.words import compare as words
from demo.words.common import LABELS, inline_label
from tests.conftest import CHECKPOINTS
from tests.jobs import store_done
from tests.page import REQUEST, draw_tabs, upload_cat
from trainer.data import Dataset, split_validation
from trainer.explain.analysed import FILE, Analysis
from trainer.explain.perturbations import PERTURBATIONS, trace_confidence
from trainer.explain.reason import longest_reason
from trainer.predict import Answers
from trainer.recipe import CLASSES
from trainer.wording import article, percent

OWNER = "the owner's token"


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(CHECKPOINTS)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        with contextlib.closing(Jobs(tmp_path_factory.mktemp("home"), CHECKPOINTS)) as jobs:
            yield jobs


def draw(models: Models, jobs: Jobs, folder: Path) -> CompareTab:
    """A page of one tab."""

    def make(shared: Shared) -> CompareTab:
        with gr.Tab() as tab:
            return CompareTab(shared, tab)

    return draw_tabs(make, models, jobs, folder)


@pytest.fixture(scope="module")
def compare(models: Models, jobs: Jobs, analysed: Path) -> CompareTab:
    return draw(models, jobs, analysed)


@pytest.fixture
def cat() -> dict[str, Any]:
    return upload_cat()


def hold(compare: CompareTab, file: Any, token: str | None = None, **chosen: str) -> dict[Any, Any]:
    """What the page holds once the answers to a picture have come."""
    shown = compare.on_picture(file, "centre", token, REQUEST)
    assert "<article" in shown[compare.cards]
    return {
        compare.shown: shown[compare.shown],
        compare.picture: file,
        compare.crop: "centre",
        compare._owner: token,
        compare.asked: chosen.get("asked", "answer"),
        compare.kind: chosen.get("kind", FIRST),
    }


def split_parts(reasons: str) -> dict[str, str]:
    """Model to what goes into its card."""
    _, *parts = re.split(r'<div hidden data-part="(\w+)">', reasons)
    return {name: html.unescape(part) for name, part in zip(parts[::2], parts[1::2], strict=True)}


def find_heat(part: str) -> str:
    (source,) = re.findall(r'<button[^>]*class="q-heat"[^>]*><img src="([^"]+)"', part)
    return str(source)


def test_explanations_are_of_the_picture_on_screen_and_of_its_one_pass(
    compare: CompareTab, models: Models, cat: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    classify = models.quartet.classify

    def count(images: torch.Tensor) -> Answers:
        asked.append(len(images))
        return classify(images)

    monkeypatch.setattr(models.quartet, "classify", count)
    values = hold(compare, cat)
    reasons = compare.on_explain(values, REQUEST)[compare.reasons]
    compare.on_explain({**values, compare.asked: "ship"}, REQUEST)
    assert asked == [1]
    compare.on_mind(values, REQUEST)
    compare.on_mind(values, REQUEST)
    assert asked == [1, len(PERTURBATIONS[FIRST].amounts)]
    assert f'data-of="{values[compare.shown]}"' in reasons
    parts = split_parts(reasons)
    assert list(parts) == list(LABELS)
    look = models.recall(values[compare.shown])
    assert look is not None
    for name, part in parts.items():
        bank = compare._banks.find(name)
        assert bank is not None
        found = bank.find(look.answers.features[name])
        shown = re.findall(r'<img class="q-pixels" src="data:image/webp[^"]+" alt="([^"]+)"', part)
        assert shown == [article(CLASSES[label]) for label in found.labels[0].tolist()]
        answer = look.said["models"][name]["answer"]
        assert f"looked, for {answer}:" in part
        assert find_heat(part).startswith("data:image/webp")
        assert re.search(rf"<p>(Clearly|Narrowly) {article(answer)} \(", part)


def test_room_in_the_cards_is_drawn_like_what_comes(
    compare: CompareTab, cat: dict[str, Any]
) -> None:
    cards = compare.on_picture(cat, "centre", None, REQUEST)[compare.cards]
    reasons = compare.on_explain(hold(compare, cat), REQUEST)[compare.reasons]
    assert "<img" not in cards
    for part in ('class="q-heat"', "<figcaption", 'aria-hidden="true"'):
        assert cards.count(part) == reasons.count(part) >= 4
    assert cards.count("<span></span>") == reasons.count('class="q-pixels"') == 32
    for said in re.findall(r'<div class="q-reason"><p>(.+?)</p>', reasons):
        assert len(html.unescape(said)) <= len(longest_reason(familiar=False, compared=True))


def test_another_class_changes_the_heat_and_nothing_else(
    compare: CompareTab, cat: dict[str, Any]
) -> None:
    own = split_parts(compare.on_explain(hold(compare, cat), REQUEST)[compare.reasons])
    drawn = compare.on_explain(hold(compare, cat, asked="ship"), REQUEST)[compare.reasons]
    assert f'data-asked="{CLASSES.index("ship")}"' in drawn
    for name, part in split_parts(drawn).items():
        assert "looked, for ship:" in part
        assert find_heat(part) != find_heat(own[name])
        like, reason = r'<div class="q-like">.*?</div>', r'<div class="q-reason">.*?</div>'
        for same in (like, reason):
            assert re.findall(same, part, re.DOTALL) == re.findall(same, own[name], re.DOTALL)
    unknown = compare.on_explain(hold(compare, cat, asked="cow"), REQUEST)[compare.reasons]
    assert split_parts(unknown) == own


def test_picture_that_is_no_longer_kept_is_read_again(
    compare: CompareTab, models: Models, cat: dict[str, Any]
) -> None:
    values = hold(compare, cat)
    first = compare.on_explain(values, REQUEST)
    models._looks._values.clear()
    assert compare.on_explain(values, REQUEST) == first
    models._looks._values.clear()
    for mark, file in (("", cat), ("unknown", None), (5, cat)):
        nothing = {**values, compare.shown: mark, compare.picture: file}
        assert compare.on_explain(nothing, REQUEST) == {compare.reasons: ""}
        assert compare.on_mind(nothing, REQUEST) == {compare.mind: ""}
    shown = compare.on_picture(None, "centre", None, REQUEST)
    assert (shown[compare.cards], shown[compare.shown]) == ("", "")


def test_slider_shows_the_curve_of_the_models(
    compare: CompareTab, models: Models, cat: dict[str, Any]
) -> None:
    values = hold(compare, cat, kind="noise")
    mind = html.unescape(compare.on_mind(values, REQUEST)[compare.mind])
    look = models.recall(values[compare.shown])
    assert look is not None
    curve = trace_confidence(
        lambda images: models.quartet.classify(images).probabilities,
        torch.from_numpy(look.pixels),
        "noise",
    )
    assert words.describe_breaks(curve, {name: inline_label(name) for name in LABELS}) in mind
    steps = re.split(r'<div class="q-step[ "]', mind)[1:]
    assert len(steps) == len(curve.perturbation.amounts)
    for index, step in enumerate(steps):
        for name, label in LABELS.items():
            share = percent(float(curve.confidence[name][index]))
            assert re.search(rf"{label}</span><span>\w+ <b>{re.escape(share)}</b>", step)
    crosses = sum(amount is not None for amount in curve.breaks.values())
    assert mind.count("<path ") == crosses
    nonsense = compare.on_mind({**values, compare.kind: "fire"}, REQUEST)
    assert nonsense == compare.on_mind({**values, compare.kind: FIRST}, REQUEST)


def test_without_an_analysis_the_rest_is_explained_and_a_sentence_says_so(
    models: Models, jobs: Jobs, cat: dict[str, Any], tmp_path: Path
) -> None:
    compare = draw(models, jobs, tmp_path)
    values = hold(compare, cat)
    drawn = html.unescape(compare.on_explain(values, REQUEST)[compare.reasons])
    assert words.UNPREPARED in drawn
    assert "python" not in drawn
    assert FILE not in drawn
    for part in split_parts(drawn).values():
        assert find_heat(part)
        assert "q-like" not in part
        assert "training images" not in part
    assert "q-like" not in compare.on_picture(cat, "centre", None, REQUEST)[compare.cards]
    assert "<polyline" in compare.on_mind(values, REQUEST)[compare.mind]


def test_own_model_is_explained_like_the_four(
    compare: CompareTab, jobs: Jobs, cat: dict[str, Any]
) -> None:
    store_done(jobs, OWNER, "sgd_frozen", "sgd_frozen")
    values = hold(compare, cat, OWNER)
    parts = split_parts(compare.on_explain(values, REQUEST)[compare.reasons])
    assert list(parts) == [*LABELS, NAME]
    own, like = (re.findall(r'alt="(\w+ \w+)"', parts[name]) for name in (NAME, "sgd_frozen"))
    assert own == like, "one backbone, one bank"
    assert compare.on_mind(values, REQUEST)[compare.mind].count("<polyline") == 5
    other = hold(compare, cat, "someone else")
    assert values[compare.shown] != other[compare.shown]
    assert len(split_parts(compare.on_explain(other, REQUEST)[compare.reasons])) == 4


def test_bank_of_a_backbone_that_is_none_of_the_fours_is_computed_once(
    models: Models, analysis: Analysis, analysed: Path, few: Dataset
) -> None:
    analyses = Analyses(analysed, models.records)
    known = {name: bank for name, bank in analysis.banks.items() if name != "adam_full"}
    analyses.analysis = dataclasses.replace(analysis, banks=known)
    banks = Banks(analyses, models)
    banks.training = split_validation(few)[0]
    own = OwnModel(CHECKPOINTS, "adam_full")
    assert banks.find_own(OwnModel(CHECKPOINTS, "sgd_full")) is known["sgd_full"]
    banks.find_own(own)
    banks._worker.submit(int).result()  # what was begun before is done
    bank = banks.find_own(own)
    assert bank is not None
    assert banks.find_own(own) is bank
    apart = (bank.vectors.int() - analysis.banks["adam_full"].vectors.int()).abs()
    assert apart.max() <= 1, "rounded otherwise in another batch at most"
