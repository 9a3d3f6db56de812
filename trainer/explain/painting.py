"""Heat laid over a picture, as pixels."""

import numpy as np
import torch
from torch import Tensor

from trainer.explain.heat import enlarge

OPACITY = (0.4, 0.8)
"""Of the coldest and of the brightest colour: where it is cold the picture is still seen."""
MAGMA = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
"""Every quarter of matplotlib's magma, from no heat to the most: its brightness alone, which grows
evenly, tells the order, in print and to colour-blind readers."""


def paint_heat(picture: np.ndarray, heat: Tensor, hottest: float, side: int) -> np.ndarray:
    """A picture under its heat.

    Colours follow the square root of the heat, so that a model whose heat is spread out is seen
    beside one with a single hot place.

    Args:
        picture: `(3, S, S)` uint8; enlarged without smoothing.
        heat: `(h, w)`, at least 0.
        hottest: the heat that is brightest, which is the same for all that are to be compared.
        side: of the result, in pixels.

    Returns:
        `(3, side, side)` uint8.
    """
    places = torch.arange(side) * picture.shape[-1] // side
    pixels = torch.from_numpy(picture)[:, places][:, :, places].float()
    colours = torch.tensor(MAGMA, dtype=torch.float32)
    share = (enlarge(heat[None], side)[0] / (hottest or 1.0)).clamp(0, 1).sqrt() * (len(MAGMA) - 1)
    below = share.floor().long().clamp(max=len(MAGMA) - 2)
    part = (share - below)[..., None]
    opacity = torch.lerp(
        torch.tensor(OPACITY[0]), torch.tensor(OPACITY[1]), share / (len(MAGMA) - 1)
    )
    colour = torch.lerp(colours[below], colours[below + 1], part).permute(2, 0, 1)
    return torch.lerp(pixels, colour, opacity).round().to(torch.uint8).numpy()
