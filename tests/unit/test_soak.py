"""What a soak calls lost, leaked or left."""

import json
from typing import Any

import pytest

from bench.page_form import fill_form, read_form
from bench.reliability import (
    count_faults,
    judge,
    list_left_at_home,
    list_left_of_uploads,
    page,
    read_figures,
)
from bench.verdicts import (
    Kind,
    Outcome,
    is_sentence,
    judge_malformed,
    judge_picture,
    list_malformed,
)
from demo.jobs import words as job_words
from demo.server.figures import Figures
from demo.words import server as words

EXPECTED = {"models": {"sgd_full": {"probabilities": {"cat": 0.7, "dog": 0.3}}}}
REST = {
    "figures": {
        "memory_bytes": 1e9, "open_files": 60, "threads": 50, "bodies_bytes": 0, "working": 0,
        "classify_inside": 0, "classify_waiting": 0, "pictures_waiting": 0, "queue_waiting": 0,
        "jobs_running": 0, "jobs_waiting": 0,
    },
    "family_bytes": 2e9,
    "processes": {"app": 1, "decoding": 2, "training": 1},
}  # fmt: skip
FINE: dict[str, Any] = {
    "date": "2026-01-02",
    "hardware": {"cpu": "Some CPU", "cores": 2},
    "versions": {"python": "3.11"},
    "minutes": 10,
    "took_s": 700,
    "users": 50,
    "malformed": 0.05,
    "requests": {"a picture": {Outcome.ANSWERED.value: 9000, Outcome.BROKEN.value: 90}},
    "lost": [],
    "p50_s": 0.5,
    "p95_s": 1.5,
    "difference": 1e-6,
    "killed": {"app": 2, "decoding": 10, "training": 9},
    "starts_s": [8.0, 9.0, 10.0],
    "answered_while_full": 40,
    "declined_for_room": {"uploads": 3, "jobs": 1},
    "jobs": {"done": 5, "failed": 9},
    "reasons": {job_words.KILLED: 9},
    "unexplained_jobs": [],
    "lost_jobs": [],
    "rests": [REST, REST],
    "outlived": 0,
    "left": [],
    "faults_said": 0,
}


def change(results: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path such as `rests/1/figures/threads`."""
    copy: dict[str, Any] = json.loads(json.dumps(results))
    *parents, name = path.split("/")
    place: Any = copy
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    place[name] = value
    return copy


def test_a_soak_in_which_all_went_well_passes() -> None:
    assert judge(FINE) == []
    written = page(FINE)
    assert "Nothing was lost, and nothing leaked" in written
    assert "2026-01-02" in written
    assert "10 minutes" in written
    assert "shorter" not in written


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("requests/a picture/lost", 3, "3 requests were lost, such as a picture: 500"),
        ("difference", 0.1, "differ by 0.1"),
        ("lost_jobs", ["0a"], "not in the store"),
        ("unexplained_jobs", ["0a"], "do not say why"),
        ("jobs/running", 1, "1 jobs are running in the end"),
        ("killed/app", 1, "Fewer than 2 processes were killed that are for app"),
        ("killed/decoding", 0, "decoding"),
        ("declined_for_room/uploads", 0, "No uploads were declined"),
        ("answered_while_full", 0, "No picture was answered while the disk was full"),
        ("jobs", {"failed": 9}, "No job ended well"),
        ("faults_said", 2, "2 faults of its own"),
        ("rests/1/figures/memory_bytes", 1.2e9, "Memory grew by 20.0 %"),
        ("rests/1/figures/open_files", 160, "open_files: 60 became 160"),
        ("rests/1/figures/classify_inside", 1, "classify_inside is 1 at rest"),
        ("rests/1/processes/decoding", 9, "9 processes at rest: decoding"),
        ("rests/1/processes/sleep 1000", 1, "sleep 1000"),
        ("outlived", 1, "outlived"),
        ("left", ["new/x"], "1 files were left, such as new/x"),
    ],
)
def test_whatever_is_lost_or_leaked_is_said(path: str, value: Any, said: str) -> None:
    results = change({**FINE, "lost": ["a picture: 500"]}, path, value)
    (fault,) = judge(results)
    assert said in fault
    assert fault in page(results)
    assert "Nothing was lost" not in page(results)


def test_a_short_soak_says_that_it_was_short() -> None:
    assert "1 minute, shorter than the 10" in page({**FINE, "minutes": 1.0})


def test_same_picture_same_probabilities() -> None:
    close = change(EXPECTED, "models/sgd_full/probabilities/cat", 0.7 + 1e-6)
    far = change(EXPECTED, "models/sgd_full/probabilities/cat", 0.6)
    assert judge_picture(200, json.dumps(close).encode(), EXPECTED)[0] is Outcome.ANSWERED
    wrongs: list[Any] = [far, {"models": {}}, []]
    for wrong in wrongs:
        assert judge_picture(200, json.dumps(wrong).encode(), EXPECTED)[0] is Outcome.LOST


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (503, json.dumps({"detail": words.BUSY}), Outcome.REFUSED),
        (429, json.dumps({"detail": words.TOO_OFTEN}), Outcome.REFUSED),
        (503, json.dumps({"detail": "Traceback\nline 1."}), Outcome.LOST),
        (503, "", Outcome.LOST),
        (422, json.dumps({"detail": "This is not a whole picture."}), Outcome.LOST),
        (500, json.dumps({"detail": words.FAULT}), Outcome.LOST),
    ],
)
def test_a_good_picture_may_only_be_declined_for_now(
    status: int, body: str, outcome: Outcome
) -> None:
    assert judge_picture(status, body.encode(), EXPECTED)[0] is outcome


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (422, json.dumps({"detail": words.NO_FORM}), Outcome.REFUSED),
        (503, json.dumps({"detail": words.BUSY}), Outcome.REFUSED),
        (400, json.dumps({"detail": words.NO_FORM}), Outcome.LOST),
        (422, json.dumps({"detail": [{"msg": "missing"}]}), Outcome.LOST),
        (422, "no JSON", Outcome.LOST),
        (200, json.dumps(EXPECTED), Outcome.LOST),
    ],
)
def test_what_nobody_should_send_is_refused_as_it_deserves(
    status: int, body: str, outcome: Outcome
) -> None:
    kind = Kind("half a PNG", frozenset({422}))
    assert judge_malformed(kind, status, body.encode()) is outcome


def test_malformed_requests_are_of_many_kinds() -> None:
    kinds = list_malformed(b"a picture")
    assert len({kind.title for kind in kinds}) == len(kinds) >= 6
    assert all(400 <= status < 500 for kind in kinds for status in kind.statuses)


def test_every_sentence_of_a_refusal_counts_as_one() -> None:
    said = [words.BUSY, words.DISK_FULL, words.NO_FORM, words.describe_too_large(2**20)]
    said += [
        job_words.REFUSALS[code].format(jobs=3) for code in ("own_cap", "sender_cap", "disk_full")
    ]
    assert all(map(is_sentence, said))
    assert not any(
        map(is_sentence, ("", "Internal Server Error", "no capital.", None, ["A list."]))
    )


def test_figures_are_read_as_they_are_written() -> None:
    figures = Figures()
    figures.count("classify", 200, 0.1, "")
    assert read_figures(figures.write({"threads": 5, "memory_bytes": 1.5e9})) == {
        "threads": 5,
        "memory_bytes": 1.5e9,
    }


def test_files_that_nobody_could_want_are_told_from_those_that_stay() -> None:
    stay = ["jobs.sqlite3", "secret", "jobs/0a/events.jsonl", "jobs/0a/own/cat/000.png"]
    left = ["jobs/0b/log.txt", "jobs/0a/.x.unfinished", "jobs/0a/finetuned.1.ab.state", "new/0c/x"]
    left += ["damaged-1-jobs.sqlite3", "jobs.sqlite3-journal"]
    assert list_left_at_home(stay + left, {"0a"}) == left
    stay = ["0af/soak-1.png", "0af/picture", "0af/finetuned.safetensors", "tmpabcdefgh"]
    left = ["of-no-content", "0af/tmpabcdefgh"]
    assert list_left_of_uploads(stay + left) == left


def test_faults_are_told_from_what_python_ignores() -> None:
    ignored = "Exception ignored in: <function f>\nTraceback (most recent call last):\n  x\n"
    assert count_faults(ignored + "all is well\n") == 0
    assert count_faults(ignored + "Traceback (most recent call last):\n  x\n") == 1


def test_the_form_is_sent_as_the_page_describes_it() -> None:
    def component(number: int, name: str, value: Any = None, kind: str = "textbox") -> Any:
        return {"id": number, "type": kind, "props": {"elem_id": name, "value": value}}

    config = {
        "components": [
            component(1, "shown-job"), component(2, "setting-images", 100),
            component(3, "", kind="browserstate"), component(4, "start-job", kind="button"),
            component(5, "", kind="timer"), component(6, "other", kind="button"),
        ],
        "dependencies": [
            {"id": 7, "targets": [[6, "click"]], "inputs": [], "outputs": []},
            {"id": 8, "targets": [[5, "tick"]], "inputs": [1, 3], "outputs": [1]},
            {"id": 9, "targets": [[4, "click"]], "inputs": [2, 3], "outputs": [1, 2]},
        ],
    }  # fmt: skip
    pressed = fill_form(config, "start-job", "mine", {"setting-images": 64})
    assert (pressed.body["data"], pressed.body["fn_index"], pressed.trigger) == ([64, "mine"], 9, 4)
    assert fill_form(config, "", "mine", {}).body["fn_index"] == 8
    output = {"data": ["0a", {"__type__": "update"}]}
    assert read_form(pressed, output) == {"shown-job": "0a"}
