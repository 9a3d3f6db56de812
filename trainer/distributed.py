"""Several processes, as `torchrun` starts them: who am I, sums over all, and the wrapping.

Everything that crosses processes is torch's own. Without torchrun there is one process and
every function here is a no-op.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

COLLECTIVE_TIMEOUT_S = 45
"""A process whose partner is silent this long stops; long enough for an evaluation."""


@dataclass(frozen=True)
class World:
    """This process among all of a run."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """True in the one process that writes files and events."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sums `tensor` over all processes, in place, and returns it."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def wrap(self, network: nn.Module) -> nn.Module:
        """Makes `network` average its gradients over all processes."""
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        if device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        else:
            _share_batch_statistics(network)
        return DistributedDataParallel(
            network,
            device_ids=[device.index] if device.type == "cuda" else None,
            broadcast_buffers=False,
        )


@contextlib.contextmanager
def joined_world(device_type: str) -> Iterator[World]:
    """Joins the processes torchrun started (RANK, WORLD_SIZE), and leaves them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    torch.distributed.init_process_group(
        "nccl" if device_type == "cuda" else "gloo",
        timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_S),
    )
    try:
        yield World(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def _share_batch_statistics(network: nn.Module) -> None:
    """Gives BatchNorm the statistics of the whole batch on the CPU, where torch's
    `SyncBatchNorm` does not run (it accepts accelerator tensors only)."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SharedBatchNorm2d


class _SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d in training over all processes' shards, which must be equally large."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        given, x = x.dtype, x.float()  # bf16 under autocast, too coarse for a variance
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
        world_size = torch.distributed.get_world_size()
        mean: Tensor
        square: Tensor
        mean, square = torch.distributed.nn.functional.all_reduce(moments) / world_size
        variance = square - mean.square()
        count = world_size * x.numel() / x.shape[1]
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale: Tensor = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(given)
