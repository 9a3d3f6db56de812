"""docs/quartet.ipynb, as a teacher runs it in a clone: every cell, in order, with no network."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import CHECKPOINTS, ROOT
from trainer import finetune, load_quartet
from trainer.checkpoint import load_checkpoint
from trainer.errors import SettingError, TrainingError
from trainer.recipe import BACKBONE_OF, CLASSES

NOTEBOOK = ROOT / "docs" / "quartet.ipynb"
RUN_CELLS = """
import json, sys

def refuse(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        raise RuntimeError("a cell wants the network")

sys.addaudithook(refuse)
for cell in json.load(sys.stdin):
    exec(compile(cell, cell, "exec"), globals())

from matplotlib import pyplot
runs = {name: (run.before, run.after, run.record.model_dump(mode="json"), str(run.weights))
        for name, run in {"sgd": sgd, "adam": adam}.items()}
bars = [[bar.get_width() for bar in plot.patches]
        for number in pyplot.get_fignums() for plot in pyplot.figure(number).axes]
print(json.dumps({"answers": answers, "runs": runs, "bars": bars}))
"""
"""Runs cells as one program, then tells what they made."""


def read_cells() -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text())["cells"]
    return cells


def read_code() -> list[str]:
    """Source of the code cells; what a notebook hands to a shell does nothing."""
    sources = ("".join(cell["source"]) for cell in read_cells() if cell["cell_type"] == "code")
    return [re.sub(r"^(\s*)[!%].*$", r"\1pass", source, flags=re.MULTILINE) for source in sources]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any]]:
    """What the cells printed, and what they made, run where Jupyter runs them."""
    environment = {
        **os.environ,
        "PYTHONPATH": "",
        "MPLBACKEND": "agg",
        "QUARTET_DATA": "/nowhere",
        "TMPDIR": str(tmp_path_factory.mktemp("temporary")),
    }
    run = subprocess.run(
        [sys.executable, "-c", RUN_CELLS],
        input=json.dumps(read_code()),
        cwd=NOTEBOOK.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *lines, made = run.stdout.splitlines()
    return lines, json.loads(made)


def test_cells_ask_the_four_and_show_what_they_say(told: Any) -> None:
    lines, made = told
    expected = load_quartet(CHECKPOINTS).ask(ROOT / "demo" / "examples" / "cat-test.png")
    assert made["answers"] == expected
    for name, probabilities in expected.items():
        said = max(probabilities, key=lambda one: probabilities[one])
        assert any(line.split()[:2] == [name, said] for line in lines)
    four = [bars for bars in made["bars"] if bars][: len(expected)]
    assert four == [list(probabilities.values()) for probabilities in expected.values()]


def test_cells_train_a_model_and_compare_it_with_its_start(told: Any) -> None:
    lines, made = told
    for optimizer, (before, after, record, weights) in made["runs"].items():
        assert record["recipe"]["optimizer"] == optimizer
        assert record["data"]["name"] == "CIFAR-10 sample"
        assert record["recipe"]["learning_rate"] == pytest.approx(0.01)
        assert after == record["test"]["accuracy"] > before + 0.2, "a new last layer learns"
        assert Path(weights).is_file()
    assert made["runs"]["sgd"][0] == made["runs"]["adam"][0], "they start alike"
    assert f"Right after:  {made['runs']['sgd'][1]:.1%}" in lines
    assert sum(made["bars"][-2]) == pytest.approx(1, abs=1e-6), (
        "sgd_frozen's bars, before the curves"
    )


def test_notebook_is_committed_as_it_is_written() -> None:
    """No output of somebody's machine, and its shell lines name what a clone holds."""
    for cell in read_cells():
        assert cell["metadata"] == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    shell = re.findall(r"quartet/([\w./-]+)", NOTEBOOK.read_text())
    assert "requirements.txt" in shell
    assert all((ROOT / path).exists() for path in shell)


def test_finetune_goes_on_from_its_own_weights(tmp_path: Path) -> None:
    few: dict[str, Any] = {"sample": True, "images": 64, "batch_size": 16, "evaluated": 100}
    four = CHECKPOINTS
    first = finetune(
        start=BACKBONE_OF, optimizer="adam", steps=2, checkpoints=four, out=tmp_path, **few
    )
    again = finetune(start=first.weights, steps=1, checkpoints=four, **few)
    assert again.before == first.after
    assert again.weights.parent != tmp_path
    assert again.record.recipe.optimizer == "adam", "what is not said is as it was for the start"
    assert len(again.record.history) == 1
    shares = again.ask(ROOT / "trainer" / "sample" / "example.png")
    assert tuple(shares) == CLASSES
    weights = load_checkpoint(tmp_path, "finetuned").weights
    assert not torch.equal(
        weights["fc.weight"], load_checkpoint(four, BACKBONE_OF).weights["fc.weight"]
    )
    with pytest.raises(TrainingError, match="already holds finetuned"):
        finetune(start=BACKBONE_OF, steps=1, checkpoints=four, out=tmp_path, **few)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"learning_rat": 1}, "learning_rat is not a setting"),
        ({"epochs": 0}, "--epochs: give a whole number"),
        ({"name": "../x"}, "--name: give letters"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(
    wrong: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=said):
        finetune(sample=True, checkpoints=CHECKPOINTS, out=tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
