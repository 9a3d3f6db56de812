"""Does heat lie where the object is? `python -m bench.heat --checkpoints DIR`, a minute.

Test images, made smaller, are pasted into a corner of a grey picture. Of every model's heat for
its answer, the share inside the pasted box is measured, for the app's method and for those it was
chosen over. Writes docs/heat.json and docs/heat.md.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.tables import measured_on
from trainer.data import Dataset, load_dataset
from trainer.explain.heat import enlarge, measure_heat, share_in
from trainer.predict import Answers, Body, Quartet
from trainer.recipe import NATIVE_PX
from trainer.wording import percent

RESULTS = Path("docs/heat.json")
PAGE = Path("docs/heat.md")
PICTURES = 100
SIDES = (16, 20)
"""Of the pasted object in CIFAR-10 pixels: a quarter, and two fifths, of the picture's area."""
_GREY = 118.0
_SEED = 0


def main() -> None:
    """Measures every method on every model of a folder, and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    quartet, sample = Quartet(parser.parse_args().checkpoints), load_dataset(sample=True)
    rows = [{"side_px": side, **row} for side in SIDES for row in _measure(quartet, sample, side)]
    sizes = {name: record.recipe.image_px for name, record in quartet.records.items()}
    results = {"measured": measured_on("torch"), "image_px": sizes, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(_page(results))


def paste(sample: Dataset, side: int) -> tuple[Tensor, Tensor, list[Any]]:
    """Pictures `(100, 3, 32, 32)` uint8 with an object in one of the corners by turns, its labels
    `(100,)`, and the boxes (top, left, height, width) in sides of the picture."""
    generator = torch.Generator().manual_seed(_SEED)
    rows = torch.randperm(len(sample.test), generator=generator)[:PICTURES]
    pixels = sample.test.images.float()
    objects = F.interpolate(pixels[rows], size=side, mode="bilinear", antialias=True)
    pictures = torch.full((PICTURES, 3, NATIVE_PX, NATIVE_PX), _GREY)
    boxes = []
    for index, each in enumerate(objects):
        top, left = ((NATIVE_PX - side) * corner for corner in divmod(index % 4, 2))
        pictures[index, :, top : top + side, left : left + side] = each
        boxes.append([part / NATIVE_PX for part in (top, left, side, side)])
    return pictures.round().clamp(0, 255).byte(), sample.test.labels[rows], boxes


def _measure(quartet: Quartet, sample: Dataset, side: int) -> list[dict[str, Any]]:
    pictures, labels, boxes = paste(sample, side)
    answers = quartet.classify(pictures)
    rows = []
    for name, logits in answers.logits.items():
        classes = logits.argmax(dim=1)
        right = classes == labels
        for method, measure in _METHODS.items():
            heat = measure(quartet.body_of(name), name, answers, classes)
            shares = torch.stack(
                [share_in(each[None], *box)[0] for each, box in zip(heat, boxes, strict=True)]
            )
            rows.append(
                {
                    "model": name,
                    "method": method,
                    "right": int(right.sum()),
                    "share": shares.mean().item(),
                    "share_where_right": shares[right].mean().item(),
                    "mostly_where_right": (shares[right] > 0.5).float().mean().item(),
                }
            )
    return rows


def _ours(body: Body, name: str, answers: Answers, classes: Tensor) -> Tensor:
    return measure_heat(body, name, answers.maps[name], classes)


def _plain(combine: Callable[[Tensor, Tensor], Tensor], fine: bool) -> Callable[..., Tensor]:
    """A method on one stage: `combine` takes its maps and gradients, both `(N, C, h, w)`."""

    def measure(body: Body, name: str, answers: Answers, classes: Tensor) -> Tensor:
        with torch.enable_grad():
            early = answers.maps[name].clone().requires_grad_()
            later, features = body.backbone.finish(early)
            logits = F.linear(features, *body.heads[name])
            maps = later if fine else early
            (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), maps)
        return enlarge(combine(maps.detach(), gradient).sum(1).relu(), 3 * NATIVE_PX)

    return measure


def _grad_cam(maps: Tensor, gradient: Tensor) -> Tensor:
    return gradient.mean(dim=(2, 3), keepdim=True) * maps


def _hires_cam(maps: Tensor, gradient: Tensor) -> Tensor:
    """Draelos and Carin, arXiv:2011.08891, equation 5."""
    return gradient * maps


def _layer_cam(maps: Tensor, gradient: Tensor) -> Tensor:
    return gradient.relu() * maps


_METHODS: dict[str, Callable[..., Tensor]] = {
    "Grad-CAM x LayerCAM (ours)": _ours,
    "Grad-CAM": _plain(_grad_cam, fine=True),
    "HiResCAM": _plain(_hires_cam, fine=True),
    "LayerCAM": _plain(_layer_cam, fine=True),
    "Grad-CAM, a stage earlier": _plain(_grad_cam, fine=False),
    "HiResCAM, a stage earlier": _plain(_hires_cam, fine=False),
    "LayerCAM, a stage earlier": _plain(_layer_cam, fine=False),
}


def _page(results: dict[str, Any]) -> str:
    names = list(results["image_px"])
    inputs = ", ".join(f"{name} {px} px" for name, px in results["image_px"].items())
    lines = [
        "# Does heat lie where the object is?",
        "",
        f"{PICTURES} test images, made smaller and pasted into a corner of a grey picture. The",
        "share of a model's heat for its answer that lies in the pasted box: the mean over the",
        "pictures it answers right; in brackets, over all pictures. Heat spread evenly would",
        f"have the box's share of the area. Inputs: {inputs}.",
        "",
    ]
    for side in SIDES:
        rows = [row for row in results["rows"] if row["side_px"] == side]
        right = {row["model"]: row["right"] for row in rows}
        lines += [
            f"## An object of {percent((side / NATIVE_PX) ** 2, 0)} of the area",
            "",
            f"| method | {' | '.join(f'{name} ({right[name]} right)' for name in names)} |",
            f"| --- |{' --- |' * len(names)}",
        ]
        for method in _METHODS:
            words = [
                f"{percent(row['share_where_right'], 0)} ({percent(row['share'], 0)})"
                for row in rows
                if row["method"] == method
            ]
            lines.append(f"| {method} | {' | '.join(words)} |")
        lines.append("")
    measured = results["measured"]
    lines.append(f"Written by `python -m bench.heat` on {measured['date']}.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
