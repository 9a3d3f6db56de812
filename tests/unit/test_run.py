"""A run in progress without its loop, and what a short one starts from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainer.checkpoint import to_stored
from trainer.model import build_model
from trainer.optimizers import build_optimizer
from trainer.recipe import PRESETS
from trainer.run import Run
from trainer.short_run import settings_like_start


@pytest.mark.parametrize(("step", "ended_early"), [(3, True), (4, False)])
def test_run_told_to_stop_at_its_last_step_has_not_ended_early(
    step: int, ended_early: bool
) -> None:
    recipe = PRESETS["default"]["sgd_frozen"].changed(steps=4)
    network = torch.nn.Linear(512, 10)
    run = Run(recipe, network, build_optimizer(recipe, network), 1000, torch.device("cpu"))
    run.step = step
    run.end_here()
    assert (run.total_steps, run.ended_early) == (step, ended_early)


@pytest.mark.parametrize(("named", "image_px"), [("48", 48), ("large", 32)])
def test_start_without_a_record_names_its_input_size_or_has_the_native_one(
    tmp_path: Path, named: str, image_px: int
) -> None:
    path = tmp_path / "found.safetensors"
    save_file(to_stored(build_model().state_dict()), path, {"image_px": named})
    assert settings_like_start(str(path), tmp_path).image_px == image_px
