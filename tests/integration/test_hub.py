"""Jobs on Hugging Face Jobs, against a local stand-in of its endpoints that runs them for real."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from demo.faults import SENTENCES
from demo.jobs import words
from demo.jobs.backend import EVENTS, LOG, NAME, PAYERS_REPO, Payer
from demo.jobs.hub import HubBackend, HubSettings
from demo.jobs.jobs import EARLIER, Jobs
from demo.jobs.limits import Limits
from demo.jobs.refusal import Refused
from demo.jobs.store import DONE, ENDED, FAILED, STOPPED, create_token
from tests.conftest import CHECKPOINTS, ROOT
from tests.hub import FakeHub, running_hub
from tests.integration.test_jobs import ENDLESS, QUICK, started, wait_for, wait_until
from trainer.checkpoint import load_checkpoint
from trainer.files import hash_file
from trainer.recipe import PLAIN_BACKBONE

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


def open_jobs(
    home: Path, hub: FakeHub, usd_a_day: float = 10.0, checkpoints: Path = CHECKPOINTS
) -> Jobs:
    settings = HubSettings(REPO, SPACE, "t4-small", usd_a_day, TOKEN)
    backend = HubBackend(settings, WALL_S, checkpoints, hub.url)
    return Jobs(home, checkpoints, Limits(WALL_S), backend)


def test_job_runs_there_and_its_result_comes_back(hub: FakeHub, tmp_path: Path) -> None:
    token, picture = create_token(), io.BytesIO()
    Image.new("RGB", (32, 32), "magenta").save(picture, "PNG")
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        jobs.pictures.add(token, "frog", picture.getvalue())
        ids = [taught.id for taught in jobs.pictures.of_owner(token)]
        first = wait_for(jobs, jobs.start(QUICK, token, ids), token, *ENDED)
        assert (first.state, first.reason) == (DONE, "")
        progress = jobs.watch(first)
        assert progress.summary
        assert progress.epochs == 1
        record = load_checkpoint(jobs.folder(first), NAME).record
        assert record.origin
        assert record.origin.own_pictures
        assert record.origin.own_pictures.count == 1

        spec = hub.specs[0]
        assert spec["spaceId"] == SPACE
        assert spec["timeoutSeconds"] == WALL_S
        assert spec["secrets"] == {"HF_TOKEN": TOKEN}
        assert TOKEN not in str({**spec, "secrets": None})

        settings = QUICK.changed(start=f"{EARLIER}{first.id}")
        second = wait_for(jobs, jobs.start(settings, token), token, *ENDED)
        assert (second.state, second.reason) == (DONE, "")
        origin = load_checkpoint(jobs.folder(second), NAME).record.origin
        assert origin
        assert origin.start_sha256 == record.weights_sha256
    finally:
        jobs.close()


def test_job_starts_from_this_apps_checkpoints_where_they_are_not_the_shipped(
    hub: FakeHub, tmp_path: Path
) -> None:
    token, own = create_token(), tmp_path / "own"
    own.mkdir()
    # Another model under a shipped one's name.
    for suffix in (".safetensors", ".json"):
        content = (CHECKPOINTS / f"adam_frozen{suffix}").read_bytes()
        (own / f"sgd_frozen{suffix}").write_bytes(content)
    jobs = open_jobs(tmp_path / "home", hub, checkpoints=own)
    try:
        for start in ("sgd_frozen", PLAIN_BACKBONE):
            job = wait_for(jobs, jobs.start(QUICK.changed(start=start), token), token, *ENDED)
            assert (job.state, job.reason) == (DONE, "")
            origin = load_checkpoint(jobs.folder(job), NAME).record.origin
            assert origin
            assert origin.start == start
            assert origin.start_sha256 == hash_file(own / "sgd_frozen.safetensors")
    finally:
        jobs.close()


def test_stop_there_brings_the_model_back(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        job = started(jobs, ENDLESS, token)
        jobs.stop(job.id, token)
        stopped = wait_for(jobs, job, token, *ENDED)
        assert (stopped.state, stopped.reason) == (STOPPED, "")
        assert jobs.has_model(stopped)
        origin = load_checkpoint(jobs.folder(job), NAME).record.origin
        assert origin
        assert origin.ended_early
        (remote,) = hub.jobs.values()
        assert not remote.cancelled
    finally:
        jobs.close()


def test_delete_cancels_it_there(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        job = started(jobs, ENDLESS, token)
        jobs.delete(job.id, token)
        (remote,) = hub.jobs.values()
        wait_until(lambda: remote.cancelled and not jobs.folder(job).exists())
        assert jobs.find(job.id, token) is None
    finally:
        jobs.close()


def test_fault_there_is_a_failed_job_with_its_reason(hub: FakeHub, tmp_path: Path) -> None:
    token = create_token()
    hub.environment["QUARTET_DATA"] = str(tmp_path / "nothing")
    jobs = open_jobs(tmp_path / "home", hub)
    try:
        job = wait_for(jobs, jobs.start(QUICK, token), token, *ENDED)
        assert job.state == FAILED
        assert job.reason == SENTENCES["data_no_folder"]
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


def test_visitor_may_pay(hub: FakeHub, tmp_path: Path) -> None:
    """Then all of the job goes through their account, and the owner's money is left alone."""
    hub.repo = f"ada/{PAYERS_REPO}"
    token, ada = create_token(), Payer("ada", "hf_oauth_of_ada")
    jobs = open_jobs(tmp_path / "home", hub, usd_a_day=0.0)
    try:
        with pytest.raises(Refused, match="used up"):
            jobs.start(QUICK, token)
        settings = QUICK
        for _ in range(2):
            job = wait_for(jobs, jobs.start(settings, token, payer=ada), token, *ENDED)
            assert (job.state, job.reason) == (DONE, "")
            assert jobs.has_model(job)
            settings = QUICK.changed(start=f"{EARLIER}{job.id}")
        assert [made["visibility"] for made in hub.created] == ["private", "private"]
        for spec in hub.specs:
            assert (spec["namespace"], spec["secrets"]) == ("ada", {"HF_TOKEN": ada.token})
        assert hub.tokens == {ada.token}
        assert TOKEN not in str(hub.specs)
        assert jobs._store.uses() == []
        assert PAYERS_REPO in jobs.leaves(job)
        files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
        assert not [path for path in files if ada.token.encode() in path.read_bytes()]
        with pytest.raises(Refused, match="used up"):
            jobs.start(QUICK, token)
    finally:
        jobs.close()


def test_who_pays_is_forgotten_with_the_job_and_by_a_restart(hub: FakeHub, tmp_path: Path) -> None:
    token, ada = create_token(), Payer("ada", "hf_oauth_of_ada")
    settings = HubSettings(REPO, SPACE, "t4-small", 10.0, TOKEN)
    backend = HubBackend(settings, WALL_S, CHECKPOINTS, hub.url)
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(WALL_S, running=0), backend)
    try:
        dropped, stopped, kept = (jobs.start(QUICK, token, payer=ada) for _ in range(3))
        jobs.delete(dropped.id, token)
        jobs.stop(stopped.id, token)
        assert list(backend._payers) == [kept.id]
    finally:
        jobs.close()
    jobs = open_jobs(tmp_path, hub)
    try:
        job = wait_for(jobs, kept, token, *ENDED)
        assert job.state == FAILED
        assert words.PAYER_FORGOTTEN in job.reason
        assert hub.specs == []  # above all not at the owner's cost
    finally:
        jobs.close()


def test_service_out_of_reach_is_said(tmp_path: Path) -> None:
    with running_hub(REPO, {}) as gone:
        url = gone.url
    settings = HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN)
    jobs = Jobs(
        tmp_path, CHECKPOINTS, Limits(WALL_S), HubBackend(settings, WALL_S, CHECKPOINTS, url)
    )
    try:
        with pytest.raises(Refused, match="could not be reached"):
            jobs.start(QUICK, create_token())
    finally:
        jobs.close()


def test_restart_cancels_what_was_left(hub: FakeHub, tmp_path: Path) -> None:
    settings = HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN)
    backend = HubBackend(settings, WALL_S, CHECKPOINTS, hub.url)
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
    with pytest.raises(Refused, match="SPACE_ID"):
        HubSettings.from_environment({"QUARTET_JOBS_REPO": REPO})
    full = {"QUARTET_JOBS_REPO": REPO, "SPACE_ID": SPACE, "HF_TOKEN": TOKEN}
    assert HubSettings.from_environment({**full}) == HubSettings(
        REPO, SPACE, "t4-small", 1.0, TOKEN
    )
    with pytest.raises(Refused, match="a number"):
        HubSettings.from_environment({**full, "QUARTET_JOBS_USD_A_DAY": "much"})
    assert (
        words.describe_hub("t4-small")
        in HubBackend(HubSettings(REPO, SPACE, "t4-small", 1.0, TOKEN), WALL_S, CHECKPOINTS).place
    )
