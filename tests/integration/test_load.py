"""The launched app under load while one of its own fine-tuning jobs runs."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from demo.backend import EVENTS, NAME
from demo.gallery import EXAMPLES_DIR
from demo.store import DONE, ENDED, RUNNING, JobStore, create_token
from tests.app import RunningApp, as_file, running_app
from trainer.checkpoint import load_checkpoint
from trainer.events import EpochFinished, RunFinished, StepSummary, read_events
from trainer.settings import Settings

CALLS = 200
LONG = Settings(start="sgd_full", trained="all", images=1500, epochs=3, evaluated=20)
PATIENCE_S = 240


def test_calls_at_once_and_a_job_do_each_other_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    monkeypatch.setenv("QUARTET_HOME", str(tmp_path))
    store, token = JobStore(tmp_path / "jobs.sqlite3"), create_token()
    waiting = store.add(LONG.as_dict(), token)  # an app goes on with what an earlier one left
    events = tmp_path / "jobs" / waiting.id / EVENTS

    def state() -> str:
        job = store.find(waiting.id, token)
        assert job
        return job.state

    with running_app() as app:
        content = (EXAMPLES_DIR / "cat-test.png").read_bytes()
        alone = app.classify(content)
        wait_until(lambda: any(isinstance(event, StepSummary) for event in read_events(events)))
        answers = asyncio.run(ask_at_once(app, content))
        assert state() in (RUNNING, DONE)
        wait_until(lambda: state() in ENDED)
    refusals = [answer for answer in answers if isinstance(answer, str)]
    assert all("queue is full" in refusal.lower() for refusal in refusals)
    assert len(refusals) < CALLS / 2
    assert all(
        np.allclose(shares(answer), shares(alone), atol=1e-4)
        for answer in answers
        if not isinstance(answer, str)
    )
    assert state() == DONE
    store.close()
    said = list(read_events(events))
    assert sum(isinstance(event, EpochFinished) for event in said) == LONG.epochs
    assert sum(isinstance(event, RunFinished) for event in said) == 1
    assert load_checkpoint(events.parent, NAME).record["recipe"]["epochs"] == LONG.epochs


async def ask_at_once(app: RunningApp, content: bytes) -> list[Any]:
    """What each of many callers at once is answered: a classification, or why there is none."""
    picture = as_file(app.upload(content))
    # None kept: the server ends a connection idle for five seconds as a call may just take it up.
    limits = httpx.Limits(max_connections=CALLS, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=PATIENCE_S, limits=limits) as client:

        async def ask() -> Any:
            called = await client.post(
                "/gradio_api/call/classify", json={"data": [picture, "centre"]}
            )
            if called.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return called.json()["detail"]
            event = called.raise_for_status().json()["event_id"]
            told = (await client.get(f"/gradio_api/call/classify/{event}")).text
            *_, kind, data = told.strip().splitlines()  # heartbeats come first where a call waits
            answer = json.loads(data.removeprefix("data: "))
            return answer[0] if kind == "event: complete" else str(answer)

        return await asyncio.gather(*(ask() for _ in range(CALLS)))


def shares(answer: Any) -> list[list[float]]:
    """Probabilities `(4, 10)` of an answer."""
    return [list(model["probabilities"].values()) for model in answer["models"].values()]


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what only a file tells."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
