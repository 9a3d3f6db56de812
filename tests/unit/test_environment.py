"""The token is nowhere that a process which decodes or trains could read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.jobs.environment import child_environment, take_token
from demo.jobs.hub import HubSettings
from demo.jobs.local import LocalBackend
from tests.conftest import CHECKPOINTS, ROOT
from trainer.decoding import _Child
from trainer.decoding_child import MEMORY_BYTES, TIMEOUT_S

SECRET = "hf_a_token_that_nobody_may_read"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def read_environment(pid: int) -> bytes:
    """What a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


@on_linux
def test_processes_that_decode_or_train_get_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("SOMETHING_OF_THE_OWNER", SECRET)
    trainer, decoder = LocalBackend(CHECKPOINTS)._spawn(), _Child(TIMEOUT_S, MEMORY_BYTES)
    try:
        assert b"OMP_NUM_THREADS=" in read_environment(trainer.pid)
        for pid in (trainer.pid, decoder._process.pid):
            assert SECRET.encode() not in read_environment(pid)
    finally:
        decoder.end()
        trainer.kill()
        trainer.communicate()


READ_OWN = f"""
import os, subprocess, sys
from pathlib import Path
from demo.jobs.environment import take_token
assert take_token(os.environ) == {SECRET!r}
assert take_token(os.environ) == ""
own = Path("/proc/self/environ").read_bytes()
child = subprocess.run(["env"], capture_output=True, check=True).stdout
print({SECRET.encode()!r} in own, {SECRET.encode()!r} in child, b"KEPT=1" in own)
"""


@on_linux
def test_token_that_was_taken_is_not_to_be_read_from_the_process_either() -> None:
    environment = {**os.environ, "HF_TOKEN": SECRET, "KEPT": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", READ_OWN], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (finished.stdout, finished.stderr) == ("False False True\n", "")


def test_token_is_taken_whether_or_not_jobs_go_to_the_hub() -> None:
    for others in ({}, {"QUARTET_JOBS_REPO": "a/b", "SPACE_ID": "c/d"}):
        environment = {"HF_TOKEN": SECRET, **others}
        settings = HubSettings.from_environment(environment)
        assert "HF_TOKEN" not in environment
        assert SECRET not in repr(settings)
    assert take_token({}) == ""


def test_trainer_gets_what_it_needs() -> None:
    needed = {"PATH": "/bin", "QUARTET_CACHE": "/c", "LD_LIBRARY_PATH": "/l", "LC_ALL": "C"}
    secret = {"HF_TOKEN": "x", "OAUTH_CLIENT_SECRET": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    assert child_environment({**needed, **secret}) == needed
