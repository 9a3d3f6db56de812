"""Which of a machine's devices computes."""

import os

import torch

from trainer.errors import TrainingError


def find_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one. Of several GPUs each process
    of torchrun takes its own.

    Raises:
        TrainingError: this machine has no such device.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not mps):
        raise TrainingError("device_missing", device=name)
    if name == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


def find_precision(device: torch.device) -> str:
    """That of training steps: `bf16` where it multiplies faster than fp32, which is on NVIDIA's
    GPUs and on processors with instructions for it (AVX-512 BF16 or AMX); else `fp32`."""
    if device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = device.type == "cuda"
    return "bf16" if fast else "fp32"
