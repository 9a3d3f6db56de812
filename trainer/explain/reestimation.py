"""BatchNorm's statistics of weights that were never trained: estimated anew on some images."""

from collections.abc import Mapping

from torch import Tensor
from torch.optim.swa_utils import update_bn

from trainer.augment import normalise
from trainer.explain.paths import pack_statistics
from trainer.model import build_model

_BATCH = 100


def estimate_statistics(weights: Mapping[str, Tensor], images: Tensor, image_px: int) -> Tensor:
    """Running means and variances `(2, 4800)` float32, each the mean over batches of 100.

    By torch's `update_bn`. The images are taken as they are, without the augmentation of training.

    Args:
        weights: a state dict; its own statistics play no part.
        images: `(N, 3, 32, 32)` uint8, N a multiple of 100, so that all count alike.
    """
    model = build_model()
    model.load_state_dict(dict(weights))
    update_bn([normalise(part, image_px) for part in images.split(_BATCH)], model)
    return pack_statistics(model.state_dict())
