from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from trainer.augment import normalise
from trainer.data import Dataset
from trainer.errors import BackboneError
from trainer.model import (
    Backbone,
    build_pretrained,
    compute_features,
    load_backbone,
    prepare_for_training,
    restore_padding,
    trim_padding,
)
from trainer.recipe import PRESETS

FULL = PRESETS["default"]["sgd_full"]
FROZEN = PRESETS["default"]["sgd_frozen"]


def test_trimmed_network_computes_the_same(backbone: Backbone, sample: Dataset) -> None:
    inputs = normalise(sample.test.images[:32], 32)
    whole, trimmed = (build_pretrained(backbone, 0).eval() for _ in range(2))
    trim_padding(trimmed, 32)
    assert sum(p.numel() for p in trimmed.parameters()) < 0.4 * sum(
        p.numel() for p in whole.parameters()
    )
    with torch.no_grad():
        assert torch.allclose(whole(inputs), trimmed(inputs), atol=1e-4)


def test_trimmed_network_learns_the_same(backbone: Backbone, sample: Dataset) -> None:
    """Taps that only meet padding get exactly zero gradient; the others the same one."""
    inputs, labels = normalise(sample.train.images[:64], 32), sample.train.labels[:64]
    states = []
    for trims in (False, True):
        model = build_pretrained(backbone, 0).train()
        initial = {name: value.clone() for name, value in model.state_dict().items()}
        if trims:
            trim_padding(model, 32)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        state = restore_padding(model, 32, initial) if trims else model.state_dict()
        states.append(state)
    whole, restored = states
    assert whole.keys() == restored.keys()
    for name, tensor in whole.items():
        assert restored[name].shape == tensor.shape
        assert torch.allclose(restored[name], tensor, atol=2e-4), name
    dead = whole["layer4.1.conv2.weight"][:, :, 0, 0]
    assert torch.equal(dead, backbone.weights["layer4.1.conv2.weight"][:, :, 0, 0])


def test_larger_inputs_keep_every_tap(backbone: Backbone) -> None:
    model = build_pretrained(backbone, 0)
    trim_padding(model, 48)
    assert model.layer4[1].conv2.weight.shape == (512, 512, 3, 3)


def test_frozen_model_keeps_its_statistics(backbone: Backbone, sample: Dataset) -> None:
    model = build_pretrained(backbone, 0)
    prepare_for_training(model, FROZEN)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compute_features(model, normalise(sample.train.images[:32], 32))
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trainable == ["fc.weight", "fc.bias"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_full_model_trains_everything(backbone: Backbone) -> None:
    model = build_pretrained(backbone, 0)
    prepare_for_training(model, FULL.changed(batch_norm_momentum=0.2))
    assert all(p.requires_grad for p in model.parameters())
    assert model.bn1.training
    assert model.bn1.momentum == 0.2


def test_no_batch_norm_momentum_keeps_the_statistics_and_uses_them(backbone: Backbone) -> None:
    model = build_pretrained(backbone, seed=0)
    prepare_for_training(model, FULL.changed(batch_norm_momentum=0.0))
    inputs = torch.randn(4, 3, 32, 32)
    trained = model(inputs)
    assert torch.equal(model.bn1.running_mean, backbone.weights["bn1.running_mean"])
    assert torch.allclose(trained, model.eval()(inputs), atol=1e-5)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_features_and_last_layer_are_the_whole_network(backbone: Backbone, sample: Dataset) -> None:
    model = build_pretrained(backbone, 0).eval()
    inputs = normalise(sample.test.images[:8], 32)
    with torch.no_grad():
        assert torch.equal(model.fc(compute_features(model, inputs)), model(inputs))


def test_new_head_depends_on_the_seed_alone(backbone: Backbone) -> None:
    torch.manual_seed(123)
    first = build_pretrained(backbone, 5).fc.weight
    torch.rand(7)
    assert torch.equal(first, build_pretrained(backbone, 5).fc.weight)
    assert not torch.equal(first, build_pretrained(backbone, 6).fc.weight)


def test_backbone_with_any_number_of_classes_is_read(tmp_path: Path) -> None:
    save_file(resnet18(num_classes=7).half().state_dict(), tmp_path / "seven.safetensors")
    loaded = load_backbone(tmp_path / "seven.safetensors")
    assert loaded.name == "seven"
    assert len(loaded.sha256) == 64
    assert not any(name.startswith("fc.") for name in loaded.weights)
    assert loaded.weights["conv1.weight"].dtype == torch.float32


def test_unusable_backbones_are_refused(tmp_path: Path, backbone: Backbone) -> None:
    with pytest.raises(BackboneError, match="--backbone"):
        load_backbone(tmp_path / "none.safetensors")
    (tmp_path / "zero.safetensors").write_bytes(bytes(1000))
    with pytest.raises(BackboneError, match="cannot be read"):
        load_backbone(tmp_path / "zero.safetensors")
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match="not a torchvision ResNet-18"):
        load_backbone(tmp_path / "other.safetensors")
    spoiled = dict(backbone.weights)
    spoiled["bn1.bias"] = torch.full((64,), float("nan"))
    save_file(spoiled, tmp_path / "nan.safetensors")
    with pytest.raises(BackboneError, match="not finite"):
        load_backbone(tmp_path / "nan.safetensors")


def test_recipe_changes_do_not_reach_the_backbone(backbone: Backbone) -> None:
    before = {name: value.clone() for name, value in backbone.weights.items()}
    model = build_pretrained(backbone, 0)
    prepare_for_training(model, FULL.changed(seed=3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(value, backbone.weights[name]) for name, value in before.items())
