"""What training changed, without a browser: the tab's handlers are called with what one holds."""

import contextlib
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from demo.answers import RecordedAnswers
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.rates import RateMap
from demo.jobs.store import Job, create_token
from demo.models import Models
from demo.own_changes import OWN_FILE, OwnChanges
from demo.tabs.changed import ChangedTab, Given
from demo.tabs.changed.maps import MapPart, find_rows
from demo.tabs.changed.paths import PathPart
from demo.tabs.changed.scene import Scene
from demo.tabs.changed.steps import draw_steps
from demo.tabs.changed.view import View
from demo.tabs.changes import Shown
from demo.tabs.shared import Shared
from demo.words import changed as words
from demo.words import training
from demo.words.common import LABELS, OWN_MODEL, PLAIN
from tests.analysis import GUESS, build_own
from tests.conftest import CHECKPOINTS, ROOT
from tests.jobs import store_done
from tests.page import REQUEST, Browser, click, draw_tabs, upload_cat
from tests.records import build_record
from trainer.data import Dataset, load_sample_rows, split_validation
from trainer.explain.analysed import PathFacts, save_analysis
from trainer.explain.plane import measure_separation
from trainer.explain.sweep import load_sweep
from trainer.recipe import CLASSES, PLAIN_BACKBONE
from trainer.wording import count


class Page(Browser):
    """A tab, and what a browser holds of it."""

    def __init__(self, tab: ChangedTab, models: Models) -> None:
        super().__init__()
        self.tab, self.models = tab, models
        given, view = tab._given, tab.first_view
        self.values = {control: getattr(view, name) for name, control in tab._controls.items()}
        self.values |= {tab.link: {}, tab.sent: {}, tab._shared.owner: create_token()}
        self.values |= {given.picture: upload_cat(), given.crop: "centre", given.cell: None}

    @property
    def maps(self) -> MapPart:
        assert self.tab.maps is not None
        return self.tab.maps

    @property
    def paths(self) -> PathPart:
        assert self.tab.paths is not None
        return self.tab.paths

    @property
    def scene(self) -> Scene:
        scene = self.tab._find_scene(self.values, REQUEST)
        assert scene is not None
        return scene

    def open(self) -> Shown:
        return self.show(self.tab.on_open(self.values, REQUEST))

    def choose(self, **given: Any) -> Shown:
        for name, value in given.items():
            self.values[self.tab._controls[name]] = value
        return self.show(self.tab.on_open(self.values, REQUEST))

    def press(self, choice: str) -> Shown:
        return self.show(self.tab.on_map(self.values, click(choice), REQUEST))


@pytest.fixture(scope="module")
def tabs(
    invented: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, tuple[ChangedTab, Models]]]:
    """The tab over models that were analysed, and over such that were not."""
    plain = tmp_path_factory.mktemp("plain")
    for path in CHECKPOINTS.glob("*_f*"):
        (plain / path.name).symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        with contextlib.closing(Jobs(tmp_path_factory.mktemp("home"), CHECKPOINTS)) as jobs:
            yield {folder: draw(folder, jobs) for folder in (invented, plain)}


def draw(folder: Path, jobs: Jobs) -> tuple[ChangedTab, Models]:
    models = Models(folder)

    def make(shared: Shared) -> ChangedTab:
        rates = RateMap(folder, models.records)
        owns = OwnChanges(folder, shared.analyses, models, jobs)
        with gr.Tab() as tab:
            picture, crop, cell = gr.Image(), gr.Radio(), gr.JSON()
            given = Given(picture, crop, cell, RecordedAnswers(models), rates, owns, folder)
            return ChangedTab(shared, tab, given)

    return draw_tabs(make, models, jobs, folder), models


@pytest.fixture
def page(tabs: dict[Path, tuple[ChangedTab, Models]], invented: Path) -> Page:
    return Page(*tabs[invented])


@pytest.fixture
def bare(tabs: dict[Path, tuple[ChangedTab, Models]], invented: Path) -> Page:
    """Where nothing was computed."""
    return Page(*next(drawn for folder, drawn in tabs.items() if folder != invented))


def give_job(
    page: Page, name: str, start: str = PLAIN_BACKBONE, image_px: int | None = None
) -> Job:
    """A finished job of the visitor's, whose model is one of the four."""
    owner = page.tab._shared.owner
    return store_done(page.tab._shared.jobs, page.values[owner], name, start, image_px)


def test_figures_say_what_their_numbers_do(page: Page) -> None:
    shown = page.open()
    layers = shown[page.tab.layers]
    assert "SGD (last layer) and Adam (last layer) lie flat at zero, not one of 20" in layers
    assert "Adam (all layers) moved every part of the network 2.5 times as far as SGD" in layers
    assert "those of Adam (all layers) in the 512 features (0.00)" in layers
    assert layers.count("<polyline") == 8
    assert layers.count("stroke-dasharray") == 2  # who covers another is dashed
    for part, said in words.CANNOT_TELL.items():
        assert said.rstrip(".") in " ".join((ROOT / "docs/explained.md").read_text().split()), part


def test_maps_mark_the_picture_and_light_up_the_cell(page: Page, sample: Dataset) -> None:
    maps = page.open()[page.maps.maps]
    assert maps.count("<button") == 3  # the frozen pair has one backbone
    assert "SGD and Adam, last layer" in maps
    assert maps.count('class="q-star"') == 3
    assert maps.count("h0") == 3 * len(sample.test)
    assert words.NO_CELL in maps
    page.values[page.tab._given.cell] = ["sgd_full", 3, 5]
    maps = page.open()[page.maps.maps]
    predicted = page.models.predictions["sgd_full"].probabilities.argmax(1)[load_sample_rows()]
    lit = int(((sample.test.labels == 3) & (predicted == 5)).sum())
    assert 0 < maps.count('class="q-lit"') == 3 * lit
    assert (
        f"{count(lit, 'image')} in the cell chosen under Accuracy: true cat, predicted dog" in maps
    )
    for wrong in ("x", ["sgd_full", 3], ["x", 3, 5], ["sgd_full", 3, 10], ["sgd_full", "3", 5]):
        page.values |= {page.tab._given.cell: wrong, page.tab.sent: {}}
        assert words.NO_CELL in page.open()[page.maps.maps]


def test_place_on_a_map_shows_the_images_there(page: Page, sample: Dataset) -> None:
    """In the invented analysis the images of a class lie together."""
    page.open()
    for label in (0, 4):
        row = int((sample.test.labels == label).nonzero()[0])
        x, y = page.scene.places["sgd_full"][row].round().int().tolist()
        shown = page.press(f"sgd_full,{x},{y}")
        assert shown[page.maps.images].count(f"<strong>{CLASSES[label]}</strong>") == 12
        assert shown[page.maps.maps].count("<circle") == 3 * 12
        assert f'data-choice="sgd_full,{x},{y}"' in shown[page.maps.maps]
        assert shown[page.tab.link]["spot"] == f"sgd_full,{x},{y}"
    for wrong in ("adam_frozen,1,1", "sgd_full,101,1", "sgd_full,1", "", "sgd_full,-1,x"):
        with pytest.raises(gr.Error, match="Choose a place"):
            page.press(wrong)


def test_class_is_picked_out(page: Page) -> None:
    page.open()
    assert page.choose(shown="cat")[page.maps.maps].count('stroke-opacity=".1"') == 3 * 9
    assert page.maps.maps in page.choose(shown="all")
    assert page.maps.maps not in page.choose(shown="cow")


def test_path_leads_from_a_guess_to_the_model(page: Page) -> None:
    """Its ends say, and how surely, what Compare says of the models themselves."""
    answer = page.open()[page.paths.answer]
    assert f"Here the backbone says {CLASSES[GUESS]}" in answer
    assert "50 of 500 test images are right" in answer
    picture = page.tab._read_picture(page.values, REQUEST, page.scene)
    assert picture.pixels is not None
    said = page.models.classify(picture.pixels)["models"]
    for name, label in (("sgd_full", "SGD (all layers)"), ("adam_frozen", "Adam (last layer)")):
        page.choose(path=f"{PLAIN_BACKBONE}-{name}", place=40)
        answer = page.choose(place=100)[page.paths.answer]
        assert f"Here {label} says {said[name]['answer']}" in answer
        shares = page.paths.classify(page.scene, f"{PLAIN_BACKBONE}-{name}", 1.0, picture)
        assert shares is not None
        assert shares.max().item() == pytest.approx(
            max(said[name]["probabilities"].values()), abs=1e-3
        )
    between = page.choose(path="sgd_full-adam_full", place=25)[page.paths.answer]
    assert "Here the mixture says" in between
    assert "0 % (400 of 500 test images right) and 50 % (60)" in between


def test_own_model_whose_last_layer_was_trained_has_moved_nowhere(page: Page) -> None:
    page.open()
    give_job(page, "adam_frozen")
    shown = page.open()
    assert set(page.scene.analysis.facts.models[NAME].movement.values()) == {0.0}
    assert shown[page.tab.layers].count("<polyline") == 10
    assert f"not one of its 20 layers moved from {PLAIN}" in shown[page.tab.layers]
    assert "exactly 1 everywhere" in shown[page.tab.layers]
    title = "SGD (last layer), Adam (last layer) and your job's model</figcaption>"
    assert title in html.unescape(shown[page.maps.maps])
    assert shown[page.maps.maps].count("<button") == 3, "its backbone is the frozen pair's"
    assert f"<figcaption>{OWN_MODEL}" in html.unescape(shown[page.tab.steps])
    said = shown[page.tab.own.told].value
    assert "the path from its start is computed when you ask" in said.lower()
    assert shown[page.tab.own.compute].visible


def test_own_model_that_was_trained_whole_is_seen_by_its_owner_alone(
    page: Page, tabs: dict[Path, tuple[ChangedTab, Models]], invented: Path
) -> None:
    job = give_job(page, "adam_full", "sgd_full")
    shown = page.open()
    facts = page.scene.analysis.facts.models[NAME]
    assert min(facts.movement.values()) > 0
    assert facts.start == "sgd_full"
    assert f"from {LABELS['sgd_full']}" in shown[page.tab.layers]
    other = Page(*tabs[invented]).open()
    assert OWN_MODEL not in html.unescape("".join(map(str, other.values())))
    assert not other[page.tab.own.compute].visible
    page.values[page.tab._shared.owner] = job.key  # opens its result by a link, and no more
    page.values[page.tab.sent] = {}
    assert page.open()[page.tab.layers].count("<polyline") == 8


def test_what_was_computed_of_the_own_model_joins_its_path_and_its_map(page: Page) -> None:
    job = give_job(page, "adam_full", image_px=32)  # none of the four sees that size
    assert page.open()[page.maps.maps].count("<button") == 3
    four = page.tab._shared.analyses.analysis
    assert four is not None
    known = page.scene.analysis
    own = build_own(known, four)
    save_analysis(page.tab._shared.jobs.folder(job) / OWN_FILE, own)
    name = f"{PLAIN_BACKBONE}-{NAME}"
    shown = page.open()
    assert not shown[page.tab.own.compute].visible
    assert shown[page.maps.maps].count("<button") == shown[page.maps.maps].count("q-star") == 4
    assert page.press(f"{NAME},50,50")[page.maps.images].count("<figure") == 12
    assert ("from the backbone to your job's model", name) in shown[page.paths.path].choices
    page.choose(path=name)
    answer = page.choose(place=100)[page.paths.answer]
    assert "400 of 500 test images are right" in answer
    picture = page.tab._read_picture(page.values, REQUEST, page.scene)
    shares = page.paths.classify(page.scene, name, 1.0, picture)
    assert shares is not None
    assert picture.pixels is not None
    own_change = page.scene.own
    assert own_change is not None
    said = own_change.model.look(picture.pixels).probabilities[NAME][0]
    assert torch.allclose(shares.double(), said, atol=1e-3)
    assert page.values[page.tab.link]["path"] == name
    page.tab._shared.jobs.delete(job.id, page.values[page.tab._shared.owner])
    page.open()
    assert page.values[page.tab.link]["path"] == page.tab.first_view.path
    with pytest.warns(UserWarning, match="could not be computed"):
        page.tab.on_compute(page.values[page.tab._shared.owner], REQUEST)


def test_nothing_is_sent_again(page: Page) -> None:
    page.open()
    assert page.open().keys() == {page.tab.sent, page.tab.link}
    page.values[page.tab._given.crop] = "fit"
    again = page.open().keys() - {page.tab.sent, page.tab.link}
    assert again == {page.maps.maps, page.paths.answer}


def test_unreadable_picture_leaves_the_rest(page: Page) -> None:
    for file in (None, {"path": "/etc/passwd"}, "x"):
        page.values[page.tab._given.picture] = file
        page.values[page.tab.sent] = {}
        shown = page.open()
        assert "q-star" not in shown[page.maps.maps]
        assert words.NO_PICTURE in shown[page.paths.answer]
        assert "of 500 test images are right" in shown[page.paths.answer]


def test_link_opens_what_was_on_screen(page: Page) -> None:
    page.open()
    page.choose(path="sgd_full-adam_full", place=30, shown="dog")
    page.press("adam_full,10,20")
    link = page.values[page.tab.link]
    assert link == {
        "tab": "what-training-changed", "path": "sgd_full-adam_full", "way": "30", "class": "dog",
        "spot": "adam_full,10,20",
    }  # fmt: skip
    assert page.tab._follow(page.scene, link) == View(
        "sgd_full-adam_full", 30, "dog", "adam_full,10,20"
    )
    nonsense = {"path": "a-b", "way": "101", "class": "cow", "spot": "sgd_full,1000,1"}
    assert page.tab._follow(page.scene, nonsense) == page.tab.first_view


def test_without_an_analysis_it_says_who_does_what(bare: Page) -> None:
    bare.open()
    assert bare.tab.maps is None
    assert "nothing was computed of these models yet" in words.describe_missing("analysis_missing")
    assert "of other models" in words.describe_missing("analysis_outdated")
    assert "damaged" in words.describe_missing("checkpoint_changed")
    assert bare.tab.rates.make.visible


def test_steps_are_drawn_of_those_who_have_them() -> None:
    def size(record: Any, factor: float) -> Any:
        history = [
            epoch.model_copy(update={"step_sizes": {"layer1": factor / epoch.epoch, "fc": factor}})
            for epoch in record.history
        ]
        return record.model_copy(update={"history": tuple(history)})

    records = {name: build_record(name) for name in ("sgd_full", "adam_full", "sgd_frozen")}
    records["sgd_full"] = size(records["sgd_full"], 0.001)
    records["adam_full"] = size(records["adam_full"], 0.004)
    drawn = draw_steps(records)
    assert drawn.count("<svg") == 2
    assert "a step of Adam (all layers) is 4.0 times as large as one of SGD" in drawn
    assert (
        "SGD (all layers) begins with steps of 0.100 % of the weights and ends with 0.075" in drawn
    )
    assert "How large the steps of SGD (last layer) were is not known" in drawn


def test_rates_mark_the_best_and_the_recipes_own(page: Page) -> None:
    table = page.open()[page.tab.rates.table]
    assert table.count("q-own-rate") == 2
    assert table.count(training.NO_NUMBER) == 2
    assert "SGD does best at 0.1 (60.0 %)" in table
    assert "Adam does best at 0.001 (60.0 %)" in table
    assert not page.tab.rates.make.visible


def test_rates_are_made_by_a_button_once(bare: Page, sample: Dataset, tmp_path: Path) -> None:
    rates = bare.tab.rates
    assert "26 times" in training.describe_rates_to_make()
    assert rates.on_making()[rates.told] == training.MAKING_RATES
    shown = rates.on_make()
    assert shown[rates.table].count("q-own-rate") == 2
    made = rates._rates.sweep
    assert made is not None
    assert made.train_count == len(split_validation(sample)[0])
    assert rates._rates.make() is made
    (tmp_path / "sweep.json").write_text(made.model_dump_json())
    assert load_sweep(tmp_path, bare.models.records) == made


@pytest.mark.parametrize(
    ("start", "right", "said"),
    [
        (PLAIN_BACKBONE, (48, 40, 37), "It goes from 48 of 500"),
        ("sgd_full", (420, 100, 430), "On the way it falls to 100, at 50 %"),
        ("sgd_full", (420, 415, 430), "the two lie in one valley"),
        (PLAIN_BACKBONE, (50, 20, 60, 400), "On the way it first falls to 20, at 33 %."),
        (PLAIN_BACKBONE, (50, 20, 60, 400), "Half of the gain is there 100 % of the way."),
        (PLAIN_BACKBONE, (50, 300, 350, 400), "Half of the gain is there 33 % of the way."),
    ],
)
def test_path_in_words_follows_the_counts(start: str, right: tuple[int, ...], said: str) -> None:
    path = PathFacts(start=start, end="adam_full", right=right)
    assert said in words.describe_path(path, 500)


def test_separation_counts_who_lies_nearest_to_their_own() -> None:
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [1.0, 0.0]])
    assert measure_separation(points, torch.tensor([0, 0, 7, 7])) == 0.75


def test_rows_of_the_sample_are_found_where_it_was_measured(sample: Dataset) -> None:
    labels = sample.test.labels
    found = find_rows(labels, labels)
    assert found is not None
    assert found.tolist() == list(range(500))
    assert find_rows(labels, labels.flip(0)) is None
    assert find_rows(labels, torch.empty(0, dtype=torch.int64)) is None
