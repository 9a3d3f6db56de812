"""The figures a record holds, measured on weights as they are stored."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.examples import EVALUATION_BATCH, features_of
from trainer.model import build_model, trim_padding


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Switches off TF32, so that fp32 figures agree between GPU and CPU to rounding."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def stored_logits(
    weights: dict[str, Tensor],
    images: Tensor,
    image_px: int,
    device: torch.device,
    world: World | None = None,
    keep: bool = False,
) -> Tensor:
    """Logits `(N, 10)` float32 on the CPU of stored weights for `images (N, 3, 32, 32)` uint8.

    Recorded figures come from here, and `evaluate` calls it again.

    Args:
        keep: as for `features_of`; where the backbone was frozen it answers without computing.
    """
    model = build_model()
    model.load_state_dict(weights)
    trim_padding(model, image_px)
    model.eval().to(device, memory_format=torch.channels_last)
    with exact_arithmetic(), torch.no_grad():
        features = features_of(model, images.to(device), image_px, world, keep)
        return torch.cat([model.fc(part) for part in features.split(EVALUATION_BATCH)]).cpu()
