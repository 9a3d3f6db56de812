"""ResNet-18 for answering, on torch alone: what its weights are called, and a folded forward pass.

Training uses torchvision's module, which this equals (tests hold both). Importing torchvision takes
seconds and 170 MB, most of it a compiler that answering never uses.
Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, with the
strides, biases and names of torchvision's `resnet18`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from trainer.convolution import Convolution
from trainer.recipe import CLASSES

HEAD_PREFIX = "fc."
FEATURES = 512
"""Length of the vector the backbone hands to the last layer."""
BATCH_NORM_EPSILON = 1e-5
"""torch's default, which torchvision keeps."""
_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels, and stride of the first of the two blocks."""
STEM = "stem"
"""What comes before the four stages: a convolution and its BatchNorm."""
STAGE_NAMES = tuple(f"layer{number}" for number in range(1, len(_STAGES) + 1))
"""What torchvision calls them."""
FINEST_SIDE = 4
"""Least side of a map that is fine enough to show where in a picture something is."""


def find_fine_stage(image_px: int) -> int:
    """The last stage, from 1, whose map is at least `FINEST_SIDE` wide at this input size: 2 at 32
    px, 3 at 64 and 96 px, 4 from 97 px on."""
    sides = {stage: -(-image_px // 2 ** (stage + 1)) for stage in range(1, len(_STAGES) + 1)}
    return max(stage for stage, side in sides.items() if side >= FINEST_SIDE)


def is_head(name: str) -> bool:
    """True for the state-dict names of the last layer."""
    return name.startswith(HEAD_PREFIX)


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of everything in the state dict of `resnet18(num_classes=10)`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in _convolutions():
        shapes[f"{layer.name}.weight"] = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{layer.norm}.{part}"] = (layer.outputs,)
        shapes[f"{layer.norm}.num_batches_tracked"] = ()
    shapes["fc.weight"] = (len(CLASSES), FEATURES)
    shapes["fc.bias"] = (len(CLASSES),)
    return shapes


def list_layers() -> dict[str, tuple[str, ...]]:
    """Every convolution, in the order they are applied (a block's shortcut last), with the names of
    its learned tensors: its own and those of the BatchNorm after it."""
    return {
        layer.name: (f"{layer.name}.weight", f"{layer.norm}.weight", f"{layer.norm}.bias")
        for layer in _convolutions()
    }


def count_learned(head: bool = False) -> int:
    """Numbers that training can change: all, or those of the last layer alone."""
    tensors = [name for names in list_layers().values() for name in names]
    learned = [name for name in weight_shapes() if is_head(name) or (not head and name in tensors)]
    return sum(math.prod(weight_shapes()[name]) for name in learned)


def list_statistics(part: str) -> list[str]:
    """State-dict names of every BatchNorm's `running_mean` or `running_var`, in the same order."""
    return [f"{layer.norm}.{part}" for layer in _convolutions()]


def name_stage(name: str) -> str:
    """The stage a tensor or layer belongs to: `stem`, `layer1` to `layer4`, or `fc`."""
    first = name.partition(".")[0]
    return STEM if first in ("conv1", "bn1") else first


class FoldedBackbone:
    """A ResNet-18 in evaluation mode without its last layer, every BatchNorm folded into the
    convolution before it, and taps that only meet padding left out (`model.trim_padding`)."""

    def __init__(self, weights: dict[str, Tensor], image_px: int) -> None:
        """
        Args:
            weights: torchvision's state dict, any floating dtype; not kept.
            image_px: side of the inputs, in pixels.
        """
        self.fine_stage = find_fine_stage(image_px)
        """The last stage, from 1, whose map can show where something is."""
        self._layers: dict[str, Convolution] = {}
        side = image_px
        for layer in _convolutions():
            if layer.name == "layer1.0.conv1":
                side = -(-side // 2)  # the maximum pooling before it
            scale, shift = _fold(weights, layer.norm)
            kernel = weights[f"{layer.name}.weight"]
            padding = layer.kernel // 2
            if padding == 1 and side <= layer.stride:
                # The map is a single stride wide: all taps before its first row meet padding.
                live = slice(1, 1 + side)
                kernel, padding = kernel[:, :, live, live], 0
            kernel = kernel.float() * scale[:, None, None, None]
            is_shortcut = layer.name.endswith("downsample.0")
            given = side * layer.stride if is_shortcut else side
            self._layers[layer.name] = Convolution(kernel, shift, layer.stride, padding, given)
            if not is_shortcut:
                side = -(-side // layer.stride)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Features `(N, 512)` float32 of normalised `inputs (N, 3, image_px, image_px)`."""
        return self.look(inputs)[1]

    def look(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """One pass over normalised `inputs (N, 3, image_px, image_px)`.

        Returns:
            The map `(N, C, h, w)` of the stage before `fine_stage`, from which `finish` goes on,
            and the features `(N, 512)`, both float32.
        """
        maps = self._enter(inputs)
        for stage in range(1, self.fine_stage):
            maps = self._pass_stage(stage, maps)
        return maps, self.finish(maps)[1]

    def finish(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of the pass after `look`'s map `(N, C, h, w)`. Gradients go through.

        Returns:
            The map of `fine_stage`, and the features `(N, 512)`.
        """
        fine = maps = self._pass_stage(self.fine_stage, maps)
        for stage in range(self.fine_stage + 1, len(_STAGES) + 1):
            maps = self._pass_stage(stage, maps)
        return fine, maps.mean(dim=(2, 3))

    def list_maps(self, inputs: Tensor) -> list[Tensor]:
        """The maps `(N, C, h, w)` of all four stages, float32."""
        maps = [self._enter(inputs)]
        for stage in range(1, len(_STAGES) + 1):
            maps.append(self._pass_stage(stage, maps[-1]))
        return maps[1:]

    def _enter(self, inputs: Tensor) -> Tensor:
        return F.max_pool2d(self._layers["conv1"](inputs), 3, stride=2, padding=1)

    def _pass_stage(self, stage: int, maps: Tensor) -> Tensor:
        for block in (f"layer{stage}.0", f"layer{stage}.1"):
            shortcut = maps
            if f"{block}.downsample.0" in self._layers:
                shortcut = self._layers[f"{block}.downsample.0"](maps, clip=False)
            inner = self._layers[f"{block}.conv1"](maps)
            maps = self._layers[f"{block}.conv2"](inner, add=shortcut)
        return maps


@dataclass(frozen=True)
class _Convolution:
    """A convolution without bias and the BatchNorm after it."""

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    stride: int


def _convolutions() -> Iterator[_Convolution]:
    """All twenty, in the order they are applied; a block's shortcut last."""
    yield _Convolution("conv1", "bn1", 3, 64, 7, 2)
    inputs = 64
    for stage, (channels, stride) in enumerate(_STAGES, 1):
        first, second = f"layer{stage}.0", f"layer{stage}.1"
        yield _Convolution(f"{first}.conv1", f"{first}.bn1", inputs, channels, 3, stride)
        yield _Convolution(f"{first}.conv2", f"{first}.bn2", channels, channels, 3, 1)
        if inputs != channels:
            shortcut = f"{first}.downsample"
            yield _Convolution(f"{shortcut}.0", f"{shortcut}.1", inputs, channels, 1, stride)
        yield _Convolution(f"{second}.conv1", f"{second}.bn1", channels, channels, 3, 1)
        yield _Convolution(f"{second}.conv2", f"{second}.bn2", channels, channels, 3, 1)
        inputs = channels


def _fold(weights: dict[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """A BatchNorm in evaluation mode as scale and shift `(C,)` float32.

    y = (x - mean) / sqrt(var + epsilon) * gamma + beta (Ioffe and Szegedy, 2015, algorithm 2).
    """
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"].float()
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / (variance + BATCH_NORM_EPSILON).sqrt()
    return scale, beta - mean * scale
