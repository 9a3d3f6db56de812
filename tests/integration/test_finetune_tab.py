"""The Fine-tune tab over jobs that run: what is said in which order, and jobs beside each other."""

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pandas
import pytest

from demo.answers import RecordedAnswers
from demo.comparison import compare_with_start
from demo.exports import Exports, NoSuchFile
from demo.jobs.backend import NAME
from demo.jobs.rates import RateMap
from demo.jobs.store import DONE, Job, create_token
from demo.links import BESIDE, JOB, TAB
from demo.own_changes import OwnChanges
from demo.tabs.changes import Shown
from demo.words.common import EPOCH, FINETUNE_TAB, describe_job
from demo.words.outcome import describe_outcome
from tests.conftest import CHECKPOINTS
from tests.finetune_page import Page, drawn_page
from trainer.checkpoint import load_record
from trainer.metrics import measure_overlap
from trainer.recipe import CLASSES
from trainer.wording import percent

PATIENCE_S = 120


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        with drawn_page(tmp_path_factory.mktemp("home"), running=1) as page:
            yield page


@pytest.fixture
def page(drawn: Page) -> Page:
    drawn.open()
    return drawn


def run(page: Page, **settings: Any) -> Job:
    """Starts a job as the form says, and waits until it is done."""
    page.start(trained="last_layer", images=200, epochs=2, steps=0, **settings)
    job, *_ = page.jobs.of_owner(page.token)

    def ended() -> bool:
        found = page.jobs.find(job.id, page.token)
        return found is not None and found.ended

    assert page.jobs.wait(ended, PATIENCE_S)
    done = page.jobs.find(job.id, page.token)
    assert done is not None
    assert done.state == DONE, done.reason
    return done


@pytest.fixture(scope="module")
def pair(drawn: Page) -> tuple[str, list[Job]]:
    """An owner's token, and two jobs of theirs that differ in optimizer and rate."""
    drawn.open()
    slow = run(drawn, start="sgd_full", optimizer="sgd", learning_rate=0.001)
    fast = run(drawn, start="sgd_full", optimizer="adam", learning_rate=0.05)
    return drawn.token, [slow, fast]


def named(job: Job) -> str:
    return f"{job.id}.{job.key}"


def take(page: Page, answer: Shown, estimate: str) -> str:
    """Takes an answer as a page does: where the form is to be looked at again, it is, with what it
    holds by then.

    Args:
        estimate: what is said beside Start.

    Returns:
        What is said there then.
    """
    form = page.tab.form
    page.show(answer)
    told = str(answer.get(form.estimate, estimate))
    changed = {(component._id, "change") for component in answer}
    looks = [fn for fn in page.shared.blocks.fns.values() if fn.name == "on_form"]
    assert [fn.trigger_mode for fn in looks] == ["always_last"]
    if any(changed & set(fn.targets) for fn in looks):
        told = form.on_form(page.values)[form.estimate]
    return told


def test_a_late_answer_to_start_leaves_no_alert_about_what_is_mended(page: Page) -> None:
    form = page.tab.form
    page.fill(learning_rate=-1)
    late = page.tab.on_start(page.values)  # under way while
    page.fill(learning_rate=0.01)  # the field is mended, and the form has said so
    estimate = form.on_form(page.values)[form.estimate]
    assert "Trains on" in estimate
    assert take(page, late, estimate) == estimate


def test_start_with_what_is_still_wrong_has_it_said(page: Page) -> None:
    page.fill(learning_rate=-1)
    said = take(page, page.tab.on_start(page.values), "Trains on")
    assert 'role="alert"' in said
    assert "Learning rate: give a number above 0" in said
    assert page.jobs.of_owner(page.token) == []


def test_what_hinders_the_start_itself_is_still_said(page: Page) -> None:
    page.values[page.tab.form.ids] = ["no-such-picture"]
    said = take(page, page.tab.on_start(page.values), "Trains on")
    assert "A picture you taught is no longer here" in said


def test_validation_loss_is_the_one_the_run_measured_anyway(
    page: Page, pair: tuple[str, list[Job]]
) -> None:
    token, (job, _) = pair
    history = load_record(page.jobs.folder(job), NAME).history
    start, *epochs = page.jobs.watch(job).measured
    assert (start.epoch, start.step, start.train_loss) == (0, 0, None)
    for one, epoch in zip(epochs, history, strict=True):
        assert one.validation_loss == epoch.validation_loss
        assert one.validation_accuracy == epoch.validation_accuracy
    page.values |= {page.owner: token, page.tab.shown: named(job)}
    curves = page.tab.on_look(page.values)[page.tab.view.loss]
    assert set(curves["Images"]) == {"training", "validation"}
    validation = curves[curves["Images"] == "validation"]
    assert validation["Step"].tolist() == [0, *(one.step for one in epochs)]


def test_every_result_says_what_happened(page: Page, pair: tuple[str, list[Job]]) -> None:
    token, jobs = pair
    for job in jobs:
        page.values |= {page.owner: token, page.tab.shown: named(job), page.tab.sent: {}}
        result = page.tab.on_look(page.values)[page.tab.view.result]
        answers = compare_with_start(
            page.jobs.folder(job), NAME, page.shared.models.records["sgd_full"].data
        )
        assert answers.overlap
        outcome = describe_outcome(answers.overlap, answers.shifts)
        assert f'<p class="q-sentence">{outcome}</p>' in result
        record = load_record(page.jobs.folder(job), NAME)
        assert f"{percent(record.test.accuracy)} after" in result


def test_jobs_and_recipes_stand_beside_each_other(page: Page, pair: tuple[str, list[Job]]) -> None:
    token, jobs = pair
    beside = page.tab.beside
    names = ["sgd_full", *map(named, jobs)]
    page.values |= {page.owner: token, beside.chosen: names[::-1]}
    shown = page.show(page.tab.on_look(page.values))
    labels = ["SGD, all layers", *(describe_job(job.id) for job in jobs[::-1])]
    curves = shown[beside.curves["validation_accuracy"]]
    told = pandas.DataFrame(curves.value["data"], columns=curves.value["columns"])
    assert list(dict.fromkeys(told["Model"])) == labels  # in the order of the choices
    mine = told[told["Model"] == labels[1]]
    assert mine[EPOCH].tolist() == [0, 1, 2]
    table = shown[beside.table]
    assert "Measured on the 500 test images" in table
    assert "<td>Adam</td>" in table
    said = shown[beside.said]
    assert said.count("q-dot") == 2 + 3  # what came of each job, and the key
    assert shown[page.tab.link] == {JOB: named(jobs[1]), BESIDE: ",".join(names[::-1])}
    page.values[beside.chosen] = names[:1]
    shown = page.show(page.tab.on_look(page.values))
    assert "Choose one more" in shown[beside.said]
    assert shown[beside.table] == ""
    assert shown[beside.figure].visible is False


def test_two_jobs_are_told_apart_by_the_images_they_share(
    page: Page, pair: tuple[str, list[Job]]
) -> None:
    token, jobs = pair
    beside = page.tab.beside
    page.values |= {page.owner: token, beside.chosen: [named(job) for job in jobs]}
    said = page.show(page.tab.on_look(page.values))[beside.said]
    assert "They differ in optimizer and learning rate." in said
    found = beside._finder.compare([named(job) for job in jobs])
    assert found is not None
    one, two = (run.answers for run in found.runs)
    overlap = measure_overlap(one.labels, one.after, two.after)
    assert f"{overlap.only_first + overlap.only_second:,} images" in found.verdict
    shares = [load_record(page.jobs.folder(job), NAME).test.accuracy for job in jobs]
    assert [change.share for change in found.right] == pytest.approx(shares)
    assert [row.share for row in found.by_class["cat"]] == pytest.approx(
        [
            load_record(page.jobs.folder(job), NAME).test.per_class_accuracy[CLASSES.index("cat")]
            for job in jobs
        ]
    )


def test_a_pair_opens_by_its_link_for_whoever_has_it(
    page: Page, pair: tuple[str, list[Job]]
) -> None:
    _, jobs = pair
    names = [named(job) for job in jobs]
    query = {TAB: FINETUNE_TAB.lower(), BESIDE: ",".join([*names, "sgd_full", "nonsense"])}
    page.values[page.owner] = create_token()
    request = gr.Request(query_params=query)
    answer = page.tab.on_load(page.values, request)
    chosen = answer[page.tab.beside.chosen]
    assert chosen.value == [*names, "sgd_full"]
    assert {name for _, name in chosen.choices} > set(names)
    assert "Measured on the 500 test images" in answer[page.tab.beside.table]
    wrong = {TAB: FINETUNE_TAB.lower(), BESIDE: ",".join(name[:-1] for name in names)}
    answer = page.tab.on_load(page.values, gr.Request(query_params=wrong))
    assert describe_job(jobs[0].id) not in str(answer[page.tab.beside.chosen].choices)
    assert answer[page.tab.beside.table] == ""


def test_what_stands_beside_each_other_can_be_taken_along(
    page: Page, pair: tuple[str, list[Job]]
) -> None:
    _, jobs = pair
    models = page.shared.models
    exports = Exports(
        models,
        RecordedAnswers(models),
        page.jobs,
        page.shared.analyses,
        RateMap(CHECKPOINTS, models.records),
        OwnChanges(CHECKPOINTS, page.shared.analyses, models, page.jobs),
    )
    query = {"runs": ",".join(["adam_full", *map(named, jobs)])}
    table = pandas.read_csv(io.BytesIO(exports.make("beside.csv", query).content))
    right = table[(table["kind"] == "right, %") & (table["of"] == "all classes")]
    assert right["model"].tolist() == ["Adam, all layers", *(describe_job(j.id) for j in jobs)]
    accuracy = load_record(page.jobs.folder(jobs[1]), NAME).test.accuracy
    assert float(right["value"].iloc[2]) == pytest.approx(100 * accuracy)
    assert right["points above the start"].isna().tolist() == [True, False, False]
    curves = pandas.read_csv(io.BytesIO(exports.make("beside-curves.csv", query).content))
    assert len(curves[curves["model"] == describe_job(jobs[0].id)]) == 3
    svg = exports.make("beside-curves.svg", query).content
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert describe_job(jobs[0].id).encode() in svg
    for runs in ("", "adam_full", f"adam_full,{named(jobs[0])[:-1]}"):
        with pytest.raises(NoSuchFile):
            exports.make("beside.csv", {"runs": runs})
