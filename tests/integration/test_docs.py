"""README and help speak of what exists."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run
from trainer.cli import _build_parser

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    content = page.read_text()
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", content)
    for target in links + re.findall(r'src="(?!https?://)([^"]+)"', content):
        assert (page.parent / target).exists(), target


def test_documented_commands_parse() -> None:
    parser, _ = _build_parser()
    found = re.findall(r"^(?:torchrun.*?|python) -m trainer (.+)$", all_text(), re.MULTILINE)
    assert len(found) >= 6
    for line in found:
        parser.parse_args(shlex.split(line, comments=True) or ["train"])


def test_documented_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`make ([a-z]+)`|^make ([a-z]+) +#)", all_text(), re.MULTILINE)
    assert {quoted or line for quoted, line in named} <= targets
    assert len(named) > 5


def all_text() -> str:
    return "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "report"])
def test_help_has_an_example_for_each_command(command: str, run_trainer: Run) -> None:
    overview = run_trainer("--help")
    assert command in overview.stdout
    detail = run_trainer(command, "--help")
    assert detail.returncode == 0
    assert f"Example: python -m trainer {command}" in " ".join(detail.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "rmsprop_full"), "not a recipe"),
        (("--sample", "--epochs", "0"), "epochs must be"),
        (("--sample", "--device", "cuda"), "no cuda device"),
        (("--data", "/nowhere"), "--data DIR"),
        (("--sample", "--backbone", "none.safetensors"), "--backbone"),
        (("evaluate", "--sample", "--checkpoints", "/nowhere"), "holds no checkpoint"),
        (("predict", "x.png", "--checkpoints", "/nowhere"), "no usable checkpoint"),
        (("report", "--checkpoints", "/nowhere", "--out", "x.md"), "no finished run"),
    ],
)
def test_faults_are_one_sentence(
    arguments: tuple[str, ...], said: str, run_trainer: Run, tmp_path: Path
) -> None:
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    out = ("--out", str(tmp_path / "run")) if arguments[0].startswith("--") else ()
    run = run_trainer(*arguments, *out)
    assert run.returncode != 0
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "run").exists()
