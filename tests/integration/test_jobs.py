"""Jobs with real child processes: what they do, and what they survive."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch

from demo.comparison import NOT_SHOWN, compare_with_start
from demo.jobs import runner, words
from demo.jobs.backend import EVENTS, LOG, NAME
from demo.jobs.jobs import EARLIER, Jobs
from demo.jobs.limits import Limits
from demo.jobs.refusal import Refused
from demo.jobs.store import (
    DONE,
    ENDED,
    FAILED,
    QUEUED,
    STOPPED,
    TIMED_OUT,
    Job,
    create_token,
)
from tests.conftest import CHECKPOINTS, ROOT
from trainer.checkpoint import load_checkpoint, load_predictions, load_record
from trainer.data import Dataset, load_sample_rows
from trainer.errors import QuartetError
from trainer.recipe import PLAIN_BACKBONE, JobSettings

QUICK = JobSettings(start="sgd_frozen", images=64, batch_size=32, evaluated=20)
ENDLESS = JobSettings(
    start="sgd_full", trained="all", images=2000, batch_size=16, epochs=1000, evaluated=20
)
PATIENCE_S = 90


@pytest.fixture(scope="module", autouse=True)
def sample_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        yield


@contextmanager
def open_jobs(home: Path, **limits: float) -> Iterator[Jobs]:
    jobs = Jobs(home, CHECKPOINTS, Limits(**limits))  # type: ignore[arg-type]
    try:
        yield jobs
    finally:
        jobs.close()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """One app's jobs for the tests that need no limits or restart of their own."""
    with open_jobs(tmp_path_factory.mktemp("home")) as shared:
        shared.prepare()
        yield shared


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Jobs]:
    """Jobs that are queued and never run."""
    with open_jobs(tmp_path, running=0) as jobs:
        yield jobs


def wait_for(jobs: Jobs, job: Job, token: str, *states: str) -> Job:
    """The job, once it is in one of the states."""

    def now() -> Job:
        found = jobs.find(job.id, token)
        assert found
        return found

    assert jobs.wait(lambda: now().state in states, PATIENCE_S), now()
    return now()


def wait_until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Waits for what only a file or the process table tells."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    """True for a process that is gone, or only waits to be reaped by init."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_of(job: Job) -> int:
    """Of a running job's process."""
    assert job.process
    return int(job.process.split()[0])


def running(jobs: Jobs, settings: JobSettings, token: str) -> Job:
    """A job that has a process."""
    job = jobs.start(settings, token)

    def process() -> str | None:
        found = jobs.find(job.id, token)
        return found.process if found else None

    wait_until(lambda: process() is not None)
    found = jobs.find(job.id, token)
    assert found
    return found


def started(jobs: Jobs, settings: JobSettings, token: str) -> Job:
    """A job whose process has begun to train."""
    job = running(jobs, settings, token)
    wait_until(lambda: jobs.watch(job).summary is not None)
    return job


def test_jobs_of_others_are_as_if_they_did_not_exist(waiting: Jobs) -> None:
    mine, theirs = create_token(), create_token()
    job = waiting.start(ENDLESS, mine)
    assert waiting.find(job.id, theirs) is None
    assert waiting.find("0000", mine) is None
    assert waiting.of_owner(theirs) == []
    waiting.stop(job.id, theirs)
    waiting.delete(job.id, theirs)
    assert waiting.find(job.id, mine) == job
    stored = [path.read_bytes() for path in waiting.folder(job).parents[1].glob("jobs.sqlite3*")]
    assert stored
    assert not any(mine.encode() in content for content in stored)


def test_link_opens_its_job_and_no_other(waiting: Jobs) -> None:
    token = create_token()
    job, other = waiting.start(QUICK, token), waiting.start(QUICK, token)
    assert waiting.find(job.id, job.key) == job
    assert waiting.find(other.id, job.key) is None
    assert waiting.of_owner(job.key) == []
    assert not waiting.has_model(job)


def test_earlier_job_is_a_start_and_the_run_can_be_repeated_offline(
    jobs: Jobs, tmp_path: Path
) -> None:
    token = create_token()
    first = wait_for(jobs, jobs.start(QUICK, token), token, *ENDED)
    assert (first.state, first.reason) == (DONE, "")
    assert jobs.newest_with_model(token) == first
    progress = jobs.watch(first)
    assert progress.epochs == 1
    assert len(progress.measured) == 2  # the start, and after it
    assert jobs.estimate(QUICK, 1000, 0).seconds is not None
    before = load_checkpoint(jobs.folder(first), NAME)
    weights = tmp_path / f"{NAME}.safetensors"
    weights.write_bytes((jobs.folder(first) / weights.name).read_bytes())
    answers = load_predictions(jobs.folder(first), before.record).probabilities
    settings = QUICK.changed(start=f"{EARLIER}{first.id}", seed=1)
    with pytest.raises(Refused, match="not yours"):
        jobs.start(settings, create_token())
    for path in (str(CHECKPOINTS / "sgd_full.safetensors"), first.id, f"{EARLIER}../{first.id}"):
        with pytest.raises(Refused, match="not yours"):
            jobs.start(QUICK.changed(start=path), token)

    second = jobs.start(settings, token)
    jobs.delete(first.id, token)
    assert jobs.find(first.id, token) is None
    assert not jobs.folder(first).exists()
    second = wait_for(jobs, second, token, *ENDED)
    assert (second.state, second.reason) == (DONE, "")
    after = load_checkpoint(jobs.folder(second), NAME)
    assert not torch.equal(before.weights["fc.weight"], after.weights["fc.weight"])
    assert after.record.backbone.sha256 == before.record.weights_sha256
    assert str(jobs.folder(first)) not in after.record.as_json()
    compared = compare_with_start(jobs.folder(second), NAME, after.record.data)
    assert compared.before is not None
    # Before is what the first said after: its features were computed anew, so close, not equal.
    assert (compared.before == answers.argmax(dim=1)).double().mean() >= 0.9
    # What a visitor downloads is enough to repeat it: the weights alone, without their record.
    assert jobs.command(second).startswith("OMP_NUM_THREADS=")
    again = subprocess.run(
        f"PYTHONPATH={ROOT} {jobs.command(second)} --checkpoints {CHECKPOINTS} --out again"
        .replace("python", sys.executable, 1),
        shell=True, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    repeated = load_checkpoint(tmp_path / "again", NAME)
    assert all(torch.equal(after.weights[key], repeated.weights[key]) for key in after.weights)


def test_before_is_the_backbone_itself_and_images_are_those_of_the_shown_split(
    jobs: Jobs, sample: Dataset
) -> None:
    token = create_token()
    job = wait_for(jobs, jobs.start(QUICK.changed(start=PLAIN_BACKBONE), token), token, *ENDED)
    assert (job.state, job.reason) == (DONE, "")
    record = load_record(jobs.folder(job), NAME)
    assert record.origin
    assert (record.origin.start, record.origin.settings.start) == (PLAIN_BACKBONE, PLAIN_BACKBONE)
    full = load_record(CHECKPOINTS, "sgd_frozen").data
    # Models trained on the sample, as by `make try`, are shown on its own 500 images.
    tried = record.data.model_copy(update={"test_count": len(sample.test)})
    compared = compare_with_start(jobs.folder(job), NAME, full)
    assert compared.before is not None
    # A new last layer knows nothing, whatever `sgd_frozen` learned on the same backbone.
    assert (compared.before == compared.labels).double().mean() < 0.4
    assert len(compared.before) == len(compared.after) == len(compared.rows) == 20
    rows = compare_with_start(jobs.folder(job), NAME, tried).rows
    assert torch.equal(sample.test.labels[rows], compared.labels)
    assert torch.equal(load_sample_rows()[rows], compared.rows)
    # Of other images than those of the job none is shown.
    moved = record.model_copy(update={"data": full})
    (jobs.folder(job) / f"{NAME}.json").write_text(moved.as_json())
    assert set(compare_with_start(jobs.folder(job), NAME, tried).rows.tolist()) == {NOT_SHOWN}


def test_stop_keeps_the_model_and_delete_nothing(jobs: Jobs) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    pid = pid_of(job)
    jobs.stop(job.id, token)
    jobs.stop(job.id, token)
    stopped = wait_for(jobs, job, token, *ENDED)
    assert (stopped.state, stopped.reason) == (STOPPED, "")
    assert has_ended(pid)
    assert jobs.has_model(stopped)
    assert jobs.newest_with_model(token) == stopped
    model = load_checkpoint(jobs.folder(job), NAME)
    assert model.record.origin
    assert model.record.origin.ended_early
    assert 0 < jobs.watch(job).summary.step < jobs.watch(job).summary.total_steps  # type: ignore[union-attr]
    # It is a start like any other.
    settings = QUICK.changed(start=f"{EARLIER}{job.id}")
    assert wait_for(jobs, jobs.start(settings, token), token, *ENDED).state == DONE

    jobs.delete(job.id, create_token())
    assert jobs.find(job.id, token)
    jobs.delete(job.id, token)
    assert jobs.find(job.id, token) is None
    assert not jobs.folder(job).exists()


def test_delete_ends_the_process_and_removes_its_files(jobs: Jobs) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    pid = pid_of(job)
    jobs.delete(job.id, token)
    assert jobs.find(job.id, token) is None
    assert jobs.of_owner(token) == []
    wait_until(lambda: not psutil.pid_exists(pid) and not jobs.folder(job).exists(), 10)
    jobs.delete(job.id, token)


def test_killed_worker_is_a_failed_job(jobs: Jobs) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    os.kill(pid_of(job), signal.SIGKILL)
    ended = wait_for(jobs, job, token, *ENDED)
    assert (ended.state, ended.reason) == (FAILED, words.KILLED)


def test_hung_worker_times_out(tmp_path: Path) -> None:
    token = create_token()
    with open_jobs(tmp_path, wall_s=4) as jobs:
        job = running(jobs, ENDLESS, token)
        os.kill(pid_of(job), signal.SIGSTOP)
        ended = wait_for(jobs, job, token, *ENDED)
        assert ended.state == TIMED_OUT
        assert "4 s" in ended.reason
        assert not jobs.has_model(ended)
        assert not psutil.pid_exists(pid_of(job))


def test_job_out_of_time_keeps_what_it_learned(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    late_s = jobs.limits.wall_s - jobs.backend.saving_s
    monkeypatch.setattr(runner, "monotonic", lambda: time.monotonic() + late_s)
    ended = wait_for(jobs, job, token, *ENDED)
    assert ended.state == TIMED_OUT
    assert ended.reason == words.describe_timeout_kept(jobs.limits.wall_s)
    assert jobs.has_model(ended)


def test_memory_is_bounded(tmp_path: Path) -> None:
    token = create_token()
    with open_jobs(tmp_path, memory_bytes=100_000_000) as jobs:
        job = wait_for(jobs, jobs.start(ENDLESS, token), token, *ENDED)
        assert job.state == FAILED
        assert "memory" in job.reason


def test_full_disk_is_a_failed_job_with_its_reason_and_no_path(jobs: Jobs) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    # No file beyond 1 MB from now on; the model saved when stopping is larger.
    psutil.Process(pid_of(job)).rlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    os.kill(pid_of(job), signal.SIGTERM)
    ended = wait_for(jobs, job, token, *ENDED)
    assert ended.state == FAILED
    assert "large" in ended.reason.lower() or "space" in ended.reason.lower()
    assert str(jobs.folder(job).parent) not in ended.reason
    assert "Errno" not in ended.reason
    assert not jobs.has_model(ended)
    left = {path.name for path in jobs.folder(job).iterdir()}
    assert left == {EVENTS, LOG}


def test_diverging_run_says_so(jobs: Jobs) -> None:
    token = create_token()
    settings = JobSettings(
        start="sgd_full", trained="all", learning_rate=10.0, momentum=0.99, images=1600,
        batch_size=16, epochs=5, evaluated=20,
    )  # fmt: skip
    job = wait_for(jobs, jobs.start(settings, token), token, *ENDED)
    assert job.state == FAILED
    assert "no longer a number" in job.reason


@pytest.mark.parametrize("hung", [False, True])
def test_jobs_of_a_killed_app_end_and_its_queue_is_kept(tmp_path: Path, hung: bool) -> None:
    token = create_token()
    script = f"""
        import sys
        from pathlib import Path
        from demo.jobs.jobs import Jobs
        from tests.integration.test_jobs import CHECKPOINTS, ENDLESS, QUICK, pid_of, started
        jobs = Jobs(Path({str(tmp_path)!r}), CHECKPOINTS)
        job = started(jobs, ENDLESS, {token!r})
        waiting = jobs.start(QUICK, {token!r})
        print(job.id, pid_of(job), waiting.id, flush=True)
        sys.stdin.readline()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as app:  # fmt: skip
        assert app.stdout
        running_id, pid, waiting_id = app.stdout.readline().split()
        if hung:
            os.kill(int(pid), signal.SIGSTOP)
        app.kill()
    if not hung:  # it ends by itself
        wait_until(lambda: has_ended(int(pid)))
    with open_jobs(tmp_path, running=0) as jobs:
        left, waiting = jobs.find(running_id, token), jobs.find(waiting_id, token)
        assert left
        assert waiting
        assert has_ended(int(pid))
        if hung:
            assert (left.state, left.reason) == (FAILED, words.RESTARTED)
        else:  # told to end by the end of its input, it saved its model
            assert (left.state, left.reason) == (STOPPED, words.RESTARTED_KEPT)
            assert jobs.has_model(left)
        assert waiting.state == QUEUED


def test_thirty_visitors_at_once_are_queued_or_told(tmp_path: Path) -> None:
    with open_jobs(tmp_path, queued=2, running=0) as jobs:

        def visit(_: int) -> str:
            try:
                return jobs.start(QUICK, create_token()).state
            except Refused as refused:
                return str(refused)

        with ThreadPoolExecutor(30) as pool:
            visits = list(pool.map(visit, range(30)))
        assert sorted(visits) == sorted([QUEUED] * 2 + [words.REFUSALS["queue_full"]] * 28)
        assert len(list(tmp_path.glob("jobs/*"))) == 2
        assert not list(tmp_path.glob("new/*"))


def test_one_visitor_may_not_fill_the_queue(tmp_path: Path) -> None:
    token = create_token()
    with open_jobs(tmp_path, queued_of_owner=2, running=0) as jobs:
        first, second = jobs.start(ENDLESS, token), jobs.start(QUICK, token)
        with pytest.raises(Refused, match="2"):
            jobs.start(QUICK, token)
        assert (jobs.position(first), jobs.position(second)) == (0, 1)
        jobs.stop(first.id, token)
        assert wait_for(jobs, first, token, *ENDED).state == STOPPED
        assert jobs.position(second) == 0
        jobs.start(QUICK, token)


def test_ended_jobs_are_swept_on_a_quiet_server(tmp_path: Path) -> None:
    token = create_token()
    with open_jobs(tmp_path, kept_s=0, sweep_every_s=0.05, running=0) as jobs:
        ended, waiting = jobs.start(QUICK, token), jobs.start(QUICK, token)
        jobs.stop(ended.id, token)
        wait_until(lambda: not jobs.folder(ended).exists())
        assert jobs.of_owner(token) == [waiting]
        assert jobs.folder(waiting).exists()


def test_second_app_on_a_home_is_told_who_holds_it(waiting: Jobs) -> None:
    job = waiting.start(QUICK, create_token())
    home = waiting.folder(job).parents[1]
    with pytest.raises(QuartetError, match=str(os.getpid())), open_jobs(home):
        pass
    assert waiting.folder(job).exists()
