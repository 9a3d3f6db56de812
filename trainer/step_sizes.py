"""How far single steps move the weights, beside how large these are: what tells optimizers apart.

It looks and changes nothing: a run that is measured learns the same to the bit.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainer.resnet import HEAD_PREFIX, name_stage

SAMPLED = 8
"""Steps of an epoch that are measured, evenly spread. Each costs a copy of the trained weights."""


class StepSizes:
    """Sums over an epoch's measured steps of || w after - w before || / || w before ||, per stage.

    The norms are Euclidean, over everything trained in the stage at once (BatchNorm's running
    statistics are not). The update is all that the optimizer does in one step: learning rate,
    momentum, Adam's scaling and weight decay together.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        """
        Args:
            network: what is trained: a ResNet-18, or its last layer alone.
        """
        self._trained: dict[str, list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                stage = name_stage(name if "." in name else HEAD_PREFIX + name)
                self._trained.setdefault(stage, []).append(parameter)
        self.sums = torch.zeros(len(self._trained) + 1, device=device)
        """`(stages + 1,)`: the sum of each stage, and last how many steps were measured. Part of
        the state that a run resumes from."""

    @contextlib.contextmanager
    def watching(self, step: int, steps_per_epoch: int) -> Iterator[None]:
        """Measures the update made inside the block, where this step's turn has come.

        Args:
            step: of the epoch, from 0.
        """
        if (step * SAMPLED) // steps_per_epoch == ((step + 1) * SAMPLED) // steps_per_epoch:
            yield
            return
        before = {
            stage: [parameter.detach().clone() for parameter in parameters]
            for stage, parameters in self._trained.items()
        }
        yield
        for index, (stage, old) in enumerate(before.items()):
            new = [parameter.detach() for parameter in self._trained[stage]]
            moved = _norm([after - earlier for after, earlier in zip(new, old, strict=True)])
            self.sums[index] += moved / _norm(old).clamp(min=torch.finfo(moved.dtype).tiny)
        self.sums[-1] += 1

    def take(self) -> dict[str, float] | None:
        """The mean of each stage, in the network's order, and begins anew; None where no step was
        measured."""
        *sums, count = self.sums.tolist()
        self.sums.zero_()
        if not count:
            return None
        return {stage: total / count for stage, total in zip(self._trained, sums, strict=True)}


def _norm(tensors: list[Tensor]) -> Tensor:
    """Of all values of all tensors together."""
    total: Tensor = torch.stack([tensor.norm() for tensor in tensors]).norm()
    return total
