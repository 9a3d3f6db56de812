"""Photographs that are not in the repository, to choose by: a folder with one Parquet file, columns
`image{bytes}`, `class` (one of the ten, or null) and `what`.

`QUARTET_PHOTOS=DIR python -m bench.photographs --checkpoints DIR` measures how many of them each
model gets right at each size of square, and writes docs/photographs.md.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet
import torch
from torch import Tensor

from trainer import checkpoint
from trainer.figures import stored_outputs
from trainer.picture import SQUARE_PX, decode_picture, to_pixels
from trainer.recipe import CLASSES, NATIVE_PX

PAGE = Path("docs/photographs.md")
SIDES = (NATIVE_PX, 40, SQUARE_PX, 64)
"""Of the squares tried; the photographs themselves have the last."""
FOREIGN = -1
"""Label of a picture of none of the ten classes."""


@dataclass(frozen=True)
class Photographs:
    """Pictures with their classes."""

    squares: dict[int, Tensor]
    """Side to `(N, 3, side, side)` uint8."""
    labels: Tensor
    """`(N,)` int64, 0..9 or `FOREIGN`."""

    @property
    def familiar(self) -> Tensor:
        """Which are of the ten classes, `(N,)` bool."""
        return self.labels != FOREIGN

    def accuracy(self, weights: dict[str, Tensor], image_px: int, side: int) -> float:
        """Share of those of the ten classes that stored weights get right, 0..1.

        Args:
            image_px: the network's input.
            side: of the squares it is handed.
        """
        images = self.squares[side][self.familiar]
        outputs = stored_outputs(weights, images, image_px, torch.device("cpu"), keep=True)
        right = outputs.logits.argmax(dim=1) == self.labels[self.familiar]
        return right.double().mean().item()


def load_photographs() -> Photographs | None:
    """Reads the folder named by `QUARTET_PHOTOS`; None where the variable is not set."""
    folder = os.environ.get("QUARTET_PHOTOS")
    if not folder:
        return None
    (path,) = Path(folder).glob("*.parquet")
    table = pyarrow.parquet.read_table(path)
    pictures = [decode_picture(row["bytes"]) for row in table["image"].to_pylist()]
    names = table["class"].to_pylist()
    return Photographs(
        {
            side: torch.stack([torch.from_numpy(to_pixels(one, side=side)) for one in pictures])
            for side in SIDES
        },
        torch.tensor([FOREIGN if name is None else CLASSES.index(name) for name in names]),
    )


def main() -> None:
    """Measures every checkpoint of the folder and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    options = parser.parse_args()
    photographs = load_photographs()
    if photographs is None:
        raise SystemExit("name the folder of photographs in QUARTET_PHOTOS")
    PAGE.write_text("\n".join(_write_page(options.checkpoints, photographs)) + "\n")


def _write_page(folder: Path, photographs: Photographs) -> Iterator[str]:
    sizes = [f"**{side} px**" if side == SQUARE_PX else f"{side} px" for side in SIDES]
    yield from (
        "# Photographs",
        "",
        f"Written by `python -m bench.photographs`: share that each model gets right of "
        f"{int(photographs.familiar.sum())} photographs of the ten classes, 64 pixels a side, "
        "which are not in the repository, by the square that they are reduced to. The app cuts "
        f"squares of {SQUARE_PX} pixels, chosen by this table; nothing was trained on them.",
        "",
        f"| model | {' | '.join(sizes)} |",
        "| --- |" + " --- |" * len(SIDES),
    )
    for name in checkpoint.list_names(folder):
        loaded = checkpoint.load_checkpoint(folder, name)
        image_px = loaded.record.recipe.image_px
        shares = [photographs.accuracy(loaded.weights, image_px, side) for side in SIDES]
        yield f"| `{name}` | {' | '.join(f'{share:.1%}' for share in shares)} |"


if __name__ == "__main__":
    main()
