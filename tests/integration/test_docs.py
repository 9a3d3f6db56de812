"""README and help speak of what exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import trainer
from tests.conftest import ROOT, Run
from trainer.cli import COMMANDS, parse
from trainer.commands.training import train

TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    content = page.read_text()
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", content)
    for target in links + re.findall(r'src="(?!https?://)([^"]+)"', content):
        assert (page.parent / target).exists(), target


def test_documented_commands_parse() -> None:
    found = re.findall(r"^(?:torchrun.*?|python) -m trainer(?: (.+))?$", all_text(), re.MULTILINE)
    assert len(found) >= 8
    for line in found:
        parse(shlex.split(line, comments=True))


def test_documented_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`make ([a-z]+)`|^make ([a-z]+) +#)", all_text(), re.MULTILINE)
    assert {quoted or line for quoted, line in named} <= targets
    assert len(named) > 5


def all_text() -> str:
    return "\n".join(page.read_text() for page in PAGES)


HELP = """
import sys
from trainer.cli import COMMANDS, main
for words in [], *([name] for name in COMMANDS):
    print("##", *words)
    assert main([*words, "--help"]) == 0
print("##", {"torch", "numpy", "matplotlib", "pyarrow", "PIL"} & sys.modules.keys())
"""


def test_help_tells_every_command_by_example_and_imports_nothing_slow() -> None:
    run = subprocess.run(
        [sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True
    )
    _, overview, *details, loaded = re.split(r"^## ?", run.stdout, flags=re.MULTILINE)
    assert loaded.strip() == "set()"
    assert len(details) == len(COMMANDS)
    for name, detail in zip(COMMANDS, details, strict=True):
        assert f"\n  {name} " in overview
        assert f"Example: python -m trainer {name}" in detail
    assert "standby" not in overview


def test_version_is_told(run_here: Run) -> None:
    run = run_here("--version")
    assert (run.returncode, run.stdout) == (0, f"python -m trainer {trainer.__version__}\n")


def test_without_a_command_train_is_meant() -> None:
    assert parse([]).func is train
    assert parse(["--sample", "--epochs", "2"]).keywords["settings"] == {"epochs": "2"}


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("trian",), "train"),
        (("fine-tune", "--start", "sgd_full"), "finetune"),
        (("--epoch", "3"), "--epochs"),
        (("train", "--save-every", "3"), "--save-every-s"),
        (("finetune", "--learning-rat", "0.1"), "--learning-rate"),
        (("finetune", "--emphasise", "cat"), "--emphasised"),
        (("evaluate", "--checkpoint", "x"), "--checkpoints"),
        (("predict", "x.png", "--jason"), "--json"),
        (("report", "--htm", "x"), "--html"),
    ],
)
def test_mistyped_words_name_the_nearest_and_no_beginning_is_taken(
    arguments: tuple[str, ...], nearest: str, run_here: Run
) -> None:
    run = run_here(*arguments)
    assert run.returncode == 2
    assert re.search(rf"{nearest}\b(?!-)", run.stderr.partition("eant")[2] or run.stderr)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--only", "rmsprop_full"), 2, "sgd_full"),
        (("--sample", "--epochs", "0"), 2, "--epochs: give a whole number from 1 to 1,000"),
        (("--sample", "--device", "cuda"), 1, "no cuda device"),
        (("--data", "/nowhere"), 1, "--data DIR"),
        (("--sample", "--backbone", "none.safetensors"), 1, "--backbone"),
        (("evaluate", "--checkpoints", "/nowhere"), 1, "holds no finished run"),
        (("predict", "x.png", "--checkpoints", "/nowhere"), 1, "no usable checkpoint"),
        (("predict",), 2, "name a picture"),
        (("report", "--checkpoints", "/nowhere", "--out", "x.md"), 1, "no finished run"),
    ],
)
def test_faults_are_one_sentence(
    arguments: tuple[str, ...], status: int, said: str, run_here: Run, tmp_path: Path
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    out = ("--out", str(tmp_path / "run")) if arguments[0].startswith("--") else ()
    run = run_here(*arguments, *out)
    assert run.returncode == status
    assert said in run.stderr
    assert status == 2 or run.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
