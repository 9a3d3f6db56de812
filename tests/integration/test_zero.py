"""Jobs that ask for a GPU, where the decorator of ZeroGPU does nothing, and beside a stand-in of
it."""

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.jobs import words
from demo.jobs.backend import GPU, LOG
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.store import DONE, ENDED, FAILED, RUNNING, STOPPED, create_token
from demo.jobs.zero import LEAST_S, MOST_S, PID, USUAL_S, ZeroBackend, declare_seconds, train
from tests.conftest import CHECKPOINTS
from tests.integration.test_jobs import ENDLESS, QUICK, wait_for, wait_until
from trainer.checkpoint import load_checkpoint

DECLARED_S = 100.0


@pytest.fixture(autouse=True)
def sample_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    running = Jobs(tmp_path, CHECKPOINTS, Limits(), ZeroBackend(CHECKPOINTS))
    yield running
    running.close()


def test_job_that_asks_runs_for_its_declared_time_and_is_estimated_apart(jobs: Jobs) -> None:
    token = create_token()
    job = wait_for(jobs, jobs.start(QUICK, token, gpu_s=DECLARED_S), token, *ENDED)
    assert (job.state, job.reason) == (DONE, "")
    folder = jobs.folder(job)
    assert load_checkpoint(folder, "finetuned").record.origin
    assert float((folder / GPU).read_text()) == DECLARED_S
    assert not (folder / PID).exists()
    assert jobs.estimate(QUICK, 2000, 0, gpu=True).seconds is not None
    assert jobs.estimate(QUICK, 2000, 0).seconds is None


def test_job_that_is_stopped_on_a_gpu_keeps_its_model(jobs: Jobs) -> None:
    token = create_token()
    job = jobs.start(ENDLESS, token, gpu_s=DECLARED_S)
    wait_for(jobs, job, token, RUNNING)
    wait_until(lambda: jobs.watch(job).summary is not None)
    jobs.stop(job.id, token)
    assert wait_for(jobs, job, token, *ENDED).state == STOPPED
    assert jobs.has_model(jobs.of_owner(token)[0])


def test_process_with_a_gpu_knows_no_secret_of_the_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNERS_SECRET", "sesame")
    command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    assert train(command, str(tmp_path), DECLARED_S) == 0
    names = (tmp_path / LOG).read_text()
    assert "PATH" in names
    assert "OWNERS_SECRET" not in names


class StandIn(types.ModuleType):
    """The package `spaces`: it knows what was declared, and refuses when it is told to."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.declared: list[float] = []
        self.refusal = ""

    def GPU(self, duration: Callable[..., float]) -> Callable[..., Any]:  # noqa: N802
        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            def borrow(*arguments: Any) -> Any:
                self.declared.append(duration(*arguments))
                if self.refusal:
                    raise RuntimeError(self.refusal)
                return function(*arguments)

            return borrow

        return decorate


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "spaces", stand_in)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return stand_in


def test_only_a_job_that_asks_borrows_a_gpu_and_a_refusal_is_told(
    spaces: StandIn, jobs: Jobs
) -> None:
    token = create_token()
    plain = jobs.start(QUICK, token)
    wait_until(lambda: jobs.of_owner(token)[0].process is not None)
    assert spaces.declared == []
    jobs.delete(plain.id, token)
    spaces.refusal = "<b>Quota</b>\nexceeded"
    refused = wait_for(jobs, jobs.start(QUICK, token, gpu_s=DECLARED_S), token, *ENDED)
    assert spaces.declared == [DECLARED_S]
    assert refused.state == FAILED
    assert refused.reason == words.describe_no_gpu("Quota exceeded")


def test_declared_time_follows_the_estimate_within_bounds() -> None:
    assert declare_seconds(None) == USUAL_S
    assert declare_seconds(0.1) == LEAST_S
    assert LEAST_S < declare_seconds(30) < declare_seconds(40) < MOST_S
    assert declare_seconds(1e6) == MOST_S
