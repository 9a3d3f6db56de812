"""What jobs survive that befalls the app around them: its disk, its store, its backend."""

import contextlib
import math
import re
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from demo.jobs import words
from demo.jobs.backend import EVENTS, NAME, OWN, Order, Process
from demo.jobs.failures import hide_paths
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.local import LocalBackend
from demo.jobs.refusal import Refused
from demo.jobs.store import DONE, ENDED, FAILED, RUNNING, create_token
from tests.conftest import CHECKPOINTS
from tests.integration.test_jobs import (
    ENDLESS,
    QUICK,
    open_jobs,
    running,
    started,
    wait_for,
    wait_until,
)
from tests.pictures import encode
from trainer.checkpoint import load_checkpoint


@pytest.fixture(scope="module", autouse=True)
def sample_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        yield


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with open_jobs(tmp_path_factory.mktemp("home")) as shared:
        shared.prepare()
        yield shared


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond some bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def picture(shade: int) -> bytes:
    return encode(Image.new("RGB", (32, 32), (shade, 0, 0)), "PNG")


class OddBackend(LocalBackend):
    """This machine, but for its first starts, and for so many seconds a day, whose number comes
    over a slow network."""

    def __init__(self, *faults: Exception, seconds: float = math.inf) -> None:
        super().__init__(CHECKPOINTS)
        self.faults = list(faults)
        self.answer, self.asked = threading.Event(), threading.Event()
        self.answer.set()
        self._seconds = seconds

    @property
    def seconds_a_day(self) -> float:  # type: ignore[override]
        self.asked.set()
        self.answer.wait()
        return self._seconds

    def start(self, order: Order) -> Process:
        if self.faults:
            raise self.faults.pop(0)
        return super().start(order)


def test_job_learns_from_the_pictures_that_were_named(jobs: Jobs) -> None:
    token = create_token()
    for shade, label in ((1, "cat"), (2, "dog"), (3, "cat")):
        jobs.pictures.add(token, label, picture(shade))
    ids = [taught.id for taught in jobs.pictures.of_owner(token)]
    job = jobs.start(QUICK, token, ids[:2])
    jobs.pictures.clear(token)  # the job has its own
    with pytest.raises(Refused, match="no longer here"):
        jobs.start(QUICK, token, ids)
    assert [one.id for one in jobs.of_owner(token)] == [job.id]
    assert "--own" in jobs.command(job)
    ended = wait_for(jobs, job, token, *ENDED)
    assert (ended.state, ended.reason) == (DONE, "")
    files = {p.relative_to(jobs.folder(job) / OWN) for p in jobs.folder(job).glob(f"{OWN}/*/*")}
    assert {path.parent.name for path in files} == {"cat", "dog"}
    assert len(files) == 2
    origin = load_checkpoint(jobs.folder(job), NAME).record.origin
    assert origin
    assert origin.own_pictures
    assert origin.own_pictures.count == 2


def test_pictures_are_gone_when_they_are_of_others(jobs: Jobs) -> None:
    mine, theirs = create_token(), create_token()
    jobs.pictures.add(theirs, "cat", picture(1))
    ids = [taught.id for taught in jobs.pictures.of_owner(theirs)]
    with pytest.raises(Refused, match="no longer here"):
        jobs.start(QUICK, mine, ids)


def test_disk_that_fills_while_pictures_are_copied_leaves_nothing(tmp_path: Path) -> None:
    token = create_token()
    with open_jobs(tmp_path) as jobs:
        jobs.pictures.add(token, "cat", picture(1))
        ids = [taught.id for taught in jobs.pictures.of_owner(token)]
        with full_disk(), pytest.raises(Refused) as refused:
            jobs.start(QUICK, token, ids)
        assert "could not be stored (File too large)" in str(refused.value)
        assert jobs.of_owner(token) == []
        assert not list(tmp_path.glob("jobs/*"))
        assert not list(tmp_path.glob("new/*"))


def test_store_that_is_held_stops_neither_this_job_nor_the_next(
    jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    token = create_token()
    first, second = jobs.start(QUICK, token), jobs.start(QUICK.changed(seed=1), token)
    other = sqlite3.connect(jobs.folder(first).parents[1] / "jobs.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        for job in (first, second):
            ended = wait_for(jobs, job, token, *ENDED)
            assert (ended.state, ended.reason) == (DONE, "")
        with pytest.raises(Refused, match="could not be stored"):
            jobs.start(QUICK, token)
    finally:
        other.execute("ROLLBACK")
    jobs.sweep()
    states = other.execute(
        "SELECT state FROM jobs WHERE id IN (?, ?)", (first.id, second.id)
    ).fetchall()
    other.close()
    assert states == [(DONE,), (DONE,)]


def test_whatever_a_start_meets_the_next_job_runs(tmp_path: Path) -> None:
    faults = (
        OSError(28, "No space left on device", str(tmp_path)),
        sqlite3.OperationalError("disk I/O error"),
        RuntimeError(f"nobody thought of {tmp_path}"),
    )
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(queued_of_owner=9), OddBackend(*faults))
    try:
        token = create_token()
        failed = [jobs.start(QUICK, token) for _ in faults]
        last = jobs.start(QUICK, token)
        for job in failed:
            ended = wait_for(jobs, job, token, *ENDED)
            assert ended.state == FAILED
            assert ended.reason.endswith(".")
            assert not re.search(rf"{tmp_path}|Error", ended.reason)
        assert "No space left on device" in jobs.of_owner(token)[-1].reason
        assert wait_for(jobs, last, token, RUNNING, *ENDED).state == RUNNING
    finally:
        jobs.close()


def test_command_does_not_repeat_a_job_from_other_models_than_its_own(tmp_path: Path) -> None:
    token, limits = create_token(), Limits(running=0)
    for folder, named in ((CHECKPOINTS, False), (tmp_path / "mine", True)):
        with contextlib.closing(Jobs(tmp_path / "home", folder, limits)) as jobs:
            command = jobs.command(jobs.start(QUICK, token))
            assert ("--checkpoints CHECKPOINTS" in command) is named
            assert str(tmp_path) not in command


def test_damaged_store_and_rows_of_another_version_do_not_keep_the_app_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = create_token()
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database")
    with open_jobs(tmp_path, running=0) as jobs:
        assert "damaged" in capsys.readouterr().err
        old, fine = jobs.start(QUICK, token), jobs.start(QUICK, token)
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as connection:
        connection.execute("UPDATE jobs SET settings = '{\"rate\": 1}' WHERE id = ?", (old.id,))
    connection.close()
    with open_jobs(tmp_path) as jobs:
        found = jobs.find(old.id, token)
        assert found
        assert (found.state, found.reason) == (FAILED, words.OTHER_VERSION)
        assert jobs.command(found) == ""
        assert jobs.estimate(QUICK, 1000, 0).fits
        assert wait_for(jobs, fine, token, RUNNING, *ENDED).state == RUNNING


def test_what_a_killed_app_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    token = create_token()
    uploads = tmp_path / "uploads"
    (uploads / "a").mkdir(parents=True)
    for path in (uploads / "a" / "picture.png", uploads / "aborted"):
        path.write_bytes(b"x")
    home = tmp_path / "home"
    limits = {"kept_s": 0.0, "pictures_kept_s": 0.0, "uploads_kept_s": 0.0}
    with open_jobs(home, running=0) as jobs:
        job = jobs.start(QUICK, token)
        jobs.stop(job.id, token)
        jobs.pictures.add(token, "cat", picture(1))
    (home / "jobs" / "lost").mkdir()  # of a store that was set aside
    (home / "jobs" / "lost" / f"{NAME}.safetensors").write_bytes(b"x")
    (home / "new" / "unfinished").mkdir(parents=True)
    jobs = Jobs(home, CHECKPOINTS, Limits(**limits), uploads=uploads)  # type: ignore[arg-type]
    try:
        assert jobs.of_owner(token) == []
        assert jobs.pictures.of_owner(token) == []
        assert not [path for path in uploads.rglob("*") if path.is_file()]
        assert not [path for path in home.glob("jobs/**/*") if path.is_file()]
        assert not (home / "new").exists()
    finally:
        jobs.close()


def test_uploads_and_pictures_are_swept_on_a_quiet_server(tmp_path: Path) -> None:
    token, uploads = create_token(), tmp_path / "uploads"
    limits = Limits(sweep_every_s=0.05, uploads_kept_s=0.2, pictures_kept_s=0.2)
    jobs = Jobs(tmp_path / "home", CHECKPOINTS, limits, uploads=uploads)
    try:
        (uploads / "a").mkdir(parents=True)
        (uploads / "a" / "picture.png").write_bytes(b"x")
        jobs.pictures.add(token, "cat", picture(1))
        wait_until(lambda: not list(uploads.rglob("*")) and not jobs.pictures.of_owner(token))
    finally:
        jobs.close()


def test_half_written_files_of_a_killed_job_are_removed(jobs: Jobs) -> None:
    token = create_token()
    job = started(jobs, ENDLESS, token)
    left = [f".{NAME}.safetensors.abc.unfinished", f"{NAME}.00000001.abc.state"]
    for name in left:
        (jobs.folder(job) / name).write_bytes(b"x")
    assert job.process
    LocalBackend(CHECKPOINTS).end_orphan(job.process)
    assert wait_for(jobs, job, token, *ENDED).state == FAILED
    names = {path.name for path in jobs.folder(job).iterdir()}
    assert names.isdisjoint(left)
    assert EVENTS in names


def test_orphan_is_ended_only_if_it_is_that_very_process(jobs: Jobs) -> None:
    token = create_token()
    job = running(jobs, ENDLESS, token)
    assert job.process
    pid, birth = job.process.split()
    LocalBackend(CHECKPOINTS).end_orphan(f"{pid} 0{birth}")
    assert wait_for(jobs, job, token, RUNNING, *ENDED).state == RUNNING
    jobs.delete(job.id, token)


def test_nobody_waits_for_the_prices_but_who_starts(tmp_path: Path) -> None:
    backend = OddBackend()
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(running=0), backend)
    try:
        mine, theirs = create_token(), create_token()
        job = jobs.start(QUICK, mine)
        backend.answer.clear()
        backend.asked.clear()
        starting = threading.Thread(target=jobs.start, args=(QUICK, theirs))
        starting.start()
        assert backend.asked.wait(60)
        stopping = threading.Thread(target=jobs.stop, args=(job.id, mine), daemon=True)
        stopping.start()
        stopping.join(60)
        assert not stopping.is_alive()
        backend.answer.set()
        starting.join()
        assert len(jobs.of_owner(theirs)) == 1
    finally:
        backend.answer.set()
        jobs.close()


def test_deleted_jobs_are_paid_for_too(tmp_path: Path) -> None:
    token, backend = create_token(), OddBackend(OSError(5, "of no matter"), seconds=200)
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(wall_s=100), backend)
    try:
        job = wait_for(jobs, jobs.start(QUICK, token), token, *ENDED)
        jobs.delete(job.id, token)
        jobs.start(ENDLESS, token)
        with pytest.raises(Refused, match="used up"):
            jobs.start(QUICK, token)
    finally:
        jobs.close()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("No space left on device (/data/jobs/1): free some", "No space left on device: free some"),
        ("[Errno 28] No space left on device: '/data/jobs/1/x'", "No space left on device"),
        ("512 images/s and 1/2 are fine", "512 images/s and 1/2 are fine"),
    ],
)
def test_paths_are_no_part_of_a_reason(said: str, shown: str) -> None:
    assert hide_paths(said) == shown
