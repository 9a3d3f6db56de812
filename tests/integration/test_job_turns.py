"""The queue of jobs is shared: by token, by address, and by turns."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.jobs.backend import Order
from demo.jobs.jobs import Jobs
from demo.jobs.limits import DAY_S, Limits
from demo.jobs.local import LocalBackend, ProcessGroup
from demo.jobs.refusal import Refused
from demo.jobs.store import FAILED, QUEUED, create_token
from demo.jobs.sweep import Ages
from tests.conftest import CHECKPOINTS
from trainer.recipe import JobSettings

SETTINGS = JobSettings(start="sgd_frozen", images=64, batch_size=32)
PATIENCE_S = 60


@contextlib.contextmanager
def waiting(home: Path, **limits: int) -> Iterator[Jobs]:
    """Jobs that wait and never run."""
    with contextlib.closing(Jobs(home, CHECKPOINTS, Limits(running=0, **limits))) as jobs:
        yield jobs


class Noting(LocalBackend):
    """Starts nothing, and notes what it was to start."""

    def __init__(self) -> None:
        super().__init__(CHECKPOINTS)
        self.started: list[str] = []

    def start(self, order: Order) -> ProcessGroup:
        self.started.append(order.folder.name)
        raise OSError(5, "nothing is started")

    def prepare(self) -> None:
        pass


def test_tokens_of_one_address_share_its_cap(tmp_path: Path) -> None:
    with waiting(tmp_path) as jobs:
        most = jobs.limits.queued_of_owner
        tokens = [create_token() for _ in range(most)]
        started = [jobs.start(SETTINGS, token, sender="192.0.2.1") for token in tokens]
        with pytest.raises(Refused, match="from your address"):
            jobs.start(SETTINGS, create_token(), sender="192.0.2.1")
        jobs.start(SETTINGS, create_token(), sender="192.0.2.2")
        jobs.stop(started[0].id, tokens[0])
        jobs.start(SETTINGS, create_token(), sender="192.0.2.1")
        jobs.delete(started[1].id, tokens[1])
        jobs.start(SETTINGS, create_token(), sender="192.0.2.1")


def test_token_keeps_its_own_cap_wherever_it_is_used(tmp_path: Path) -> None:
    token = create_token()
    with waiting(tmp_path) as jobs:
        for n in range(jobs.limits.queued_of_owner):
            jobs.start(SETTINGS, token, sender=f"192.0.2.{n}")
        with pytest.raises(Refused, match="You have 3 jobs"):
            jobs.start(SETTINGS, token, sender="192.0.2.9")


def test_senders_take_turns_and_each_sees_its_place(tmp_path: Path) -> None:
    backend = Noting()
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(), backend)
    with contextlib.closing(jobs):
        with jobs._queue.changed:  # nothing runs before all wait
            first = [jobs.start(SETTINGS, create_token(), sender="a") for _ in range(3)]
            second = [jobs.start(SETTINGS, create_token(), sender="b") for _ in range(2)]
            third = jobs.start(SETTINGS, create_token())  # of an unknown address
            expected = [first[0], second[0], third, first[1], second[1], first[2]]
            assert [jobs.position(job) for job in expected] == list(range(6))
        assert jobs.wait(lambda: not jobs.count(QUEUED), PATIENCE_S)
        assert jobs.wait(lambda: len(backend.started) == 6, PATIENCE_S)
    assert backend.started == [job.id for job in expected]


def test_who_was_served_waits_for_who_comes_later(tmp_path: Path) -> None:
    backend = Noting()
    jobs = Jobs(tmp_path, CHECKPOINTS, Limits(), backend)
    with contextlib.closing(jobs):
        jobs.start(SETTINGS, create_token(), sender="a")
        assert jobs.wait(lambda: jobs.count(FAILED) == 1, PATIENCE_S)
        with jobs._queue.changed:
            again = jobs.start(SETTINGS, create_token(), sender="a")
            new = jobs.start(SETTINGS, create_token(), sender="b")
            assert (jobs.position(new), jobs.position(again)) == (0, 1)


def test_no_job_is_taken_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with waiting(tmp_path, free_bytes=2**60) as jobs:
        with pytest.raises(Refused, match="no room"):
            jobs.start(SETTINGS, create_token())
        assert not list(tmp_path.glob("jobs/*"))
        assert not list(tmp_path.glob("new/*"))


def test_jobs_and_pictures_of_an_address_are_counted_by_the_day(tmp_path: Path) -> None:
    with waiting(tmp_path, started_of_sender=2, pictures_of_sender=2) as jobs:
        for _ in range(2):
            token = create_token()
            jobs.stop(jobs.start(SETTINGS, token, sender="a").id, token)
        with pytest.raises(Refused, match="2 jobs were started from your address"):
            jobs.start(SETTINGS, create_token(), sender="a")
        jobs.start(SETTINGS, create_token(), sender="b")
        for n in range(2):
            jobs.pictures.add(create_token(), "cat", b"%d" % n, "a")
        with pytest.raises(Refused, match="2 pictures were taught from your address"):
            jobs.pictures.add(create_token(), "cat", b"3", "a")
        jobs.pictures.add(create_token(), "cat", b"3", "b")


def test_clock_that_jumps_sweeps_nothing_early_and_lets_nothing_overtake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, steady, shift, waited = time.time, time.monotonic, [0.0], [0.0]
    monkeypatch.setattr(time, "time", lambda: wall() + shift[0])
    clocks = (lambda: wall() + shift[0]), (lambda: steady() + waited[0])
    monkeypatch.setattr("demo.jobs.jobs.Ages", lambda: Ages(*clocks))
    token = create_token()
    with waiting(tmp_path, queued_of_owner=9) as jobs:
        ended = jobs.start(SETTINGS, token)
        jobs.stop(ended.id, token)
        jobs.pictures.add(token, "cat", b"picture")
        line = [jobs.start(SETTINGS, token)]
        for jump_s in (2 * DAY_S, -2 * DAY_S - 3600):
            shift[0] += jump_s
            jobs.sweep()
            line.append(jobs.start(SETTINGS, token))
            assert [jobs.position(job) for job in line] == list(range(len(line)))
            assert jobs.find(ended.id, token)
            assert len(jobs.pictures.of_owner(token)) == 1
        waited[0] = DAY_S + 60
        jobs.sweep()
        assert jobs.find(ended.id, token) is None
        assert not jobs.pictures.of_owner(token)
        assert jobs.count(QUEUED) == 3


def test_jobs_of_an_earlier_app_wait_on_as_their_owners(tmp_path: Path) -> None:
    token = create_token()
    with waiting(tmp_path) as jobs:
        job = jobs.start(SETTINGS, token, sender="a")
    with waiting(tmp_path) as jobs:
        found = jobs.find(job.id, token)
        assert found
        assert jobs.position(found) == 0
