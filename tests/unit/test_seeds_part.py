"""The Accuracy tab's strips of seeds, and the one answer on which of two models is better."""

import re
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import pytest

from demo.models import Models
from demo.tabs.accuracy.seeds import draw_seeds, find_scale, render_seeds
from demo.words.seeds import describe_evidence
from tests.conftest import CHECKPOINTS
from tests.page import draw
from trainer.metrics import Overlap
from trainer.recipe import PRESETS
from trainer.seeds import RUNS_FILE, FinishedRun, Runs
from trainer.significance import SeedTest

SGD, ADAM = (0.80, 0.81, 0.82, 0.83, 0.84), (0.70, 0.71, 0.72, 0.73, 0.74)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(CHECKPOINTS)


def run_of(models: Models, preset: str, name: str, accuracies: Sequence[float]) -> Runs:
    """Runs of one recipe, the first of preset `default` being the shipped one."""
    recipe = PRESETS[preset][name]
    return Runs(
        runs=tuple(
            FinishedRun(
                preset=preset,
                recipe=name,
                seed=seed,
                epochs=recipe.epochs,
                image_px=recipe.image_px,
                validation_accuracy=accuracy,
                test_accuracy=accuracy,
                date="2026-11-24T00:00:00+00:00",
                hardware="a processor",
                weights_sha256=models.records[name].weights_sha256
                if (preset, seed) == ("default", 0)
                else f"{preset} {name} {seed}",
            )
            for seed, accuracy in enumerate(accuracies)
        )
    )


@pytest.fixture
def with_runs(models: Models, monkeypatch: pytest.MonkeyPatch) -> Models:
    """The full pair under five seeds, and one run of the plain recipe."""
    parts = [
        run_of(models, "default", "sgd_full", SGD),
        run_of(models, "default", "adam_full", ADAM),
        run_of(models, "report", "sgd_full", [0.6]),
    ]
    runs = Runs(runs=tuple(run for part in parts for run in part.runs))
    monkeypatch.setattr(models, "runs", runs)
    return models


def draw_part(models: Models) -> list[str]:
    """What the part draws."""

    def make(blocks: gr.Blocks) -> list[str]:
        draw_seeds(models)
        return [str(getattr(part, "value", "")) for part in blocks.children]

    return draw(make)


def test_strips_show_every_seed_and_ring_the_shipped_one(with_runs: Models) -> None:
    html = render_seeds(with_runs)
    assert html.count("<circle") == 5 + 5 + 1 + 2
    assert html.count("q-ring") == 2
    assert "seed 0: 80.00 %; seed 1: 81.00 %" in html
    assert "mean 82.00 %, 80.00 to 84.00 %, 5 seeds" in html
    assert "60.00 %, one seed" in html
    assert "are seed 0: ringed, whatever their rank" in html
    assert "20 epochs at 32 px: what the reference experiment" in html
    places = [float(place) for place in re.findall(r'(?:cx|x1)="([0-9.]+)%"', html)]
    assert all(0 < place < 100 for place in places)


def test_one_sentence_says_which_is_better(with_runs: Models) -> None:
    html = render_seeds(with_runs)
    _, evidence = with_runs.compare("sgd_full", "adam_full")
    assert isinstance(evidence, SeedTest)
    said = describe_evidence("sgd_full", "adam_full", evidence)
    assert said.startswith("SGD (all layers) beats Adam (all layers) by 10.00 points")
    assert html.count("beats") == 1
    assert "McNemar" not in html + said
    _, other = with_runs.compare("sgd_full", "sgd_frozen")
    assert isinstance(other, Overlap)
    assert "McNemar" in describe_evidence("sgd_full", "sgd_frozen", other)


def test_without_a_list_nothing_is_drawn(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "runs", Runs())
    assert draw_part(models) == []


def test_damaged_list_is_told_and_the_models_go_on(tmp_path: Path) -> None:
    for path in CHECKPOINTS.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / RUNS_FILE).unlink(missing_ok=True)
    (tmp_path / RUNS_FILE).write_text("{")
    damaged = Models(tmp_path)
    assert len(damaged.records) == 4
    assert not damaged.runs
    (said,) = draw_part(damaged)
    assert "list of runs under other seeds is damaged" in said


@pytest.mark.parametrize(
    ("values", "scale"),
    [((0.8711, 0.8775), (0.871, 0.878)), ((0.87, 0.87), (0.87, 0.871)), ((1.0,), (1.0, 1.001))],
)
def test_scale_holds_all_values_and_is_never_empty(
    values: tuple[float, ...], scale: tuple[float, float]
) -> None:
    assert find_scale(values) == scale
