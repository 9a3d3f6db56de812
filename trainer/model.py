"""ResNet-18, where its pre-trained weights come from, and what freezing means."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torchvision.models import ResNet, ResNet18_Weights, resnet18

from trainer.backbones import TORCHVISION
from trainer.errors import BackboneError
from trainer.files import hash_file
from trainer.recipe import CLASSES, NATIVE_PX, Recipe
from trainer.resnet import is_head, weight_shapes


@dataclass(frozen=True)
class Backbone:
    """Pre-trained weights without their last layer."""

    name: str
    sha256: str
    """Of the file they were read from."""
    weights: dict[str, Tensor]
    """torchvision's `resnet18` state dict without `fc.*`, float32 (counters int64)."""
    head: dict[str, Tensor] | None = None
    """`fc.*` of a ten-class model to go on from; None for a new last layer."""


def load_backbone(path: Path | None = None) -> Backbone:
    """Reads a torchvision ResNet-18 state dict from a safetensors file, any number of classes.

    Args:
        path: the file; None takes torchvision's `ResNet18_Weights.IMAGENET1K_V1`,
            downloaded once into torch's hub folder and checked against its hash.

    Raises:
        BackboneError: the file or the download is missing, damaged or of another shape.
    """
    if path is None:
        return _download_imagenet()
    try:
        digest = hash_file(path)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            "backbone_unreadable", path=path, reason=type(error).__name__
        ) from error
    return Backbone(path.stem, digest, _strip_head(tensors, str(path)))


def _download_imagenet() -> Backbone:
    weights = ResNet18_Weights.IMAGENET1K_V1
    try:
        tensors = weights.get_state_dict(progress=False, check_hash=True)
        file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
        digest = hash_file(file)
    except (OSError, RuntimeError) as error:
        raise BackboneError("backbone_not_fetched") from error
    return Backbone(TORCHVISION, digest, _strip_head(dict(tensors), str(weights)))


def _strip_head(tensors: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    expected = {name: shape for name, shape in weight_shapes().items() if not is_head(name)}
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if not is_head(name)
    }
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != expected:
        raise BackboneError("backbone_not_resnet", path=source)
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise BackboneError("backbone_not_finite", path=source)
    return weights


def build_model() -> ResNet:
    """Builds an untrained torchvision ResNet-18 with ten outputs."""
    return resnet18(num_classes=len(CLASSES))


def build_pretrained(backbone: Backbone, seed: int) -> ResNet:
    """Builds a ten-class ResNet-18 in channels_last: the backbone's weights, and its last layer or
    a new one drawn from `seed` as torch draws a `Linear`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model()
    fresh = {name: value for name, value in model.state_dict().items() if is_head(name)}
    head = backbone.head or fresh
    model.load_state_dict({**backbone.weights, **head})
    return model.to(memory_format=torch.channels_last)


def freeze_backbone(model: ResNet) -> None:
    """Freezes all but the last layer: no gradients, and BatchNorm keeps its statistics.

    BatchNorm updates its running mean and variance in training mode even without gradients,
    so the model must stay in evaluation mode; the last layer computes the same in both.
    """
    model.requires_grad_(False)
    model.fc.requires_grad_(True)
    model.eval()


def compute_features(model: ResNet, inputs: Tensor) -> Tensor:
    """The backbone's output `(N, 512)` for normalised `inputs (N, 3, H, W)`."""
    # torchvision's ResNet.forward without its last line.
    x = model.maxpool(model.relu(model.bn1(model.conv1(inputs))))
    x = model.layer4(model.layer3(model.layer2(model.layer1(x))))
    return torch.flatten(model.avgpool(x), 1)


def trim_padding(model: ResNet, image_px: int) -> None:
    """Cuts away, in place, the kernel taps that can only ever meet zero padding.

    At 32 px the last stage works on 1 x 1 maps: of a 3 x 3 kernel only the centre tap (after
    the strided convolution's 2 x 2 corner) touches a pixel. The others multiply zeros and
    receive exactly zero gradient, but are 62 % of all weights to read, reorder and update.
    Without them the network computes the same function and learns the same weights, and on
    two CPU cores trains about twice as fast at small batches (`make bench`).
    `restore_padding` puts them back. At larger inputs this does nothing.
    """
    for _, convolution, live in _padded_convolutions(model, image_px):
        weight = convolution.weight.detach()[:, :, live, live]
        convolution.weight = nn.Parameter(
            weight.contiguous(memory_format=torch.channels_last),
            requires_grad=convolution.weight.requires_grad,
        )
        convolution.kernel_size = (weight.shape[2], weight.shape[3])
        convolution.padding = (0, 0)


def restore_padding(model: ResNet, image_px: int, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Completes a trimmed model's state dict with the untouched taps of `weights`.

    Args:
        weights: those the model was trimmed from, whole; its last layer is not needed.

    Returns:
        A state dict of torchvision's `resnet18`, sharing no memory with the model.
    """
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name, _, live in _padded_convolutions(model, image_px):
        full = weights[f"{name}.weight"].to(state[f"{name}.weight"]).clone()
        full[:, :, live, live] = state[f"{name}.weight"]
        state[f"{name}.weight"] = full
    return state


def _padded_convolutions(model: ResNet, image_px: int) -> Iterator[tuple[str, nn.Conv2d, slice]]:
    """Convolutions with taps that only meet padding: (name, module, live rows and columns)."""
    if image_px != NATIVE_PX:
        return
    for name, module in model.layer4.named_modules(prefix="layer4"):
        if isinstance(module, nn.Conv2d) and not name.endswith("downsample.0"):
            # Input 2 x 2 under the stride, 1 x 1 afterwards; both padded by 1.
            yield name, module, slice(1, 3) if module.stride == (2, 2) else slice(1, 2)


def prepare_for_training(model: ResNet, recipe: Recipe) -> None:
    """Readies a fresh model for a recipe, in place: trims it, and freezes what stays."""
    trim_padding(model, recipe.image_px)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = recipe.batch_norm_momentum
    if recipe.frozen:
        freeze_backbone(model)
        return
    if recipe.trained == "last_block":
        model.requires_grad_(False)
        for trained in (model.layer4[-1], model.fc):
            trained.requires_grad_(True)
    set_training_mode(model, recipe)


def set_training_mode(model: nn.Module, recipe: Recipe) -> None:
    """Puts what is trained into training mode; BatchNorm of frozen layers keeps its statistics, and
    all of it where the recipe says so."""
    model.train(recipe.trained == "all")
    if recipe.trained == "last_block":
        model.get_submodule("layer4")[-1].train()  # type: ignore[index]
    if not recipe.batch_norm_momentum:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
