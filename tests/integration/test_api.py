"""One request, one answer: what `/v1` says, and how the app tells that it is well."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from demo.faults import explain
from demo.gallery import EXAMPLES_DIR
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.models import Classification, Models
from demo.server import limits
from demo.server.api import Api
from demo.server.gate import Front, Gate
from demo.server.health import Health
from demo.server.limits import Settings
from tests.conftest import CHECKPOINTS
from tests.pictures import claim_png
from tests.server import Echo, Local, local
from trainer.containers.limits import MAX_BYTES
from trainer.decoding import shared_decoder
from trainer.errors import PictureError
from trainer.recipe import CLASSES, RECIPE_NAMES

CLASSIFY = "/v1/classify"
METRICS = "/metrics"


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(CHECKPOINTS)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    opened = Jobs(tmp_path_factory.mktemp("home"), CHECKPOINTS, Limits(running=0))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def front(models: Models, jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> Front:
    made = Front(Settings(proxies=0, metrics_path=METRICS), tmp_path_factory.mktemp("uploads"))
    api = Api(models)
    api.watch(Health(made, models, jobs, api.turnstile, []), made)
    made.own = api.app
    return made


@pytest.fixture(scope="module")
def api(front: Front) -> Iterator[Local]:
    with local(Gate(Echo(), front)) as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    return (EXAMPLES_DIR / "dog-photo.jpg").read_bytes()


def without_times(answer: Any) -> Any:
    """An answer but for how long it took."""
    models = {
        name: {key: value for key, value in model.items() if key != "seconds"}
        for name, model in answer["models"].items()
    }
    return {**answer, "models": models}


@pytest.mark.parametrize("crop", ["centre", "fit"])
def test_answer_is_the_app_s_however_the_picture_comes(
    api: Local, models: Models, photo: bytes, crop: str
) -> None:
    pixels = shared_decoder().decode(photo, crop)  # type: ignore[arg-type]
    expected = without_times(json.loads(json.dumps(models.classify(pixels))))
    file = {"file": ("../../a.jpg", photo, "text/html")}
    answers = [
        api.ask("POST", CLASSIFY, content=photo, params={"crop": crop}),
        api.ask("POST", CLASSIFY, files=file, params={"crop": crop}),
        api.ask("POST", CLASSIFY, files=file, data={"crop": crop}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        TypeAdapter(Classification).validate_python(answer.json(), strict=True)
        told = without_times(answer.json())
        assert list(told["models"]) == list(RECIPE_NAMES)
        for name, model in told["models"].items():
            shares = expected["models"][name]["probabilities"]
            assert model["probabilities"] == pytest.approx(shares, abs=1e-4)
        assert told["agreement"] == expected["agreement"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"hello", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
        (claim_png(10_000, 10_000), 422),
    ],
    ids=["empty", "text", "svg", "giant"],
)
def test_refusals_are_the_app_s_sentences(api: Local, content: bytes, status: int) -> None:
    with pytest.raises(PictureError) as refused:
        shared_decoder().decode(content)
    for sent in ({"content": content}, {"files": {"file": ("a.png", content)}}):
        answer = api.ask("POST", CLASSIFY, **sent)
        assert answer.status_code == status
        assert answer.json() == {"detail": explain(refused.value)}


def test_limits_are_the_app_s(api: Local, photo: bytes) -> None:
    large = api.ask("POST", CLASSIFY, content=bytes(MAX_BYTES + 1))
    assert (large.status_code, "20 MB" in large.json()["detail"]) == (413, True)
    larger = api.ask("POST", CLASSIFY, content=bytes(limits.CLASSIFY_BYTES + 1))
    assert (larger.status_code, "20 MB" in larger.json()["detail"]) == (413, True)
    bogus = api.ask("POST", CLASSIFY, content=photo, params={"crop": "bogus"})
    assert (bogus.status_code, "rop must be" in bogus.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\nA: b\r\n\r\n\r\n" * 50 + b"--a--\r\n"),
        ("multipart/form-data; boundary=" + "a" * 300, b"--"),
    ],
)
def test_what_is_no_form_with_a_picture_is_said_to_be_none(
    api: Local, kind: str, body: bytes
) -> None:
    answer = api.ask("POST", CLASSIFY, content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert "`file`" in answer.json()["detail"]


def test_models_are_told(api: Local, models: Models) -> None:
    told = api.ask("GET", "/v1/models").json()
    assert list(told["models"]) == list(RECIPE_NAMES)
    assert told["classes"] == list(CLASSES)
    for name, record in models.records.items():
        assert told["models"][name]["test_accuracy"] == record.test.accuracy


def test_description_and_page_tell_every_route_and_field(api: Local) -> None:
    described = api.ask("GET", "/v1/openapi.json").json()
    assert set(described["paths"]) == {CLASSIFY, "/v1/models"}
    route = described["paths"][CLASSIFY]["post"]
    assert {"multipart/form-data", "image/png"} <= set(route["requestBody"]["content"])
    fields = described["components"]["schemas"]["Classification"]["properties"]
    assert set(fields) == set(Classification.__annotations__)
    assert all(field["description"] for field in fields.values())
    page = api.ask("GET", "/v1")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text.replace("http-equiv", "")  # nothing comes from elsewhere
    for told in (CLASSIFY, "/v1/models", *fields):
        assert told in page.text


def test_health_tells_models_queue_jobs_and_disk(
    api: Local, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = api.ask("GET", "/healthz")
    assert answer.status_code == 200
    report = answer.json()
    assert report["status"] == "ok"
    assert report["models"]["loaded"] == list(RECIPE_NAMES)
    assert {"queue", "jobs", "disk", "server"} <= set(report)
    front.ending = True
    try:
        assert api.ask("GET", "/healthz").status_code == 503
    finally:
        front.ending = False


def test_health_fails_where_nothing_runs_jobs(models: Models, front: Front, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(running=0))
    health = Health(front, models, jobs, Api(models).turnstile, [])
    assert health.report()[0]
    jobs.close()
    assert not health.report()[0]


def test_figures_are_in_prometheus_s_format(api: Local, photo: bytes) -> None:
    api.ask("POST", CLASSIFY, content=photo)
    api.ask("POST", CLASSIFY, content=b"hello")
    answer = api.ask("GET", METRICS)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")
    )
    assert all(float(value) >= 0 for value in lines.values())
    assert float(lines['quartet_requests_total{route="classify",status="200"}']) >= 1
    assert float(lines['quartet_declined_total{reason="picture_not_whole"}']) >= 1
    buckets = [float(n) for key, n in lines.items() if 'bucket{route="classify"' in key]
    assert buckets == sorted(buckets)
    assert buckets[-1] == float(lines['quartet_request_seconds_count{route="classify"}'])
    assert lines["quartet_models_loaded"] == "4"
