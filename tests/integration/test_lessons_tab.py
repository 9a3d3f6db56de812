"""The Lessons tab without a browser: its handlers are called with what a browser would hold."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.store import create_token
from demo.jobs.words import REFUSALS
from demo.lessons.recorded import Recorded, RecordedSeed
from demo.lessons.running import find_runs
from demo.lessons.table import ALONE, FORGETTING, FROZEN, LESSONS, MIXED, OPTIMIZER
from demo.models import Models
from demo.tabs import lessons as lessons_tab
from demo.tabs.changes import Shown
from demo.tabs.lessons import LessonsTab
from demo.tabs.shared import Shared
from demo.uploads import encode_pixels
from demo.words import lessons as words
from demo.words.common import LESSONS_TAB
from tests.conftest import CHECKPOINTS
from tests.lessons import build_run
from tests.page import Browser, click, draw_tabs
from trainer.wording import percent

PATIENCE_S = 120


class Page(Browser):
    """The tab, and what a visitor's browser holds of it."""

    def __init__(self, tab: LessonsTab, shared: Shared) -> None:
        super().__init__()
        self.tab, self.jobs, self.shared = tab, shared.jobs, shared
        self.values = {
            shared.owner: create_token(), tab.chosen: FROZEN, tab.kept: "", tab.guess: None,
            tab.sent: {},
        }  # fmt: skip

    @property
    def token(self) -> str:
        return str(self.values[self.shared.owner])

    def choose(self, name: str, guess: str | None = None) -> Shown:
        """Another lesson, and a guess."""
        answer = self.show(self.tab.on_choose(self.values, click(name)))
        self.values[self.tab.guess] = guess
        return answer

    def run(self) -> Shown:
        return self.show(self.tab.on_run(self.values))


def make_recorded() -> Recorded:
    """Under one seed, one run ends at 60 %, the other at 70 %."""
    return Recorded(
        weights_sha256="",
        lessons={
            name: (
                RecordedSeed(
                    seed=0,
                    seconds=7.0,
                    runs={
                        run: build_run(end, 0.5)
                        for run, end in zip(lesson.runs, (0.6, 0.7), strict=True)
                    },
                ),
            )
            for name, lesson in LESSONS.items()
        },
    )


@functools.cache
def load_models() -> Models:
    return Models(CHECKPOINTS)


@contextlib.contextmanager
def drawn(home: Path, **limits: int) -> Iterator[Page]:
    """The tab over the shipped models."""

    def make(shared: Shared) -> Page:
        with gr.Tab(LESSONS_TAB, id=LESSONS_TAB) as tab:
            return Page(LessonsTab(shared, tab), shared)

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        patch.setattr(lessons_tab, "load_recorded", lambda _: make_recorded())
        with contextlib.closing(Jobs(home, CHECKPOINTS, Limits(**limits))) as jobs:
            jobs.backend.full_data = False
            yield draw_tabs(make, load_models(), jobs)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """No job ever runs."""
    with drawn(tmp_path, running=0) as page:
        yield page


def test_nothing_starts_and_nothing_is_told_before_a_guess(page: Page) -> None:
    for press in (page.tab.on_run, page.tab.on_show):
        page.values[page.tab.sent] = {}
        answer = page.show(press(page.values))
        assert words.GUESS_FIRST in answer[page.tab.said]
        assert not answer.get(page.tab.result)
    assert page.jobs.of_owner(page.token) == []
    page.values[page.tab.guess] = "a guess that is none"
    page.run()
    assert page.jobs.of_owner(page.token) == []


def test_both_runs_are_queued_and_found_again_by_a_page_that_is_opened_anew(page: Page) -> None:
    page.values[page.tab.guess] = "all"
    answer = page.run()
    lesson = LESSONS[FROZEN]
    found = find_runs(lesson, page.tab.recipes, page.jobs.of_owner(page.token))
    assert found.keys() == lesson.runs.keys()
    states = answer[page.tab.states]
    assert states.count("Waiting") == 2
    for job in found.values():
        assert f"?job={job.id}.{job.key}" in states
    assert answer[page.tab.timer].active is True
    page.values[page.tab.sent] = {}
    assert page.show(page.tab.on_look(page.values))[page.tab.states] == states
    # Another lesson shares a run, and says nothing before it is run itself.
    answer = page.choose(OPTIMIZER, "sgd")
    assert answer[page.tab.seen].visible is False
    page.run()
    assert len(page.jobs.of_owner(page.token)) == 3


def test_without_room_nothing_is_left_queued_and_what_was_recorded_is_shown(page: Page) -> None:
    page.values[page.tab.guess] = "all"
    page.run()
    assert len(page.jobs.of_owner(page.token)) == 2  # of three that a visitor may have
    page.choose(FORGETTING, "less")
    answer = page.run()
    assert REFUSALS["own_cap"].format(jobs=3) in answer[page.tab.said]
    assert len(page.jobs.of_owner(page.token)) == 2
    assert page.jobs.pictures.of_owner(page.token) == []
    assert "70.0 %" in answer[page.tab.states]
    assert words.RECORDED in answer[page.tab.states]
    answer = page.choose(FROZEN)
    assert words.RECORDED not in answer[page.tab.states]


def test_what_was_recorded_is_told_with_the_guess_and_the_seeds(page: Page) -> None:
    page.values[page.tab.guess] = "last"
    answer = page.show(page.tab.on_show(page.values))
    result = answer[page.tab.result]
    assert "You guessed otherwise: the one that trains the last layer alone" in result
    assert "Recorded over 1 seed: in every one, all layers ended 10.0 points" in result
    assert list(answer[page.tab.accuracy][words.CURVE].unique()) == [
        "last layer alone",
        "all layers",
    ]
    page.values[page.tab.guess] = "all"
    assert "As you guessed." in page.show(page.tab.on_look(page.values))[page.tab.result]


def test_link_opens_its_lesson_and_any_other_word_the_first(page: Page) -> None:
    def load(query: dict[str, str]) -> Shown:
        request = gr.Request(query_params=query)
        page.values[page.tab.sent] = {}
        return page.show(page.tab.on_load(page.values, request))

    tabs = page.shared.tabs
    answer = load({"lesson": FORGETTING})
    assert answer[tabs].selected == LESSONS_TAB
    assert words.TOLD[FORGETTING].title in answer[page.tab.question]
    assert answer[page.tab.link] == {"lesson": FORGETTING}
    answer = load({"tab": "lessons", "lesson": "x" * 5000})
    assert answer[page.tab.link] == {"lesson": FORGETTING}  # what the page showed
    assert tabs not in load({"tab": "accuracy"})
    page.show(page.tab.on_choose(page.values, gr.EventData(None, {"choice": ["no lesson"]})))
    assert page.values[page.tab.chosen] == FORGETTING


def test_pictures_taught_are_the_visitors_where_there_are_any(tmp_path: Path) -> None:
    """A whole lesson, run: its start's mistakes are taught, then a visitor's own picture."""
    with drawn(tmp_path) as page:
        answer = page.choose(FORGETTING, "less")
        assert "5 cats that it takes for dogs" in answer[page.tab.question]
        assert answer[page.tab.question].count("data:image/png") == 5
        page.run()
        token, lesson = page.token, LESSONS[FORGETTING]
        mine = page.jobs.of_owner
        assert page.jobs.wait(lambda: all(job.ended for job in mine(token)), PATIENCE_S)
        answer = page.show(page.tab.on_look(page.values))
        found = find_runs(lesson, page.tab.recipes, mine(token))
        for job in found.values():
            assert len(list(page.jobs.folder(job).glob("own/cat/*.png"))) == 5
        runs = page.tab.read_runs(found)
        assert runs is not None
        assert runs[MIXED].images == runs[ALONE].images + 500
        for run in runs.values():
            assert percent(run.test_after) in answer[page.tab.states]
            assert run.test_before == runs[ALONE].test_before
        assert answer[page.tab.timer].active is False
        assert page.jobs.pictures.of_owner(token) == []
        pixels = page.shared.gallery.split.images[0].numpy()
        page.jobs.pictures.add(token, "ship", encode_pixels(pixels))
        answer = page.show(page.tab.on_look(page.values))
        assert "your 1 picture (1 ship)" in answer[page.tab.question]
