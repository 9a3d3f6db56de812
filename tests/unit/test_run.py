"""A run in progress without its loop, and what a short one starts from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torchvision.models import ResNet

from trainer.checkpoint import load_checkpoint, load_predictions, to_stored
from trainer.data import Dataset
from trainer.engine import Trainer
from trainer.figures import stored_outputs
from trainer.model import Backbone, build_model
from trainer.optimizers import build_optimizer
from trainer.placement import Placement
from trainer.recipe import PRESETS
from trainer.run import Run
from trainer.short_run import settings_like_start
from trainer.stop import StopRequest


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


def test_images_grow_within_a_run_and_are_measured_at_their_last_size(
    sample: Dataset, backbone: Backbone, tmp_path: Path
) -> None:
    few = sample.test.subset(torch.arange(0, 500, 25))
    recipe = PRESETS["report"]["sgd_full"].changed(
        steps=4, batch_size=5, image_px=64, early_px=48, early_fraction=0.75
    )
    seen: list[tuple[bool, int]] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, ResNet):
            seen.append((module.training, inputs[0].shape[-1]))

    place = Placement(tmp_path, torch.device("cpu"))
    trainer = Trainer(sample, backbone, place, dict.fromkeys(("train", "validation", "test"), few))
    with register_module_forward_pre_hook(look):
        trainer.fit(recipe, lambda event: None, StopRequest())
    assert [size for training, size in seen if training] == [48, 48, 48, 64]
    assert {size for training, size in seen if not training} == {64}


@pytest.mark.parametrize("exact", [True, False])
def test_figures_are_of_what_is_stored_whether_or_not_storing_rounds_the_backbone(
    sample: Dataset, backbone: Backbone, tmp_path: Path, exact: bool
) -> None:
    weights = dict(backbone.weights)
    if not exact:
        weights["conv1.weight"] = weights["conv1.weight"] * (1 + 2**-12)  # half of fp16's last bit
    few = sample.test.subset(torch.arange(0, 500, 25))
    recipe = PRESETS["report"]["sgd_frozen"].changed(steps=4, batch_size=5)
    trainer = Trainer(
        sample,
        Backbone("rounded", "0" * 64, weights),
        Placement(tmp_path, torch.device("cpu")),
        dict.fromkeys(("train", "validation", "test"), few),
    )
    passes: list[int] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, nn.MaxPool2d):
            passes.append(len(inputs[0]))

    with register_module_forward_pre_hook(look):
        trainer.fit(recipe, lambda event: None, StopRequest())
    assert sum(passes) == (3 if exact else 6) * len(few)  # nothing is computed twice for nothing
    loaded = load_checkpoint(tmp_path, "sgd_frozen")
    expected = stored_outputs(loaded.weights, few.images, 32, torch.device("cpu")).logits
    recorded = load_predictions(tmp_path, loaded.record).probabilities
    assert torch.allclose(recorded, expected.softmax(dim=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("named", "image_px"), [("48", 48), ("large", 32)])
def test_start_without_a_record_names_its_input_size_or_has_the_native_one(
    tmp_path: Path, named: str, image_px: int
) -> None:
    path = tmp_path / "found.safetensors"
    save_file(to_stored(build_model().state_dict()), path, {"image_px": named})
    assert settings_like_start(str(path), tmp_path).image_px == image_px
