"""The Fine-tune tab without a browser: its handlers are called with what a browser would hold."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from demo.jobs.backend import EVENTS, read_gpu_s
from demo.jobs.jobs import EARLIER
from demo.jobs.store import create_token
from demo.jobs.zero import USUAL_S
from demo.lessons.table import FORGETTING, LESSONS, MIXED
from demo.links import TAB, name_slug
from demo.tabs.changes import Part, Shown, collect_changes
from demo.tabs.form import Form
from demo.tabs.job_form import NOBODY, NOT_ON_FORM
from demo.words import finetune as words
from demo.words import teach as teach_words
from demo.words.common import FINETUNE_TAB, TEACH_TAB
from tests.finetune_page import Page, drawn_page
from tests.jobs import seed_pace, write_epochs
from tests.page import click, draw
from trainer.declared import describe_setting, setting
from trainer.metrics import Overlap
from trainer.recipe import CLASSES, JobSettings, join_command


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The tab over the shipped models; no job ever runs."""
    home = tmp_path_factory.mktemp("home")
    seed_pace(home, "last_block", 100.0)
    with drawn_page(home) as page:
        yield page


@pytest.fixture
def page(drawn: Page) -> Page:
    drawn.open()
    return drawn


def test_every_setting_is_on_the_form_as_it_is_declared(page: Page) -> None:
    controls = page.tab.form.controls
    assert controls.keys() | set(NOT_ON_FORM) == JobSettings.model_fields.keys()
    for name, control in controls.items():
        assert control.label == describe_setting(JobSettings, name).label
    smoothing = controls["label_smoothing"]
    assert isinstance(smoothing, gr.Number)
    assert (smoothing.minimum, smoothing.maximum) == (0, 0.5)


def test_a_setting_that_is_added_appears_by_itself() -> None:
    class Wider(JobSettings):
        noise: float = setting(0.1, "Noise", "How much.", ge=0, le=1)
        kept: bool = setting(True, "Keep", "Or not.")

    others = [name for name in JobSettings.model_fields if name != "epochs"]
    form = draw(lambda _: Form(Wider(), {}, {}).add("epochs").add_others(but=others))
    noise, kept = form.controls["noise"], form.controls["kept"]
    assert (type(noise), noise.label, noise.info, noise.value) == (
        gr.Number,
        "Noise",
        "How much.",
        0.1,
    )
    assert (type(kept), kept.value) == (gr.Checkbox, True)
    given = form.read({form.controls["epochs"]: 2, noise: 0.5, kept: False})
    assert Wider().changed(**given) == Wider(epochs=2, noise=0.5, kept=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", None), ("epochs", 1.5), ("epochs", 0), ("epochs", "many"), ("steps", -3),
        ("images", None), ("images", -1), ("images", 2.5), ("images", 0), ("images", 1),
        ("learning_rate", None),
        ("learning_rate", 0), ("learning_rate", -1), ("batch_size", 1), ("optimizer", "lion"),
        ("emphasised", ["unicorn"]), ("trained", None), ("seed", 1e300), ("augment", "perhaps"),
        ("momentum", float("nan")), ("start", None), ("start", "-x"), ("start", ["a"]),
        ("start", "/etc/passwd"), ("start", f"{EARLIER}0123456789abcdef"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_said_once_and_nothing_starts(page: Page, name: str, value: Any) -> None:
    answer = page.start(**{name: value})
    assert page.jobs.of_owner(page.token) == []
    assert set(answer) == {page.tab.form.refused}  # which has the form say what is wrong
    said = page.tab.form.on_form(page.values)[page.tab.form.estimate]
    label = describe_setting(JobSettings, name).label
    style, said = said.split("<p ")
    assert 'role="alert"' in said
    assert said.count(":") == 1
    assert label.replace("'", "&#39;") in said or "Choose another start" in said
    assert "None" not in said
    assert "_" not in said
    if name != "start":
        assert f"#setting-{name} " in style


def test_a_job_is_started_with_what_the_form_holds(page: Page) -> None:
    page.start(
        start="adam_full", trained="last_block", epochs=3, steps=0, images=9, optimizer="adamw",
        learning_rate=0.25, label_smoothing=0.1, emphasised=["cat", "dog"], augment=True, seed=7,
    )  # fmt: skip
    (job,) = page.jobs.of_owner(page.token)
    settings = job.settings
    assert settings is not None
    assert (settings.start, settings.trained, settings.optimizer) == (
        "adam_full", "last_block", "adamw",
    )  # fmt: skip
    assert (settings.epochs, settings.steps, settings.images, settings.seed) == (3, None, 9, 7)
    assert (settings.learning_rate, settings.label_smoothing) == (0.25, 0.1)
    assert (settings.emphasised, settings.augment) == (("cat", "dog"), True)
    assert page.values[page.tab.shown] == job.id


def test_each_start_fills_the_form_with_its_own_settings(page: Page) -> None:
    fills = page.tab.form.starts.list_fills([], NOBODY)
    assert fills["adam_frozen"]["learning_rate"] == 0.01
    assert fills["adam_frozen"]["optimizer"] == "adam"
    assert fills["sgd_full"]["steps"] == 0
    for fill in fills.values():
        assert fill.keys() == page.tab.form.controls.keys() | set(NOT_ON_FORM)


def test_a_gpu_is_asked_for_where_there_are_any_and_the_box_is_ticked(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newest() -> float | None:
        return read_gpu_s(page.jobs.folder(page.jobs.of_owner(page.token)[0]))

    tab = page.tab
    assert tab.form.gpu.visible is False
    page.values[tab.form.gpu] = True
    page.start(images=100)
    assert newest() is None
    monkeypatch.setattr(page.jobs.backend, "offers_gpu", True)
    assert "Asks for a GPU for 1 min" in tab.form.on_form(page.values)[tab.form.estimate]
    page.start()
    assert newest() == USUAL_S
    page.values[tab.form.gpu] = False
    page.show(tab.on_again(page.values))
    assert newest() == USUAL_S  # as the job that is run again
    page.start()
    assert newest() is None


def test_a_job_that_cannot_end_in_time_is_said_and_what_fits_is_offered(page: Page) -> None:
    tab = page.tab
    page.fill(trained="last_block", epochs=10, images=1787)
    answer = tab.form.on_form(page.values)
    assert "about 2 min 59 s" in answer[tab.form.estimate]
    assert answer[tab.form.fit].visible is False
    page.fill(epochs=100)
    answer = tab.form.on_form(page.values)
    assert "A job is ended after 5 min" in answer[tab.form.estimate]
    assert 'role="alert"' in answer[tab.form.estimate]
    assert answer[tab.form.fit].visible is True
    page.fill(images=answer[tab.form.fitting])
    assert 0 < answer[tab.form.fitting] < 300
    assert tab.form.on_form(page.values)[tab.form.fit].visible is False
    page.fill(steps=100_000)  # fewer images would not help
    answer = tab.form.on_form(page.values)
    assert 'role="alert"' in answer[tab.form.estimate]
    assert answer[tab.form.fit].visible is False


def test_only_what_is_new_is_sent_again() -> None:
    one, two = draw(lambda _: (gr.Textbox(), gr.Textbox()))
    built: list[str] = []

    def part(component: gr.Textbox, fact: str) -> Part:
        def build() -> str:
            built.append(fact)
            return fact

        return Part(component, fact, build)

    first, marks = collect_changes([part(one, "a"), part(two, "b")], {})
    assert first == {one: "a", two: "b"}
    second, after = collect_changes([part(one, "a"), part(two, "c")], marks)
    assert second == {two: "c"}
    assert built == ["a", "b", "c"]
    # An answer that never arrived is sent again: the browser still holds the older marks.
    assert collect_changes([part(one, "a"), part(two, "c")], marks)[0] == {two: "c"}
    assert collect_changes([part(one, "a"), part(two, "c")], after)[0] == {}
    junks: list[Any] = [None, [], "x", {"1": 2}, 7]
    for junk in junks:
        assert set(collect_changes([part(one, "a")], junk)[0]) == {one}


def test_a_look_at_a_long_job_costs_what_one_at_a_short_one_does(page: Page) -> None:
    sizes = []
    for epochs in (300, 3000):
        page.open()
        page.start(epochs=1000)
        (job,) = page.jobs.of_owner(page.token)
        write_epochs(page.jobs.folder(job) / EVENTS, epochs)
        look = page.show(page.tab.on_look(page.values))
        sizes.append(measure(look))
        again = page.show(page.tab.on_look(page.values))
        assert measure(again) < 2_000
    assert sizes[1] < 1.5 * sizes[0] < 100_000


def test_delete_asks_and_hits_no_other_job(page: Page) -> None:
    page.start(seed=1)
    first = page.values[page.tab.shown]
    page.show(page.tab.on_ask(page.values))
    page.start(seed=2)
    second = page.values[page.tab.shown]
    asked = page.tab.view.asked
    assert page.values[asked] == ""
    page.values[asked] = first  # asked about one, while another came on screen
    page.show(page.tab.on_delete(page.values))
    assert len(page.jobs.of_owner(page.token)) == 2
    page.show(page.tab.on_ask(page.values))
    page.show(page.tab.on_keep(page.values))
    page.show(page.tab.on_delete(page.values))
    assert len(page.jobs.of_owner(page.token)) == 2
    page.show(page.tab.on_ask(page.values))
    page.show(page.tab.on_delete(page.values))
    assert [job.id for job in page.jobs.of_owner(page.token)] == [first] != [second]
    assert page.values[page.tab.shown] == first


def test_a_job_of_another_is_neither_stopped_nor_deleted_nor_run(page: Page) -> None:
    page.start()
    (job,) = page.jobs.of_owner(page.token)
    owner = page.token
    page.values[page.owner] = create_token()
    for shown in (job.id, f"{job.id}.", f"{job.id}.{job.key[:-1]}"):
        page.values[page.tab.shown] = shown
        page.values[page.tab.view.asked] = job.id
        page.tab.on_stop(page.values)
        page.tab.on_delete(page.values)
        with pytest.raises(gr.Error, match="no longer here"):
            page.tab.on_again(page.values)
    assert [one.state for one in page.jobs.of_owner(owner)] == ["queued"]


def put(page: Page, bucket: int, label: str, *files: str) -> str:
    """Puts pictures into a bucket that shows a class, as its page does; returns what is drawn."""
    buckets = page.tab.teach.buckets
    event = gr.EventData(None, {"bucket": bucket, "label": label, "files": list(files)})
    answer = page.show(buckets.on_files(page.values, event, gr.Request()))
    return str(answer[buckets.drawn])


def test_pictures_are_asked_for_added_once_and_taken_out_singly(page: Page) -> None:
    buckets, values = page.tab.teach.buckets, page.values
    files = [save_upload(shade) for shade in (10, 20)]
    assert teach_words.NO_FILES in put(page, 0, "frog")
    for label in ("", "cow"):
        assert teach_words.NO_CLASS in put(page, 0, label, *files)
    assert values[buckets.ids] == []
    assert "Added 2 pictures as a frog." in put(page, 0, "frog", *files)
    assert values[buckets.labels] == ["frog", ""]
    assert "1 was there already." in put(page, 0, "frog", files[0])
    first, second = values[buckets.ids]
    press = click(f"out-{first}")
    page.show(buckets.on_press(values, press))
    assert values[buckets.ids] == [second]
    assert "1 picture of your own takes part" in page.tab.form.on_form(values)[page.tab.form.own]
    page.start(images=0)  # the picture is enough
    (job,) = page.jobs.of_owner(page.token)
    assert len(list(page.jobs.folder(job).glob("own/frog/*.png"))) == 1
    page.show(buckets.on_press(values, gr.EventData(None, {"choice": "empty"})))
    assert values[buckets.ids] == []
    page.show(page.tab.on_again(values))
    (again, _) = page.jobs.of_owner(page.token)
    assert len(list(page.jobs.folder(again).glob("own/frog/*.png"))) == 1


def test_pictures_go_with_their_bucket_to_another_class(page: Page) -> None:
    buckets, values = page.tab.teach.buckets, page.values
    put(page, 0, "cat", save_upload(40), save_upload(41))
    put(page, 1, "dog", save_upload(42))

    def choose(bucket: Any, label: Any) -> None:
        event = gr.EventData(None, {"bucket": bucket, "label": label})
        page.show(buckets.on_class(values, event))

    choose(0, "ship")
    assert values[buckets.labels] == ["ship", "dog"]
    labels = [one.label for one in page.jobs.pictures.of_owner(page.token)]
    assert sorted(labels) == ["dog", "ship", "ship"]
    for bucket, label in ((0, "dog"), (7, "cat"), (0, "cow"), ("0", "cat"), (None, None), (0, [])):
        choose(bucket, label)
        assert values[buckets.labels] == ["ship", "dog"]


def test_buckets_are_added_up_to_so_many_and_come_with_pictures_from_elsewhere(page: Page) -> None:
    buckets, values = page.tab.teach.buckets, page.values
    for held in (None, "cat", [[], 7, "cow", "cat", "cat"], [""] * 1000):
        labels = page.show(buckets.show(page.token, held))[buckets.labels]
        assert 2 <= len(labels) <= len(CLASSES)
    values[buckets.labels] = ["", ""]
    press = gr.EventData(None, {"choice": "add"})
    for expected in (3, 4, 4):
        page.show(buckets.on_press(values, press))
        assert len(values[buckets.labels]) == expected
    values[buckets.labels] = ["cat", "dog", "frog", "ship"]
    page.jobs.pictures.add(page.token, "truck", Path(save_upload(50)).read_bytes())
    page.show(page.tab.teach.on_pictures(values))
    assert values[buckets.labels] == ["cat", "dog", "frog", "ship", "truck"]


def test_nothing_is_trained_without_pictures_or_with_pictures_that_are_gone(page: Page) -> None:
    teach = page.tab.teach
    assert teach_words.NOTHING_TO_LEARN in teach.on_train(page.values)[teach.said]
    put(page, 0, "cat", save_upload(30))
    page.jobs.pictures.clear(page.token)
    assert "no longer here" in teach.on_train(page.values)[teach.said]
    assert 'role="alert"' in page.start()[page.tab.form.estimate]
    assert page.jobs.of_owner(page.token) == []


def test_what_is_tried_is_answered_by_the_four_or_said_to_be_no_picture(page: Page) -> None:
    teach = page.tab.teach

    def give(files: Any) -> Shown:
        event = gr.EventData(None, {"files": files})
        return page.show(teach.on_try(page.values, event, gr.Request()))

    answer = give([save_upload(70)])
    assert answer[teach.cards].count("<article") == 4
    assert teach_words.NOT_TRAINED in answer[teach.answer]
    for files in (["/etc/passwd"], [7], [], None, "a"):
        answer = give(files)
        assert 'role="alert"' in answer[teach.answer]
        assert answer[teach.cards] == ""


def test_the_screen_has_an_address(page: Page) -> None:
    request = gr.Request(query_params={TAB: name_slug(TEACH_TAB)})
    answer = page.tab.on_load(page.values, request)
    assert answer[page.shared.tabs].selected == FINETUNE_TAB
    assert answer[page.tab.parts].selected == TEACH_TAB
    answer = page.tab.on_load(page.values, gr.Request(query_params={TAB: name_slug(FINETUNE_TAB)}))
    assert page.tab.parts not in answer


def test_train_starts_what_the_lesson_measured_and_finds_it_again(page: Page) -> None:
    teach = page.tab.teach
    put(page, 0, "cat", save_upload(60))
    page.start(images=100)
    answer = page.show(teach.on_train(page.values))
    job, _ = page.jobs.of_owner(page.token)
    mixed = LESSONS[FORGETTING].runs[MIXED]
    assert job.settings == mixed.changed(image_px=teach.settings.image_px)
    assert answer[teach.timer].active is True
    assert answer[teach.train].interactive is False
    page.start(images=100)  # a newer one, of the form
    page.values[teach.sent] = {}
    assert job.id in teach.on_look(page.values)[teach.status]


def test_no_image_that_changed_sides_is_no_test_of_chance() -> None:
    said = words.describe_change_overlap(Overlap(90, 0, 0, 10))
    assert said.startswith("No image changed sides")
    assert "p = " not in said
    for overlap in (Overlap(0, 0, 500, 0), Overlap(0, 1, 0, 0), Overlap(5, 40, 60, 5)):
        assert "p = 0.000" not in words.describe_change_overlap(overlap)


def test_the_command_offline_is_quoted_as_a_shell_needs_it() -> None:
    start = 'it\'s a "model" $(of) mine.safetensors'
    command = join_command(JobSettings(start=start, emphasised=("cat", "dog")).arguments())
    arguments = shlex.split(command)
    assert arguments[arguments.index("--start") + 1] == start


def measure(answer: Shown) -> int:
    """Characters of what is sent, about."""
    return sum(
        len(value.to_csv()) if hasattr(value, "to_csv") else len(str(value))
        for value in answer.values()
    )


def save_upload(shade: int) -> str:
    """The path of a picture in Gradio's folder of uploads."""
    path = Path(get_upload_folder()) / "test-form" / f"{shade}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (shade, 0, 90)).save(path)
    return str(path)
