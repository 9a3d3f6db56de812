"""Step sizes are measured, and change nothing."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from trainer.model import build_model
from trainer.optimizers import build_optimizer
from trainer.recipe import PRESETS
from trainer.record import Epoch
from trainer.run import Run
from trainer.step_sizes import SAMPLED, StepSizes

RECIPE = PRESETS["default"]["sgd_frozen"].changed(steps=40, batch_size=10, momentum=0.0)
STEPS = 20
"""An epoch of 200 images."""


def _begin() -> Run:
    torch.manual_seed(0)
    network = torch.nn.Linear(512, 10)
    return Run(RECIPE, network, build_optimizer(RECIPE, network), 200, torch.device("cpu"))


def _step(run: Run) -> None:
    generator = torch.Generator().manual_seed(run.step)
    inputs = torch.rand(10, 512, generator=generator)
    loss = F.cross_entropy(run.network(inputs), torch.arange(10))
    run.optimizer.zero_grad()
    loss.backward()
    with run.step_sizes.watching(run.step - run.epoch_start, run.steps_per_epoch):
        run.optimizer.step()
    run.step += 1


def test_size_is_the_mean_of_update_over_weights_and_training_is_the_same_to_the_bit() -> None:
    run, plain = _begin(), _begin()
    sizes = []
    for step in range(STEPS):
        before = torch.cat([p.detach().flatten().clone() for p in plain.network.parameters()])
        inputs = torch.rand(10, 512, generator=torch.Generator().manual_seed(step))
        loss = F.cross_entropy(plain.network(inputs), torch.arange(10))
        plain.optimizer.zero_grad()
        loss.backward()
        plain.optimizer.step()
        after = torch.cat([p.detach().flatten() for p in plain.network.parameters()])
        sizes.append(((after - before).norm() / before.norm()).item())
        _step(run)
    for one, other in zip(run.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(one, other)
    measured = [
        step for step in range(STEPS) if step * SAMPLED // STEPS < (step + 1) * SAMPLED // STEPS
    ]
    assert len(measured) == SAMPLED
    expected = sum(sizes[step] for step in measured) / SAMPLED
    taken = run.step_sizes.take() or {}
    assert list(taken) == ["fc"]
    assert taken["fc"] == pytest.approx(expected, rel=1e-4)
    assert run.step_sizes.take() is None


def test_every_trained_stage_is_named_and_one_that_is_frozen_is_not() -> None:
    model = build_model()
    for parameter in model.layer1.parameters():
        parameter.requires_grad_(False)
    sizes = StepSizes(model, torch.device("cpu"))
    with sizes.watching(0, 1), torch.no_grad():
        model.layer4[0].conv1.weight *= 2
    taken = sizes.take()
    assert taken is not None
    assert list(taken) == ["stem", "layer2", "layer3", "layer4", "fc"]
    assert taken.pop("layer4") > 0
    assert set(taken.values()) == {0.0}


def test_resumed_run_measures_the_same(tmp_path: Path) -> None:
    whole, cut = _begin(), _begin()
    for _ in range(STEPS):
        _step(whole)
    for _ in range(7):
        _step(cut)
    cut.save(tmp_path, {})
    resumed = _begin()
    resumed.restore(tmp_path, {})
    while resumed.step < STEPS:
        _step(resumed)
    assert resumed.step_sizes.take() == whole.step_sizes.take()


def test_epochs_of_earlier_versions_have_none() -> None:
    figures = dict.fromkeys(Epoch.model_fields.keys() - {"step_sizes"}, 1)
    assert Epoch.model_validate(figures).step_sizes is None
