"""Where a model looked: the parts of a picture that spoke for a class."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.predict import Body


def measure_heat(body: Body, name: str, maps: Tensor, classes: Tensor) -> Tensor:
    """Heat of one model for one class a picture, from the pass that answered.

    Two maps are multiplied, as in Guided Grad-CAM: Grad-CAM on the backbone's `fine_stage`, which
    says where the class is, coarsely; and LayerCAM on the stage before, of twice the resolution,
    which says which places there spoke for it at all. The product marks a pasted object better than
    either, and than HiResCAM, on both stages (docs/heat.md).

    Sources: Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2, section 3.2 for the
    product; Jiang et al., "LayerCAM", IEEE TIP 2021, equations 5 and 6.

    Args:
        body: of the model (`Quartet.body_of`).
        name: of the model.
        maps: `(N, C, h, w)`, its `Answers.maps`.
        classes: `(N,)` int64, the classes asked about: its answers, or any others.

    Returns:
        `(N, h, w)` float32, at least 0, of mean 1 over each picture: a place of 3 spoke three times
        as much as places did on average. So pictures and models share one scale. All zeros where
        nothing spoke for the class.
    """
    with torch.inference_mode(False), torch.enable_grad():
        early = maps.clone().requires_grad_()
        fine, features = body.backbone.finish(early)
        logits = F.linear(features, *body.heads[name])
        asked = logits.gather(1, classes.clone()[:, None]).sum()
        early_gradient, fine_gradient = torch.autograd.grad(asked, (early, fine))
    early, fine = early.detach(), fine.detach()
    places = (fine_gradient.mean(dim=(2, 3), keepdim=True) * fine).sum(1, keepdim=True).relu()
    places = F.interpolate(places, size=early.shape[2:], mode="bilinear", align_corners=False)
    details = (early_gradient.relu() * early).sum(1)
    return _to_mean_one(places[:, 0] * details)


def enlarge(heat: Tensor, side: int) -> Tensor:
    """Heat `(N, h, w)` at the size of a picture, `(N, side, side)`, for laying over it.

    Bilinear, so that nothing looks finer than it was measured.
    """
    return F.interpolate(heat[:, None], size=side, mode="bilinear", align_corners=False)[:, 0]


def share_in(heat: Tensor, top: float, left: float, height: float, width: float) -> Tensor:
    """Share `(N,)` float32, 0..1, of `heat (N, h, w)` inside a box; 0 where there is no heat.

    Args:
        top, left, height, width: of the box, in sides of the picture. Cells that it cuts count with
            the part inside.
    """
    rows = _overlap(heat.shape[1], top, height)
    columns = _overlap(heat.shape[2], left, width)
    inside = torch.einsum("nhw,h,w->n", heat, rows, columns)
    return inside / heat.sum(dim=(1, 2)).clamp(min=torch.finfo(heat.dtype).tiny)


def _overlap(cells: int, start: float, length: float) -> Tensor:
    """How much of each of `cells` equal parts of 0..1 lies in start..start + length, `(cells,)`."""
    edges = torch.linspace(0, 1, cells + 1)
    low, high = edges[:-1].clamp(min=start), edges[1:].clamp(max=start + length)
    return (high - low).clamp(min=0) * cells


def _to_mean_one(heat: Tensor) -> Tensor:
    mean = heat.mean(dim=(1, 2), keepdim=True)
    return torch.where(mean > 0, heat / mean.clamp(min=torch.finfo(heat.dtype).tiny), 0.0)
