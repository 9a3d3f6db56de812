"""The launched app under load while one of its own fine-tuning jobs runs."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from demo.gallery import EXAMPLES_DIR
from demo.jobs.backend import EVENTS, NAME
from demo.jobs.store import DONE, ENDED, RUNNING, JobStore, create_id, create_token
from tests.app import Refused, RunningApp, running_app
from tests.integration.test_jobs import wait_until
from trainer.checkpoint import load_checkpoint
from trainer.events import EpochFinished, RunFinished, StepSummary, read_events
from trainer.recipe import JobSettings

CALLS = 200
LONG = JobSettings(start="sgd_full", trained="all", images=1500, epochs=3, evaluated=20)
PATIENCE_S = 240


def test_calls_at_once_and_a_job_do_each_other_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    monkeypatch.setenv("QUARTET_HOME", str(tmp_path))
    path, token = tmp_path / "jobs.sqlite3", create_token()
    store = JobStore(path)
    waiting = store.add(create_id(), LONG, token)  # an app goes on with what an earlier one left
    store.close()
    events = tmp_path / "jobs" / waiting.id / EVENTS

    def state() -> str:
        with sqlite3.connect(path, timeout=60) as connection:
            (found,) = connection.execute("SELECT state FROM jobs").fetchone()
        connection.close()
        return str(found)

    with running_app() as app:
        content = (EXAMPLES_DIR / "cat-test.png").read_bytes()
        alone = shares(app.classify(content))
        wait_until(
            lambda: any(isinstance(event, StepSummary) for event in read_events(events)), PATIENCE_S
        )
        with ThreadPoolExecutor(CALLS) as pool:
            answers = list(pool.map(lambda _: ask(app, content), range(CALLS)))
        assert state() in (RUNNING, DONE)
        wait_until(lambda: state() in ENDED, PATIENCE_S)
    refusals = [answer for answer in answers if isinstance(answer, str)]
    assert all("queue" in refusal.lower() for refusal in refusals)
    assert len(refusals) < CALLS / 2
    assert all(
        np.allclose(answer, alone, atol=1e-4) for answer in answers if not isinstance(answer, str)
    )
    assert state() == DONE
    said = list(read_events(events))
    assert sum(isinstance(event, EpochFinished) for event in said) == LONG.epochs
    assert sum(isinstance(event, RunFinished) for event in said) == 1
    assert load_checkpoint(events.parent, NAME).record.recipe.epochs == LONG.epochs


def ask(app: RunningApp, content: bytes) -> list[list[float]] | str:
    """What one of many callers is answered: the probabilities, or why there are none."""
    with httpx.Client(base_url=app.url, timeout=PATIENCE_S) as client:
        try:
            return shares(RunningApp(app.url, client, app.pid).classify(content))
        except Refused as refused:
            return str(refused)


def shares(answer: Any) -> list[list[float]]:
    """Probabilities `(4, 10)` of an answer."""
    return [list(model["probabilities"].values()) for model in answer["models"].values()]
