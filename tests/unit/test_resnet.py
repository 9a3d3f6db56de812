"""Our ResNet-18 for answering against torchvision's."""

import pytest
import torch

from trainer import convolution
from trainer.model import build_model
from trainer.resnet import FoldedBackbone, weight_shapes


def test_weights_are_torchvisions_by_name_and_shape() -> None:
    theirs = {name: tuple(tensor.shape) for name, tensor in build_model().state_dict().items()}
    assert weight_shapes() == theirs


@pytest.mark.parametrize("image_px", [32, 48, 64, 96, 224])
@pytest.mark.parametrize("laid_out", [True, False])
def test_folded_backbone_computes_torchvisions_features(
    image_px: int,
    laid_out: bool,
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if laid_out and not convolution.can_lay_out():
        pytest.skip("this torch or processor has no oneDNN")
    monkeypatch.setattr(convolution, "can_lay_out", lambda: laid_out)
    model = build_model().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # fresh statistics would fold to nothing
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.5, 0.5),
            ):
                assert tensor is not None
                tensor.uniform_(low, high, generator=generator)
    weights = model.state_dict()
    model.fc = torch.nn.Identity()
    inputs = torch.randn(3, 3, image_px, image_px, generator=generator)
    backbone = FoldedBackbone(weights, image_px)
    with torch.inference_mode():
        theirs = model(inputs)
        ours = backbone(inputs)
        maps = backbone.list_maps(inputs)
        early, _ = backbone.look(inputs)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())
    assert [map_.shape[1] for map_ in maps] == [64, 128, 256, 512]
    assert torch.equal(maps[-1].mean(dim=(2, 3)), ours)
    assert torch.equal(maps[backbone.fine_stage - 2], early)
    asked = early.clone().requires_grad_()
    features = backbone.finish(asked)[1]
    assert (features - ours).norm() < 1e-4 * ours.norm()
    (gradient,) = torch.autograd.grad(features.sum(), asked)
    assert gradient.abs().max() > 0
