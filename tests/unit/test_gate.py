"""What stands before every route: what is closed, and how much one may."""

import asyncio
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.rates import Hold, Rate, Share
from demo.server import bodies, limits
from demo.server.bodies import check_json, read_body
from demo.server.forms import read_form
from demo.server.gate import Front
from demo.server.limits import BadVariable, Settings
from demo.server.refusal import Declined
from demo.server.room import Room
from demo.words import server as words
from tests.server import Echo, Local, gated, run_apart
from trainer.recipe import MAX_OWN_PICTURES

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
CALL = {"data": [{"path": "x", "meta": {"_type": "gradio.FileData"}}, "centre"]}


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(Settings(proxies=0), tmp_path)


@pytest.fixture
def asked(front: Front) -> Iterator[tuple[Local, Echo]]:
    with gated(front) as both:
        yield both


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/run/classify"),
        ("POST", "/gradio_api/api/classify"),
        ("POST", "/gradio_api/call/on_delete"),
        ("GET", "/gradio_api/call/on_delete/1"),
        ("POST", "/gradio_api/stream/1"),
        ("POST", "/gradio_api/vibe-edit"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/proxy=http://a/b"),
        ("GET", "/gradio_api/file/x"),
        ("POST", "/upload"),
        ("GET", "/monitoring"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
    ],
)
def test_routes_that_the_app_does_not_need_are_closed(
    asked: tuple[Local, Echo], method: str, path: str
) -> None:
    client, echo = asked
    answer = client.ask(method, path)
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith(".")
    assert echo.asked == 0


def test_open_routes_take_their_own_methods_only(asked: tuple[Local, Echo]) -> None:
    client, echo = asked
    assert client.ask("GET", "/").status_code == 200
    assert client.ask("DELETE", "/").status_code == 405
    assert client.ask("PUT", JOIN, json=CALL).status_code == 405
    assert echo.asked == 1


def test_every_answer_forbids_to_guess_its_type(asked: tuple[Local, Echo]) -> None:
    client, _ = asked
    for method, path in (("GET", "/"), ("GET", "/nowhere"), ("POST", JOIN)):
        answer = client.ask(method, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf"]
)
def test_nothing_uploaded_is_served_as_a_page(asked: tuple[Local, Echo], kind: str) -> None:
    client, echo = asked
    echo.headers = [(b"Content-Type", kind.encode()), (b"content-disposition", b"inline")]
    answer = client.ask("GET", "/gradio_api/file=/tmp/uploads/page.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert client.ask("GET", "/").headers["content-type"] == kind


def test_pictures_are_served_as_what_they_are(asked: tuple[Local, Echo]) -> None:
    client, echo = asked
    echo.headers = [(b"content-type", b"image/png")]
    answer = client.ask("GET", "/gradio_api/file=/tmp/uploads/a.png")
    assert answer.headers["content-type"] == "image/png"
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize("address", ["http://a/b.png", "https:/a", "file:///etc/passwd"])
def test_foreign_addresses_are_not_streamed(asked: tuple[Local, Echo], address: str) -> None:
    client, echo = asked
    assert client.ask("GET", f"/gradio_api/file={address}").status_code == 403
    assert echo.asked == 0


def test_body_above_its_route_s_limit_is_refused_unread(asked: tuple[Local, Echo]) -> None:
    client, echo = asked
    large = b'{"data": ["' + b"x" * limits.JSON_BYTES + b'"]}'
    answer = client.ask("POST", JOIN, content=large)
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "The request is too large: at most 1 MB are taken here.",
    )

    async def chunks() -> Any:
        yield large[: limits.JSON_BYTES // 2]
        yield large[limits.JSON_BYTES // 2 :]

    assert client.ask("POST", JOIN, content=chunks()).status_code == 413
    length = {"content-length": str(limits.UPLOAD_BYTES + 1)}
    assert client.ask("POST", UPLOAD, content=b"", headers=length).status_code == 413
    assert echo.asked == 0
    assert client.ask("POST", JOIN, json=CALL).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 40 + b"]" * 40,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 100_000,
        b"[" + b"[]," * limits.JSON_BRACKETS + b"[]]",
        b'["' + b'\\"' * 10 + b'", ' + b"[" * 40 + b"]" * 40 + b"]",
    ],
    ids=["lists", "objects", "never closed", "many", "after a string"],
)
def test_json_of_many_levels_or_lists_is_refused(asked: tuple[Local, Echo], text: bytes) -> None:
    client, echo = asked
    answer = client.ask("POST", JOIN, content=text)
    assert answer.status_code == 413
    assert "nested" in answer.json()["detail"]
    assert echo.asked == 0


@pytest.mark.parametrize(
    "value",
    [CALL, [], {}, "[[[[" * 20, {"a": '"]}[{' * 20}, ["\\", '\\"', "[" * 50], [[[[[[]]]]]] * 100],
)
def test_brackets_in_strings_are_no_levels(value: Any) -> None:
    check_json(json.dumps(value).encode())


def test_measuring_json_takes_time_in_its_length_alone() -> None:
    for hostile in (b'"\\' * 250_000, b'"' + b"\\" * 499_999, b'"' * 500_001, b'["\\"' * 125_000):
        small, large = hostile[: len(hostile) // 10], hostile
        seconds = []
        for text in (small, large):
            start = time.process_time()
            for _ in range(3):
                try:
                    check_json(text)
                except Declined:
                    continue
            seconds.append(time.process_time() - start)
        # Ten times the text: in quadratic time a hundred times the work, which is minutes here.
        assert seconds[1] < 5


def test_too_many_requests_of_one_sender_leave_others_theirs(tmp_path: Path) -> None:
    front = Front(Settings(requests_a_minute=3, proxies=0), tmp_path)
    front.requests = Rate(3, 60, lambda: 0.0)
    with gated(front) as (client, _):
        answers = [client.ask("GET", "/theme.css") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].headers["retry-after"] == "60"
        assert client.ask("GET", "/theme.css", "192.0.2.2").status_code == 200
        same = [client.ask("GET", "/theme.css", f"2001:db8::{n}").status_code for n in range(4)]
        assert same == [200, 200, 200, 429]


def form(*files: bytes) -> dict[str, Any]:
    return {"files": [("files", (f"{n}.png", content)) for n, content in enumerate(files)]}


def test_upload_of_too_many_files_is_refused(asked: tuple[Local, Echo]) -> None:
    client, _ = asked
    assert client.ask("POST", UPLOAD, **form(*[b"x"] * MAX_OWN_PICTURES)).status_code == 200
    answer = client.ask("POST", UPLOAD, **form(*[b"x"] * (MAX_OWN_PICTURES + 1)))
    assert answer.status_code == 413
    assert answer.text == f"At most {MAX_OWN_PICTURES} files are taken at once."


def test_files_are_counted_across_the_parts_of_a_body(front: Front) -> None:
    body = b"".join(b"--mark\r\n\r\n\r\nx\r\n" for _ in range(MAX_OWN_PICTURES + 2))

    async def receive_by_byte() -> None:
        sent = iter(range(len(body)))

        async def receive() -> Any:
            at = next(sent)
            return {"type": "http.request", "body": body[at : at + 1], "more_body": True}

        upload = bodies.Upload(receive, 10**6, b"mark", "a", front.uploaded, front.room)
        while True:
            await upload()

    with pytest.raises(Declined, match="files"):
        run_apart(receive_by_byte())


def test_one_sender_uploads_so_much_an_hour_and_others_too(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.uploaded = Rate(10_000, 3600, lambda: 0.0)
    with gated(front) as (client, _):
        statuses = [client.ask("POST", UPLOAD, **form(b"x" * 4_000)).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        assert client.ask("POST", UPLOAD, "192.0.2.9", **form(b"x")).status_code == 200


def test_uploads_stop_at_the_high_water_mark_and_the_rest_goes_on(
    front: Front, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "picture").write_bytes(b"x" * 600)
    front.room = Room(tmp_path, stored_bytes=1000, free_bytes=0)
    with gated(front) as (client, _):
        assert client.ask("POST", UPLOAD, **form(b"x" * 500)).status_code == 200
        answer = client.ask("POST", UPLOAD, **form(b"x"))
        assert (answer.status_code, "no room" in answer.text) == (507, True)
        assert client.ask("POST", JOIN, json=CALL).status_code == 200
        front.room = Room(tmp_path / "none", free_bytes=2**60)
        assert client.ask("POST", UPLOAD, **form(b"x")).status_code == 507


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_disk_that_fills_under_an_upload_is_said_in_one_sentence(front: Front, number: int) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise OSError(number, os.strerror(number), "/srv/uploads/tmp1")

    with gated(front) as (client, _):
        client.app._app = fail  # type: ignore[attr-defined]
        answer = client.ask("POST", UPLOAD, **form(b"x"))
    assert (answer.status_code, answer.text) == (507, words.DISK_FULL)


def test_broken_form_is_refused_and_writes_nothing_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(Declined, match="Send the picture"):
        read_form(b"no form at all", b"multipart/form-data; boundary=edge")
    assert not caplog.records


def test_body_that_does_not_come_is_given_up(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()  # which nobody sets

    hold = Hold(Share(10, 10), "a")
    with pytest.raises(Declined, match="too long"):
        run_apart(read_body(receive, 10, hold, seconds=0.01))

    async def upload() -> None:
        await bodies.Upload(receive, 10, b"", "a", front.uploaded, front.room, 0.01)()

    with pytest.raises(Declined, match="too long"):
        run_apart(upload())


def test_memory_for_bodies_is_shared(front: Front) -> None:
    front.buffered = Share(1000, 500)
    with gated(front) as (client, _):
        assert client.ask("POST", JOIN, content=b"1" * 501).status_code == 503
        assert client.ask("POST", JOIN, content=b"1" * 499).status_code == 200
        assert front.buffered.total == 0


def test_open_requests_are_shared(front: Front) -> None:
    front.open = Share(4, 2)

    async def ask_at_once(client: Local) -> list[int]:
        inside, leave = asyncio.Semaphore(0), asyncio.Event()

        async def hold(scope: Any, receive: Any, send: Any) -> None:
            inside.release()
            await leave.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

        client.app._app = hold  # type: ignore[attr-defined]
        held = [asyncio.create_task(client.ask_async("GET", "/theme.css")) for _ in range(2)]
        for _ in held:
            await inside.acquire()
        third = await client.ask_async("GET", "/theme.css")
        other = asyncio.create_task(client.ask_async("GET", "/theme.css", "192.0.2.2"))
        await inside.acquire()
        leave.set()
        answers = [*await asyncio.gather(*held), third, await other]
        return [answer.status_code for answer in answers]

    with gated(front) as (client, _):
        assert client.run(ask_at_once(client)) == [200, 200, 503, 200]
        assert front.open.total == 0


def test_app_that_ends_takes_no_work_and_still_gives_answers(front: Front) -> None:
    front.ending = True
    with gated(front) as (client, _):
        answer = client.ask("POST", JOIN, json=CALL)
        assert (answer.status_code, "restarted" in answer.json()["detail"]) == (503, True)
        assert client.ask("GET", "/gradio_api/call/classify/1").status_code == 200


def test_fault_of_ours_is_counted_and_logged_without_what_was_sent(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("nobody thought of it")

    with gated(front) as (client, _):
        client.app._app = fail  # type: ignore[attr-defined]
        client.ask("GET", "/gradio_api/file=/tmp/uploads/holiday.png")
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["status"], line["route"]) == (500, "file")
    assert line["id"]
    assert "holiday" not in str(line)
    assert "192.0.2" not in str(line)
    assert 'route="file",status="500"} 1' in front.figures.write({})


def test_requests_are_logged_where_the_owner_wants_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wanted in (True, False):
        with gated(Front(Settings(logging=wanted, proxies=0), tmp_path)) as (client, _):
            client.ask("GET", "/?secret=1")
            client.ask("GET", "/theme.css")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == wanted
        assert "secret" not in str(lines)


def test_variables_are_read_and_wrong_ones_are_named() -> None:
    assert Settings.from_environment({}) == Settings(proxies=0)
    assert Settings.from_environment({"SPACE_ID": "a/b"}).proxies is None
    full = {"QUARTET_PROXIES": "2", "QUARTET_METRICS": "/m", "QUARTET_REQUESTS_A_MINUTE": "9"}
    assert Settings.from_environment(full) == Settings(9, 2, "/m")
    for name, value in (
        ("QUARTET_PROXIES", "-1"),
        ("QUARTET_REQUESTS_A_MINUTE", "many"),
        ("QUARTET_METRICS", "metrics"),
    ):
        with pytest.raises(BadVariable, match=f"{name}: give a"):
            Settings.from_environment({name: value})


class Sessions:
    """Results of which a session has some from its third look on, or never."""

    def __init__(self, ever: bool) -> None:
        self._ever, self._looks = ever, 0

    def is_awaited(self, event_id: str) -> bool:
        return False

    def has_session(self, session: str) -> bool:
        self._looks += 1
        return self._ever and self._looks > 2

    def hold(self, event_id: str) -> None: ...

    def drop(self, event_id: str) -> None: ...


@pytest.mark.parametrize("ever", [True, False])
def test_stream_that_is_opened_between_two_calls_is_not_declined(
    front: Front, asked: tuple[Local, Echo], ever: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, echo = asked
    monkeypatch.setattr(limits, "SESSION_S", 5.0 if ever else 0.1)
    front.results = Sessions(ever)
    answer = client.ask("GET", "/gradio_api/queue/data?session_hash=abc")
    assert answer.status_code == 200
    assert echo.asked == int(ever)
    assert ("close_stream" in answer.text) is not ever
    assert client.ask("GET", "/gradio_api/queue/data").status_code == 404
