"""What the tabs answer to events, without a browser."""

import contextlib
import html
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from demo.jobs.jobs import Jobs
from demo.models import Classification, Models
from demo.tables import list_confidence, list_figures
from demo.tabs.about import AboutTab
from demo.tabs.accuracy import AccuracyTab
from demo.tabs.cards import list_notes
from demo.tabs.compare import CompareTab
from demo.tabs.images import A_PAGE
from demo.tabs.shared import Shared
from demo.words import compare as words
from demo.words.accuracy import CONFIDENCE_COLUMNS
from demo.words.common import LABELS, OWN_MODEL, PLAIN, inline_label
from demo.words.seeds import describe_evidence
from tests.conftest import CHECKPOINTS
from tests.jobs import store_done
from tests.page import REQUEST, click, draw_tabs, upload, upload_cat
from tests.records import build_facts
from trainer.calibration import measure_confidence
from trainer.recipe import CLASSES
from trainer.record import FamiliarityFacts
from trainer.wording import percent

OWNER = "the owner's token"


@dataclass(frozen=True)
class Drawn:
    """The tabs of one page."""

    shared: Shared
    compare: CompareTab
    accuracy: AccuracyTab
    about: gr.Tab


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    """The shipped models, and jobs of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        with contextlib.closing(Jobs(tmp_path_factory.mktemp("home"), CHECKPOINTS)) as jobs:
            yield draw_tabs(draw, Models(CHECKPOINTS), jobs)


def draw(shared: Shared) -> Drawn:
    """Three tabs."""
    with gr.Tab() as tab:
        compare = CompareTab(shared, tab)
    with gr.Tab() as tab:
        accuracy = AccuracyTab(shared, tab)
    with gr.Tab() as about:
        AboutTab(shared)
    return Drawn(shared, compare, accuracy, about)


@pytest.fixture
def shared(drawn: Drawn) -> Shared:
    return drawn.shared


@pytest.fixture
def compare(drawn: Drawn) -> CompareTab:
    return drawn.compare


@pytest.fixture
def accuracy(drawn: Drawn) -> AccuracyTab:
    return drawn.accuracy


@pytest.fixture
def cat() -> dict[str, Any]:
    return upload_cat()


def test_picture_gives_four_cards(compare: CompareTab, cat: dict[str, Any]) -> None:
    shown = compare.on_picture(cat, "centre", None, REQUEST)
    assert shown[compare.cards].count("<article") == 4
    assert "it is a cat" in shown[compare.result]
    assert "data:image/png" in shown[compare.seen]
    assert "Choose a picture" in compare.on_picture(None, "centre", None, REQUEST)[compare.result]


@pytest.mark.parametrize(
    ("familiar", "truth", "facts", "said"),
    [
        (
            False,
            None,
            build_facts((64, 0.075, 0.659)),
            ["looks like none", "66 in 100", "8 in 100"],
        ),
        (False, None, build_facts(), ["looks like none", "4 in 100 of the test images"]),
        (False, 3, build_facts((64, 0.075, 0.659)), ["it is a cat", "by mistake"]),
        (True, None, build_facts((64, 0.075, 0.659)), []),
        (True, 3, build_facts(), ["it is a cat"]),
        (None, None, None, []),
    ],
)
def test_what_looks_like_none_of_the_ten_is_said_once_with_its_odds(
    familiar: bool | None, truth: int | None, facts: FamiliarityFacts | None, said: list[str]
) -> None:
    answer = Classification(agreement="", familiar=familiar, models={}, left_out={})
    text = " ".join(list_notes(answer, truth, facts, 64))
    assert all(part in text for part in said)
    assert text.count("none of the ten") == (familiar is False)
    assert ("66 in 100" in text) == (truth is None and "66 in 100" in said)


def test_what_is_no_picture_is_told_where_the_cards_were(
    compare: CompareTab, cat: dict[str, Any]
) -> None:
    shown = compare.on_picture(upload("a.png", b"<script>"), "centre", None, REQUEST)[
        compare.result
    ]
    assert 'role="alert"' in shown
    assert "not a whole picture" in shown
    shown = compare.on_picture(cat, "bogus", None, REQUEST)[compare.result]  # type: ignore[arg-type]
    assert "Crop must be" in shown


def test_nothing_is_taught_before_a_class_is_chosen(
    compare: CompareTab, shared: Shared, cat: dict[str, Any]
) -> None:
    assert compare.label.value is None
    assert compare.on_teach(cat, "centre", None, OWNER, REQUEST) == {compare.taught: words.NO_CLASS}
    assert compare.on_teach(cat, "centre", "cow", OWNER, REQUEST) == {
        compare.taught: words.NO_CLASS
    }
    assert compare.on_teach(None, "centre", "cat", OWNER, REQUEST) == {
        compare.taught: words.NOTHING_TO_TEACH
    }
    assert not shared.jobs.pictures.of_owner(OWNER)


def test_second_press_teaches_nothing_twice(
    compare: CompareTab, shared: Shared, cat: dict[str, Any]
) -> None:
    shown = compare.on_teach(cat, "centre", "ship", "", REQUEST)
    token = shown[compare._owner]
    assert len(token) > 30
    assert shown[compare.taught].startswith("Added as a ship. 1 picture taught so far.")
    again = compare.on_teach(cat, "centre", "ship", token, REQUEST)[compare.taught]
    assert again == "Already there as a ship. 1 picture taught so far."
    other = compare.on_teach(cat, "centre", "cat", token, REQUEST)[compare.taught]
    assert other.startswith("Added as a cat. 1 picture taught so far.")
    (picture,) = shared.jobs.pictures.of_owner(token)
    assert picture.label == "cat"
    with Image.open(picture.path) as image:
        assert image.size == (32, 32)
    assert not shared.jobs.pictures.of_owner("someone else")


def test_examples_and_disagreements_fill_the_picture(compare: CompareTab) -> None:
    assert compare.on_example(click("0"))[compare.picture].endswith("airplane-test.png")
    with pytest.raises(gr.Error, match="examples shown"):
        compare.on_example(click("no number"))
    assert np.asarray(compare.on_disagree()[compare.picture]).shape == (32, 32, 3)


def test_api_answers_or_refuses(compare: CompareTab, cat: dict[str, Any]) -> None:
    answer = compare.classify(cat)  # type: ignore[arg-type]
    assert list(answer["models"]) == list(LABELS)
    with pytest.raises(gr.Error, match="not uploaded"):
        compare.classify({"path": "/etc/passwd"})  # type: ignore[arg-type]


def test_fifth_card_says_what_the_job_began_with(
    compare: CompareTab, shared: Shared, cat: dict[str, Any]
) -> None:
    store_done(shared.jobs, OWNER, "sgd_frozen")
    shown = compare.on_picture(cat, "centre", OWNER, REQUEST)[compare.cards]
    assert shown.count("<article") == 5
    own_card = html.unescape(shown[shown.rindex("<article") :])
    assert f'aria-label="{OWN_MODEL}"' in own_card
    assert f"started from {PLAIN}" in own_card
    other = compare.on_picture(cat, "centre", "someone else", REQUEST)[compare.cards]
    assert other.count("<article") == 4


def held(accuracy: AccuracyTab, **chosen: Any) -> dict[Any, Any]:
    """What a page that shows nothing yet holds, with this much of the view chosen."""
    view = accuracy.first_view.changed(accuracy._names, **chosen)
    controls = {one: getattr(view, name) for name, one in accuracy._controls.items()}
    return {**controls, accuracy.link: view.to_link(accuracy.first_view), accuracy.sent: {}}


def after(values: dict[Any, Any], shown: dict[Any, Any]) -> dict[Any, Any]:
    """What the page holds once an answer has come."""
    return {key: shown.get(key, value) for key, value in values.items()}


def numbers(images: str) -> list[int]:
    return [int(row) for row in re.findall(r">no\. (\d+)<", images)]


def test_cell_shows_the_images_that_it_counts(accuracy: AccuracyTab) -> None:
    ship, truck = CLASSES.index("ship"), CLASSES.index("truck")
    values = held(accuracy, counting="count")
    shown = accuracy.on_cell(values, click(f"{ship},{truck}"))
    assert (shown[accuracy.true], shown[accuracy.said]) == (ship, truck)
    counts = accuracy._confusion["sgd_full"]
    count = int(counts[ship, truck])
    assert f"{count} test images" in shown[accuracy.images]
    assert "a ship taken for a truck" in shown[accuracy.images]
    assert shown[accuracy.matrix].count("<button") == 100
    assert shown[accuracy.matrix].count('aria-pressed="true"') == 1
    assert shown[accuracy.matrix].count('tabindex="0"') == 1
    assert f"predicted truck: {count} images" in shown[accuracy.matrix]
    labels, said = accuracy.answers.labels, accuracy.answers.predicted["sgd_full"]
    rows = numbers(shown[accuracy.images])
    assert rows
    assert {(int(labels[row]), int(said[row])) for row in rows} == {(ship, truck)}


def test_every_cell_with_errors_has_images_without_the_data_set(
    accuracy: AccuracyTab, shared: Shared
) -> None:
    for name in accuracy._names:
        for true, said in itertools.permutations(range(10), 2):
            rows = accuracy.answers.in_cell(name, true, said)
            assert not len(rows) or len(shared.gallery.at_hand(rows)), (name, true, said)


def test_small_matrix_chooses_the_model_too(accuracy: AccuracyTab) -> None:
    shown = accuracy.on_cell(held(accuracy), click("adam_frozen,3,5"))
    assert shown[accuracy.model] == "adam_frozen"
    assert "Adam, last layer: a cat taken for a dog" in html.unescape(shown[accuracy.images])


@pytest.mark.parametrize("choice", ["", "3", "3,x", "3,10", "1,2,3", "sgd_full,3", "nobody,3,5"])
def test_cells_that_are_not_there_are_refused(accuracy: AccuracyTab, choice: str) -> None:
    with pytest.raises(gr.Error, match="Choose a class"):
        accuracy.on_cell(held(accuracy), click(choice))


def test_shares_of_a_class_are_those_of_its_images(accuracy: AccuracyTab) -> None:
    values = held(accuracy, model="adam_frozen", true=3, said=5)
    shown = accuracy.on_open(values)[accuracy.matrix]
    counts = accuracy._confusion["adam_frozen"]
    (cell,) = re.findall(r'data-choice="3,5".*?>([\d.]+)</button>', shown)
    assert cell == f"{100 * counts[3, 5] / counts[3].sum():.1f}"


def test_two_models_are_told_apart_as_the_table_counts(accuracy: AccuracyTab) -> None:
    pair, pairs = accuracy.pair, ("sgd_full", "adam_frozen")
    shown = accuracy.on_control(held(accuracy, first=pairs[0], second=pairs[1]))
    parts = dict(re.findall(r'data-choice="(\w+)".*?>([\d,]+)</button>', shown[pair.overlap]))
    counts = {part: int(images.replace(",", "")) for part, images in parts.items()}
    assert sum(counts.values()) == 10_000
    overlap, evidence = accuracy._models.compare(*pairs)
    assert (counts["first"], counts["second"]) == (overlap.only_first, overlap.only_second)
    said = describe_evidence(*pairs, evidence)
    assert shown[pair.verdict] == said
    assert re.match(r"SGD \(all layers\) (is really better|beats)", said)
    assert shown[pair.difference].count("<button") == 100
    same = accuracy.on_control(held(accuracy, first="sgd_full", second="sgd_full"))
    assert "the very same images" in same[pair.verdict]


@pytest.mark.parametrize("part", ["both", "first", "second", "neither"])
def test_part_of_a_pair_shows_its_images(accuracy: AccuracyTab, part: str) -> None:
    pair = ("sgd_full", "adam_frozen")
    shown = accuracy.on_pair(held(accuracy, first=pair[0], second=pair[1]), click(part))
    labels, said = accuracy.answers.labels, accuracy.answers.predicted
    expected = (part in ("both", "first"), part in ("both", "second"))
    rows = numbers(shown[accuracy.pair.images])
    assert rows
    for row in rows:
        assert expected == tuple(bool(said[name][row] == labels[row]) for name in pair)


def test_difference_cell_shows_what_one_of_two_says(accuracy: AccuracyTab) -> None:
    values = held(accuracy, first="sgd_full", second="adam_frozen")
    shown = accuracy.on_pair(values, click("3,5"))
    said = accuracy.answers.predicted
    rows = numbers(shown[accuracy.pair.images])
    assert rows
    for row in rows:
        assert accuracy.answers.labels[row] == 3
        assert (said["sgd_full"][row] == 5) != (said["adam_frozen"][row] == 5)
    assert shown[accuracy.pair.difference].count('aria-pressed="true"') == 1
    assert shown[accuracy.cells]["difference"] == "3,5"


def test_what_one_alone_gets_right_is_shown(accuracy: AccuracyTab) -> None:
    shown = accuracy.on_pair(held(accuracy), click("alone-adam_full"))
    labels, predicted = accuracy.answers.labels, accuracy.answers.predicted
    rows = numbers(shown[accuracy.pair.images])
    assert rows
    for row in rows:
        right = [name for name, classes in predicted.items() if classes[row] == labels[row]]
        assert right == ["adam_full"]


def test_images_are_sorted_and_paged(accuracy: AccuracyTab) -> None:
    values = held(accuracy, true=3, said=3)
    first = accuracy.on_open(values)[accuracy.images]
    sure = accuracy.answers.confidence["sgd_full"]
    rows = numbers(first)
    assert len(rows) == A_PAGE
    assert [float(sure[row]) for row in rows] == sorted(float(sure[row]) for row in rows)[::-1]
    answer = accuracy.on_images(values, click("page:2"))
    second = numbers(answer[accuracy.images])
    assert second
    assert not set(second) & set(rows)
    assert float(sure[second[0]]) <= float(sure[rows[-1]])
    disputed = accuracy.on_images(after(values, answer), click("order:disputed"))
    assert disputed[accuracy.link]["order"] == "disputed"
    assert "page" not in disputed[accuracy.link]
    assert numbers(disputed[accuracy.images]) != rows


def test_page_that_shows_all_is_sent_nothing_again(accuracy: AccuracyTab) -> None:
    values = held(accuracy)
    shown = accuracy.on_open(values)
    assert shown[accuracy.overview].count('role="grid"') == 4
    for figure, curve in accuracy.figures.curves.items():
        epochs = [len(record.history) for record in accuracy._records.values()]
        assert len(shown[curve]) == sum(epochs), figure
    assert not [component for component, value in shown.items() if value is None]
    holds = after(values, shown)
    assert set(accuracy.on_open(holds)) == {accuracy.sent, accuracy.link, accuracy.cell}
    moved = accuracy.on_cell(holds, click("0,8"))
    assert set(moved) == {
        accuracy.sent, accuracy.link, accuracy.cell, accuracy.true, accuracy.said, accuracy.cells,
        accuracy.images,
    }  # fmt: skip
    assert moved[accuracy.cells] == {"matrix": "0,8", "difference": None}


def test_link_opens_what_was_on_screen(accuracy: AccuracyTab, shared: Shared) -> None:
    values = held(accuracy)
    shown = accuracy.on_cell(values, click("adam_frozen,3,5"))
    shown |= accuracy.on_pair(after(values, shown), click("8,9"))
    link = shown[accuracy.link]
    assert link["predicted"] == "dog"
    assert link["images"] == "ship.truck"
    request = gr.Request(query_params=link)
    opened = accuracy.on_load(held(accuracy), request)
    assert opened[accuracy.link] == link
    assert opened[accuracy.model] == "adam_frozen"
    assert "a cat taken for a dog" in opened[accuracy.images]
    assert opened[shared.tabs].selected == "Accuracy"
    nonsense = {"tab": "accuracy", "model": "x", "true": "cow", "page": "-1", "images": "a.b.c"}
    opened = accuracy.on_load(held(accuracy), gr.Request(query_params=nonsense))
    assert opened[accuracy.link] == {"tab": "accuracy"}
    elsewhere = accuracy.on_load(held(accuracy), gr.Request(query_params={"tab": "about"}))
    assert elsewhere == {accuracy.link: gr.skip()}


def test_picture_is_named_in_the_link(compare: CompareTab, shared: Shared) -> None:
    named = compare.on_example(click("0"))[compare.link]
    assert named == {"picture": "airplane-test"}
    again = compare.on_load(gr.Request(query_params=named))
    assert again[compare.picture].endswith("airplane-test.png")
    row = compare.on_disagree()[compare.link]
    image = np.asarray(compare.on_load(gr.Request(query_params=row))[compare.picture])
    known = shared.gallery.image(int(row["picture"].removeprefix("test-")))
    assert np.array_equal(image, known.transpose(1, 2, 0))
    for unknown in ("test-99999", "test-", "../cat-test", ""):
        shown = compare.on_load(gr.Request(query_params={"picture": unknown}))
        assert shown == {compare.link: gr.skip()}


def test_diagrams_tell_each_model_s_confidence_in_words_too(accuracy: AccuracyTab) -> None:
    (part,) = accuracy.confidence.list_parts()
    shown = part.build()
    assert shown.count("<svg") == shown.count('role="img"') == len(LABELS)
    for name, label in LABELS.items():
        figures = accuracy._records[name].test
        said = re.search(f'aria-label="Reliability of {re.escape(inline_label(name))}.*?"', shown)
        assert said, label
        assert f"right {percent(figures.accuracy)}." in said[0]
        assert len(re.findall(r"\d+ %: \d+ %", said[0])) > 5


def test_errors_before_and_after_the_temperature_are_told_apart() -> None:
    wide = torch.full((1000, 10), 0.01).scatter(1, torch.zeros(1000, 1, dtype=torch.int64), 0.91)
    labels = (torch.arange(1000) % 4 == 0).long()  # right on 750
    (row,) = list_confidence({"sgd_full": measure_confidence(wide, labels, 2.0)})
    columns = {header: value for (header, _), value in zip(CONFIDENCE_COLUMNS, row, strict=True)}
    assert len(columns) == len(row)
    assert columns["model"] == LABELS["sgd_full"]
    assert columns["temperature"] == 2
    assert columns["right, %"] == pytest.approx(75)
    assert columns["confidence as trained, %"] == pytest.approx(91, abs=0.01)
    assert columns["calibration error as trained, %"] == pytest.approx(16, abs=0.01)
    after = 100 * 91**0.5 / (91**0.5 + 9)
    assert columns["confidence as shown, %"] == pytest.approx(after, abs=0.01)
    assert columns["calibration error as shown, %"] == pytest.approx(75 - after, abs=0.01)


def test_table_counts_the_shared_pass_in_both_times(shared: Shared) -> None:
    rows = {row[0]: row for row in list_figures(shared.models.records)}
    sgd, adam = rows["SGD, last layer"], rows["Adam, last layer"]
    assert sgd[-1] == pytest.approx(adam[-1], rel=0.1)
    assert sgd[1] == pytest.approx(100 * shared.models.records["sgd_frozen"].test.accuracy)


def test_about_is_drawn_from_the_records(drawn: Drawn) -> None:
    parts = drawn.about.children
    said = "\n".join(str(part.value) for part in parts if isinstance(part, gr.Markdown))
    assert "differ in the optimizer alone" in said
    assert "an hour after it arrived" in said
