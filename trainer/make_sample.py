"""Rewrites the embedded sample from a full data set:
`python -m trainer.make_sample --data DIR`.

Takes the first 200 training and 50 test images of every class, as lossless WebP in the Hub's
Parquet layout. `img.path` holds the row in the full split (`test_00042.webp`), so that a
sample's image can be found among a checkpoint's recorded predictions.
"""

import argparse
import json
from pathlib import Path

import torch

from trainer.data import SAMPLE_DIR, SAMPLE_HELD_OUT, Split, draw_held_out, load_dataset
from trainer.recipe import CLASSES
from trainer.shards import encode_image, encode_shard

PER_CLASS = {"train": 200, "test": 50}


def write_sample(split: Split, name: str, folder: Path) -> list[int]:
    """Writes one split's share to `folder/plain_text/<name>-00000-of-00001.parquet`; returns the
    rows it took."""
    rows = torch.cat(
        [
            (split.labels == label).nonzero().flatten()[: PER_CLASS[name]]
            for label in range(len(CLASSES))
        ]
    )
    rows = rows.sort().values
    contents = [encode_image(split.images[row]) for row in rows.tolist()]
    path = folder / "plain_text" / f"{name}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_shard(contents, split.labels[rows], rows, name))
    taken: list[int] = rows.tolist()
    return taken


def main() -> None:
    """Writes both splits into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    data = load_dataset(parser.parse_args().data)
    rows = write_sample(data.train, "train", SAMPLE_DIR)
    held_out = draw_held_out(data.train.labels)
    places = [place for place, row in enumerate(rows) if held_out[row]]
    SAMPLE_HELD_OUT.write_text(json.dumps(places) + "\n")
    write_sample(data.test, "test", SAMPLE_DIR)


if __name__ == "__main__":
    main()
