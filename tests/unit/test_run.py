"""A run in progress, without its loop."""

import pytest
import torch

from trainer.optimizers import build_optimizer
from trainer.recipe import PRESETS
from trainer.run import Run


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
