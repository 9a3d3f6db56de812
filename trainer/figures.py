"""The figures a record holds, measured on weights as they are stored."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.distributed import World
from trainer.examples import features_of
from trainer.familiarity import LEAST_IMAGES, Familiarity, find_threshold, fit_familiarity
from trainer.model import build_model, trim_padding
from trainer.record import FamiliarityFacts

HEAD_BATCH = 500
"""Feature vectors at once."""


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Switches off TF32, so that fp32 figures agree between GPU and CPU to rounding."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@dataclass(frozen=True)
class Outputs:
    """What stored weights make of some images, on the CPU."""

    features: Tensor
    """`(N, 512)` float32."""
    logits: Tensor
    """`(N, 10)` float32."""


def stored_outputs(
    weights: dict[str, Tensor],
    images: Tensor,
    image_px: int,
    device: torch.device,
    world: World | None = None,
    keep: bool = False,
    features: Tensor | None = None,
) -> Outputs:
    """What stored weights make of `images (N, 3, S, S)` uint8.

    Recorded figures come from here, and `evaluate` calls it again.

    Args:
        keep: as for `features_of`; where the backbone was frozen it answers without computing.
        features: `(N, 512)` float32, where this has told them for another last layer.
    """
    model = build_model()
    model.load_state_dict(weights)
    trim_padding(model, image_px)
    model.eval().to(device, memory_format=torch.channels_last)
    with exact_arithmetic(), torch.no_grad():
        if features is None:
            features = features_of(model, images.to(device), image_px, world, keep)
        features = features.to(device)
        logits = torch.cat([model.fc(part) for part in features.split(HEAD_BATCH)])
    return Outputs(features.cpu(), logits.cpu())


@dataclass(frozen=True)
class FittedFamiliarity:
    """A detector of pictures of none of the ten classes, and what its record tells."""

    detector: Familiarity
    facts: FamiliarityFacts


def fit_stored(
    weights: dict[str, Tensor], training: Tensor, validation: Outputs, test: Outputs
) -> FittedFamiliarity | None:
    """Fits the detector of stored weights.

    Args:
        training: features `(N, 512)` of training images (`familiarity.draw_rows`).

    Returns:
        None where the images are fewer than `LEAST_IMAGES`, or their features so alike that no
        distance can be told.
    """
    if len(training) < LEAST_IMAGES:
        return None
    detector = fit_familiarity(training, weights["fc.weight"], weights["fc.bias"])
    usual = detector.measure(validation.features, validation.logits)
    measured = detector.measure(test.features, test.logits)
    if not torch.cat([usual, measured]).isfinite().all():
        return None
    threshold = find_threshold(usual)
    facts = FamiliarityFacts(
        threshold=threshold,
        validation_false_alarms=(usual > threshold).double().mean().item(),
        test_false_alarms=(measured > threshold).double().mean().item(),
    )
    return FittedFamiliarity(detector, facts)
