"""Lessons: what is declared, what was recorded, and words that are right whichever way runs go."""

import itertools
import math
import re
from typing import Any

import pytest

from demo.jobs.store import DONE, Job
from demo.lessons.figures import Runs
from demo.lessons.recorded import RECORDED, Spread, load_recorded
from demo.lessons.running import find_runs, plan_runs
from demo.lessons.table import (
    ADAM,
    ALL,
    ALONE,
    FORGETTING,
    FROZEN,
    GUESSING,
    HIGH,
    LAST,
    LESSONS,
    MIXED,
    OPTIMIZER,
    RATE,
    RIGHT,
    SGD,
    Lesson,
)
from demo.words import lessons as words
from demo.words import reasons
from tests.conftest import CHECKPOINTS
from tests.lessons import build_run
from trainer.checkpoint import load_record
from trainer.recipe import BACKBONE_OF, RECIPE_NAMES, JobSettings

RECIPES = {name: load_record(CHECKPOINTS, name).recipe for name in RECIPE_NAMES}


def explain(name: str, runs: Runs) -> list[str]:
    """The three sentences."""
    lesson = LESSONS[name]
    settings = {run: lesson.settings(run, RECIPES) for run in lesson.runs}
    return words.TOLD[name].explain(runs, settings)


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_two_runs_of_a_lesson_differ_in_one_setting(lesson: Lesson) -> None:
    one, two = (dict(settings) for settings in lesson.runs.values())
    assert sum(one[name] != two[name] for name in one) == 1
    assert words.TOLD[lesson.name].claims.keys() == lesson.effects.keys()


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_recorded_effects_are_as_claimed_under_every_seed(lesson: Lesson) -> None:
    """After new checkpoints or other settings: make lessons"""
    record = load_record(CHECKPOINTS, BACKBONE_OF)
    recorded = load_recorded(record.weights_sha256)
    assert recorded is not None, "docs/lessons.json is of other checkpoints"
    assert [one.seed for one in recorded.lessons[lesson.name]] == list(range(5))
    for name, spread in recorded.spreads(lesson).items():
        assert spread.held == len(spread.values) == 5, name
    page = RECORDED.with_suffix(".md").read_text()
    assert words.describe_seeds(lesson.name, recorded.spreads(lesson)) in page
    for run in lesson.runs:
        assert " ".join(lesson.settings(run, RECIPES).arguments()) in page


def test_a_record_of_other_models_is_not_shown() -> None:
    assert load_recorded("00" * 32) is None


@pytest.mark.parametrize(
    ("last", "every", "said"),
    [
        (0.5, 0.7, "freezing cost here: 20.0 points"),
        (0.7, 0.5, "no gain, all layers ended 20.0 points below"),
        (0.6, 0.6, "freezing cost nothing"),
    ],
)
def test_frozen_is_explained_by_who_ends_higher(last: float, every: float, said: str) -> None:
    sentences = explain(FROZEN, {LAST: build_run(last), ALL: build_run(every)})
    assert said in sentences[-1]
    assert len(sentences) == 3


@pytest.mark.parametrize(
    ("sgd", "adam", "steps", "said", "not_said"),
    [
        (0.7, 0.2, (0.01, 0.2), ["20 times as far", "undid what"], "better ones"),
        (0.2, 0.7, (0.01, 0.2), ["20 times as far", "the longer steps were the better"], "undid"),
        (0.7, 0.2, (0.2, 0.01), ["SGD's by 20.00 %: 20 times", "the longer steps were"], "undid"),
        (0.2, 0.7, (0.2, 0.01), ["20 times as far", "undid what"], "better ones"),
        (0.5, 0.5, (0.01, 0.2), ["no difference beyond chance"], "better ones"),
        (0.7, 0.2, (0.01, 0.02), ["the shorter steps were the better ones"], "undid"),
        (0.5, 0.1, (0.0, 0.0), ["SGD's by 0.00 %.", "does not tell them apart"], "times as far"),
    ],
)  # fmt: skip
def test_optimizers_are_explained_by_their_steps_and_ends(
    sgd: float, adam: float, steps: tuple[float, float], said: list[str], not_said: str
) -> None:
    runs = {SGD: build_run(sgd, step_size=steps[0]), ADAM: build_run(adam, step_size=steps[1])}
    text = " ".join(explain(OPTIMIZER, runs))
    assert all(part in text for part in said), text
    assert not_said not in text


@pytest.mark.parametrize(
    ("right", "high", "losses", "said", "not_said"),
    [
        (
            0.7,
            0.2,
            (2.9, 7.1, 3.0),
            ["7.10 at its worst", "that is divergence", "a tenth"],
            "It still",
        ),
        (
            0.7,
            0.2,
            (2.0, 1.9),
            ["stayed below that of guessing", "too coarse"],
            "that is divergence",
        ),
        (0.2, 0.7, (2.0, 0.5), ["ended higher"], "a tenth"),
        (0.5, 0.5, (2.0, 0.9), ["as chance explains"], "a tenth"),
        (0.2, 0.7, (2.0, 9.0, 0.5), ["that is diver", "ended higher"], "a tenth"),
    ],
)
def test_rates_are_explained_by_losses_and_ends(
    right: float, high: float, losses: tuple[float, ...], said: list[str], not_said: str
) -> None:
    runs = {RIGHT: build_run(right), HIGH: build_run(high, losses=losses)}
    text = " ".join(explain(RATE, runs))
    assert all(part in text for part in said), text
    assert not_said not in text


@pytest.mark.parametrize(
    ("alone", "mixed", "came_true", "said"),
    [
        (0.5, 0.78, reasons.LESS, "other images do just that"),
        (0.5, 0.5, reasons.BOTH, "too few"),
        (0.5, 0.4, reasons.BOTH, "too few"),
        (0.8, 0.5, reasons.KEPT, "cost the rest much"),
        (0.9, 0.8, reasons.KEPT, "cost the rest much"),
    ],
)
def test_forgetting_is_explained_by_what_was_forgotten(
    alone: float, mixed: float, came_true: str, said: str
) -> None:
    runs = {ALONE: build_run(alone, 0.8, leaning="cat"), MIXED: build_run(mixed, 0.8)}
    assert reasons.judge_forgetting(runs) == came_true
    sentences = explain(FORGETTING, runs)
    assert said in sentences[-1]
    if alone == 0.5:
        assert "it collapsed: it calls 55.0 % of the test images a cat" in sentences[1]
    if alone == 0.9:
        assert "it got better" in sentences[1]


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("ends", list(itertools.product((0.2, 0.5, 0.8), repeat=2)), ids=str)
def test_outcome_and_guess_follow_the_figures(name: str, ends: tuple[float, float]) -> None:
    """Whatever the ends, one guess came true, all else that could be guessed is told to be wrong,
    and why is told with both ends."""
    lesson, told = LESSONS[name], words.TOLD[name]
    runs = {run: build_run(end, 0.5) for run, end in zip(lesson.runs, ends, strict=True)}
    settings = {run: lesson.settings(run, RECIPES) for run in lesson.runs}
    outcome, sentences = words.describe_outcome(name, runs), told.explain(runs, settings)
    came_true = told.judge(runs)
    assert told.guesses[came_true] in outcome
    for guess in told.guesses:
        said = words.describe_guess(name, runs, guess)
        assert (said == "As you guessed.") == (guess == came_true)
    assert len(sentences) == 3
    assert {f"{100 * end:.1f} %" for end in ends} <= set(
        re.findall(r"[\d.]+ %", " ".join(sentences))
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.05, 0.1), "over 2 seeds: in every one, all layers ended 5.0 to 10.0 points above"),
        ((0.05, -0.1), "2 seeds: in 1 all layers ended 5.0 points above"),
        ((-0.05, -0.1), "2 seeds: in none all layers ended at all above"),
    ],
)
def test_seeds_that_go_the_other_way_are_told(values: tuple[float, ...], said: str) -> None:
    assert said in words.describe_seeds(FROZEN, {"unfrozen": Spread(values)})


def make_job(settings: JobSettings | None, number: int) -> Job:
    values: dict[str, Any] = dict.fromkeys(("created_s", "started_s", "ended_s", "process"))
    return Job(id=str(number), owner="", state=DONE, settings=settings, reason="", **values)


def test_runs_are_found_by_their_settings_and_shared_by_lessons() -> None:
    frozen, optimizer = LESSONS[FROZEN], LESSONS[OPTIMIZER]
    both = [frozen.settings(run, RECIPES, seed=7) for run in frozen.runs]
    assert plan_runs(frozen, RECIPES, [], 7) == both
    mine = [make_job(settings, number) for number, settings in enumerate([*both, None])]
    found = find_runs(frozen, RECIPES, mine[::-1])
    assert list(found) == list(frozen.runs)  # whichever ran last
    assert [job.settings for job in found.values()] == both
    # The other lesson has one of its two runs already: the missing one gets its seed.
    assert find_runs(optimizer, RECIPES, mine).keys() == {SGD}
    (missing,) = plan_runs(optimizer, RECIPES, mine, 8)
    assert missing == optimizer.settings(ADAM, RECIPES, seed=7)
    # All there: pressed again, both run under a new seed.
    assert [one.seed for one in plan_runs(frozen, RECIPES, mine, 8)] == [8, 8]
    newer = [make_job(frozen.settings(run, RECIPES, seed=9), 9) for run in frozen.runs]
    assert {job.id for job in find_runs(frozen, RECIPES, [*newer, *mine]).values()} == {"9"}
    assert {job.id for job in find_runs(frozen, RECIPES, [newer[0], *mine]).values()} == {"0", "1"}


def test_figures_that_words_take_for_granted() -> None:
    rates = [LESSONS[RATE].runs[name].learning_rate for name in (HIGH, RIGHT)]
    assert rates[0] == pytest.approx(10 * rates[1])
    assert pytest.approx(math.log(10)) == GUESSING
