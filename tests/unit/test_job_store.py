"""The store of jobs, and what befalls its file."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.jobs import words
from demo.jobs.store import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    Job,
    JobStore,
    Use,
    create_id,
    create_token,
)
from trainer.recipe import JobSettings

SETTINGS = JobSettings(start="sgd_frozen", emphasised=("cat",))
NAME = "jobs.sqlite3"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


@contextmanager
def opened(path: Path) -> Iterator[JobStore]:
    store = JobStore(path)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file, held by another program."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def add(store: JobStore, token: str) -> Job:
    return store.add(create_id(), SETTINGS, token)


def test_jobs_and_uses_are_there_after_a_restart(path: Path) -> None:
    token = create_token()
    with opened(path) as store:
        job = add(store, token)
        store.update(job.id, state=RUNNING, process="1 2")
        store.add_use(Use(1.5, 2.5))
        dropped = add(store, token)
        store.remove(dropped.id)
    with opened(path) as store:
        (found,) = store.of_owner(token)
        assert (found.settings, found.state, found.process) == (SETTINGS, RUNNING, "1 2")
        assert store.uses() == [Use(1.5, 2.5)]
        store.remove_use(Use(1.5, 2.5))
    with opened(path) as store:
        assert store.uses() == []


def test_order_is_that_of_arrival_whatever_the_clock_says(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = create_token()
    with opened(path) as store:
        ids = []
        for now_s in (3e9, 1e9, 2e9):
            monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
            ids.append(add(store, token).id)
        assert [job.id for job in store.in_state(QUEUED)] == ids
    with opened(path) as store:
        assert [job.id for job in store.in_state(QUEUED)] == ids
        assert [job.id for job in store.of_owner(token)] == ids[::-1]


@pytest.mark.parametrize("part", ["all", "header", "pages"])
def test_damaged_file_is_set_aside_and_said(
    path: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = create_token()
    with opened(path) as store:
        for _ in range(50):
            add(store, token)
    content = path.read_bytes()
    damaged = {
        "all": b"no database at all",
        "header": b"\0" * 100 + content[100:],
        "pages": content[:4096] + b"\xff" * (len(content) - 4096),
    }[part]
    path.write_bytes(damaged)
    with opened(path) as store:
        assert store.of_owner(token) == []
        add(store, token)
    (aside,) = path.parent.glob(f"damaged-*-{NAME}")
    assert aside.read_bytes() == damaged
    assert aside.name in capsys.readouterr().err
    with opened(path) as store:
        assert len(store.of_owner(token)) == 1


def test_what_a_held_file_does_not_take_is_written_later(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = create_token()
    with opened(path) as store:
        job, other = add(store, token), add(store, token)
        with locked(path):
            store.update(job.id, state=DONE, reason="because")
            store.remove(other.id)
            (found,) = store.of_owner(token)
            assert (found.state, found.reason) == (DONE, "because")
            with pytest.raises(sqlite3.Error):
                add(store, token)
            assert store.of_owner(token) == [found]
        assert "locked" in capsys.readouterr().err
        store.write_rest()
        with opened(path) as again:
            assert again.of_owner(token) == [found]


def test_full_disk_loses_no_state(path: Path) -> None:
    token = create_token()
    with opened(path) as store:
        job = add(store, token)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            store.update(job.id, state=FAILED, reason="because")
            with pytest.raises(sqlite3.Error):
                add(store, token)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        found = store.of_owner(token)
        assert [(one.state, one.reason) for one in found] == [(FAILED, "because")]
    with opened(path) as store:
        assert store.of_owner(token) == found


def test_file_held_at_the_start_is_left_as_it_is(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = create_token()
    with opened(path) as store:
        add(store, token)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with opened(path) as store:
            assert store.of_owner(token) == []
            assert add(store, token)
        assert "locked" in capsys.readouterr().err
    finally:
        other.close()
    with opened(path) as store:
        assert len(store.of_owner(token)) == 1


@pytest.mark.parametrize(
    "settings", ['{"start": "sgd_full", "rate": 1}', "{", "[]", '{"epochs": 0}']
)
def test_rows_of_another_version_read_as_failed(path: Path, settings: str) -> None:
    token = create_token()
    with opened(path) as store:
        old, job = add(store, token), add(store, token)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE jobs SET settings = ? WHERE id = ?", (settings, old.id))
    connection.close()
    with opened(path) as store:
        found = store.find(old.id, token)
        assert found
        assert (found.state, found.settings, found.reason) == (FAILED, None, words.OTHER_VERSION)
        assert found.ended_s is not None  # so it is swept in time
        assert store.in_state(QUEUED) == [job]
