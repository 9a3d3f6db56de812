"""Jobs on Hugging Face Jobs, against a local stand-in of its endpoints that runs them for real."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from demo import text
from demo.backend import EVENTS, LOG, NAME
from demo.hub import HubBackend, HubSettings
from demo.jobs import EARLIER, Jobs, Limits, Refused
from demo.store import DONE, ENDED, FAILED, STOPPED, create_token
from tests.conftest import CHECKPOINTS, ROOT
from tests.hub import FakeHub, running_hub
from tests.integration.test_jobs import ENDLESS, QUICK, started, wait_for, wait_until
from trainer.checkpoint import load_checkpoint
from trainer.events import EpochFinished, StepSummary
from trainer.settings import Settings

REPO, SPACE, TOKEN = "someone/results", "someone/quartet", "hf_secret"
WALL_S = 120.0


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    environment = {
        # The sample in the layout of the Hub's data set, where a real job would download that.
        "QUARTET_DATA": str(ROOT / "trainer" / "sample"),
        "QUARTET_CACHE": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "job"),
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    with running_hub(REPO, environment) as running:
        yield running


def open_jobs(home: Path, hub: FakeHub, usd_a_day: float = 10.0) -> Jobs:
    settings = HubSettings(REPO, SPACE, "t4-small", usd_a_day, TOKEN)
    return Jobs(home, CHECKPOINTS, Limits(WALL_S), HubBackend(settings, WALL_S, hub.url))


def test_job_runs_there_and_its_result_comes_back(hub: FakeHub, tmp_path: Path) -> None:
    token, picture = create_token(), io.BytesIO()
    Image.new("RGB", (32, 32), "magenta").save(picture, "PNG")
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        own = {"frog": [picture.getvalue()]}
        first = wait_for(jobs, jobs.start(QUICK, token, own), token, *ENDED)
        assert (first.state, first.reason) == (DONE, "")
        kinds = {type(event) for event in jobs.events(first)}
        assert {StepSummary, EpochFinished} <= kinds
        record = load_checkpoint(jobs.folder(first), NAME).record
        assert record["origin"]["own_pictures"]["count"] == 1

        spec = hub.specs[0]
        assert spec["spaceId"] == SPACE
        assert spec["timeoutSeconds"] == WALL_S
        assert spec["secrets"] == {"HF_TOKEN": TOKEN}
        assert TOKEN not in str({**spec, "secrets": None})

        settings = Settings.from_dict({**QUICK.as_dict(), "start": f"{EARLIER}{first.id}"})
        second = wait_for(jobs, jobs.start(settings, token), token, *ENDED)
        assert (second.state, second.reason) == (DONE, "")
        start = load_checkpoint(jobs.folder(second), NAME).record["origin"]["start_sha256"]
        assert start == record["weights_sha256"]
    finally:
        jobs.close()


def test_stop_cancels_it_there(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        job = started(jobs, ENDLESS, token)
        jobs.stop(job.id, token)
        assert wait_for(jobs, job, token, *ENDED).state == STOPPED
        (remote,) = hub.jobs.values()
        assert remote.cancelled
        assert not jobs.folder(job).exists()
    finally:
        jobs.close()


def test_fault_there_is_a_failed_job_with_its_reason(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    hub.environment["QUARTET_DATA"] = str(tmp_path / "nothing")
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        job = wait_for(jobs, jobs.start(QUICK, token), token, *ENDED)
        assert job.state == FAILED
        assert "is not a folder" in job.reason
        assert "Hugging Face ended the job" in (jobs.folder(job) / LOG).read_text()
    finally:
        jobs.close()


def test_no_more_is_spent_than_allowed(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    # 0.006 USD a minute: a job of two minutes costs 0.012 at most.
    jobs = open_jobs(tmp_path / "home", hub, usd_a_day=0.02)
    try:
        job = wait_for(jobs, jobs.start(QUICK, token), token, *ENDED)
        assert job.state == DONE
        jobs.start(ENDLESS, token)
        with pytest.raises(Refused, match="used up"):
            jobs.start(QUICK, token)
    finally:
        jobs.close()


def test_service_out_of_reach_is_said(tmp_path: Path) -> None:
    with running_hub(REPO, {}) as gone:
        url = gone.url
    settings = HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN)
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(WALL_S), HubBackend(settings, WALL_S, url))
    try:
        with pytest.raises(Refused, match="could not be reached"):
            jobs.start(QUICK, create_token())
    finally:
        jobs.close()


def test_restart_cancels_what_was_left(hub: FakeHub, tmp_path: Path) -> None:
    settings = HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN)
    backend = HubBackend(settings, WALL_S, hub.url)
    jobs = open_jobs(tmp_path / "home", hub)
    token = create_token()
    try:
        job = started(jobs, ENDLESS, token)
        assert job.process
        assert (jobs.folder(job) / EVENTS).exists()
        backend.end_orphan(job.process)
        assert hub.jobs[job.process].cancelled
        wait_until(lambda: hub.jobs[job.process or ""].process.poll() is not None)
        assert wait_for(jobs, job, token, *ENDED).state == FAILED
    finally:
        jobs.close()


def test_owner_is_told_what_is_missing() -> None:
    assert HubSettings.from_environment({}) is None
    with pytest.raises(ValueError, match="SPACE_ID"):
        HubSettings.from_environment({"QUARTET_JOBS_REPO": REPO})
    full = {"QUARTET_JOBS_REPO": REPO, "SPACE_ID": SPACE, "HF_TOKEN": TOKEN}
    assert HubSettings.from_environment(full) == HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN)
    with pytest.raises(ValueError, match="a number"):
        HubSettings.from_environment({**full, "QUARTET_JOBS_USD_A_DAY": "much"})
    assert (
        text.describe_hub("t4-small")
        in HubBackend(HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN), WALL_S).place
    )
