"""How far training moved the weights, layer by layer."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from trainer.resnet import list_layers, name_stage


def measure_movement(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> dict[str, float]:
    """Relative distance of every convolution, with its BatchNorm's scale and shift.

    || end - start || / || start ||, Euclidean, over all learned tensors of the layer at once;
    exactly 0 where they are equal. BatchNorm's running statistics are not learned, and the last
    layer has no counterpart in the backbone.

    Args:
        start, end: torchvision's state dicts, any floating dtype.

    Returns:
        Layer (`layer1.0.conv1`) to distance, in the order they are applied.
    """
    return {layer: _distance(start, end, names) for layer, names in list_layers().items()}


def measure_stage_movement(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor]
) -> dict[str, float]:
    """The same over all tensors of a stage at once: `stem`, `layer1` to `layer4`."""
    stages: dict[str, list[str]] = {}
    for layer, names in list_layers().items():
        stages.setdefault(name_stage(layer), []).extend(names)
    return {stage: _distance(start, end, names) for stage, names in stages.items()}


def _distance(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], names: Iterable[str]
) -> float:
    moved = size = 0.0
    for name in names:
        before = start[name].double()
        moved += (end[name].double() - before).square().sum().item()
        size += before.square().sum().item()
    return float((moved / size) ** 0.5)
