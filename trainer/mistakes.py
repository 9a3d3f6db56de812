"""Test images that come with a set of checkpoints: some of every kind of error its models make.

A clone holds a twentieth of the test images, and of many kinds of error not one. These two files
beside the checkpoints, a Parquet file in the Hub's layout and its facts, add some of each.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from trainer.checkpoint import Predictions, list_names, load_predictions, load_record
from trainer.data import Split
from trainer.errors import CheckpointError, DataError
from trainer.files import hash_bytes, read_cache, write_cache, write_file
from trainer.recipe import CLASSES
from trainer.record import Part
from trainer.shards import decode_files, encode_image, encode_shard, read_rows

IMAGES_FILE, FACTS_FILE = "mistakes.parquet", "mistakes.json"
MOST_BYTES = 2_000_000
"""Of the images' file."""
OVERHEAD = 64
"""Bytes of a row of the file that are not its image: its name, label and offsets."""


class MistakesFacts(Part):
    """What the images' file is, and what it was chosen by."""

    format: Literal[1] = 1
    sha256: str
    """Of the images' file."""
    data_digest: str
    """Of the data set whose test split they are from."""
    images: int
    weights_sha256: dict[str, str]
    """Recipe name to the hash of the weights whose errors they show."""


@dataclass(frozen=True)
class Mistakes:
    """The images, and which rows of the full test split they are."""

    split: Split
    rows: Tensor
    """`(M,)` int64, ascending."""


def rank_mistakes(predictions: Mapping[str, Predictions]) -> list[int]:
    """Rows of the test split on which a model errs, the most instructive first.

    One kind of error after the other gives its next image: each wrong cell of each model's matrix,
    each pair's images that only one of the two gets right, and each model's that it alone gets
    right. Within a kind the surest mistakes come first: those that cannot be for want of
    evidence. So any part of the list holds as many kinds as there can be.
    """
    piles = [iter(pile) for pile in _list_piles(predictions)]
    taken = (row for turn in itertools.zip_longest(*piles) for row in turn if row is not None)
    return list(dict.fromkeys(taken))


def _list_piles(predictions: Mapping[str, Predictions]) -> Iterator[list[int]]:
    """Every kind of error's rows, the surest mistake first."""
    labels = next(iter(predictions.values())).labels
    top = {name: one.probabilities.max(dim=1) for name, one in predictions.items()}
    right = {name: found.indices == labels for name, found in top.items()}
    wrongness = {name: torch.where(right[name], 0, found.values) for name, found in top.items()}

    def pile(chosen: Tensor, sureness: Tensor) -> list[int]:
        rows = chosen.nonzero().flatten()
        return rows[sureness[rows].argsort(descending=True, stable=True)].tolist()

    for name, found in top.items():
        for true, said in itertools.permutations(range(len(CLASSES)), 2):
            yield pile((labels == true) & (found.indices == said), found.values)
        others = [right[other] for other in top if other != name]
        if others:
            surest = torch.stack([wrongness[other] for other in top if other != name]).amax(dim=0)
            yield pile(right[name] & ~torch.stack(others).any(dim=0), surest)
    for one, two in itertools.permutations(top, 2):
        yield pile(right[one] & ~right[two], wrongness[two])


def write_mistakes(folder: Path, test: Split, digest: str, known: Tensor) -> MistakesFacts:
    """Chooses the images by the checkpoints in `folder`, and writes them beside these.

    Args:
        test: the full test split.
        digest: of its data set.
        known: `(K,)` int64 rows that a clone holds anyway.

    Raises:
        CheckpointError: a checkpoint is damaged, or none is there.
        DataError: the checkpoints were measured on other images.
    """
    records = {name: load_record(folder, name) for name in list_names(folder)}
    predictions = {name: load_predictions(folder, record) for name, record in records.items()}
    if not all(torch.equal(one.labels, test.labels) for one in predictions.values()):
        raise DataError("mistakes_other_data", folder=folder)
    room, contents = MOST_BYTES, {}
    at_hand = set(known.tolist())
    for row in rank_mistakes(predictions):
        if row in at_hand:
            continue
        content = encode_image(test.images[row])
        room -= len(content) + OVERHEAD
        if room < 0:
            break
        contents[row] = content
    rows = torch.tensor(sorted(contents), dtype=torch.int64)
    shard = encode_shard([contents[row] for row in rows.tolist()], test.labels[rows], rows, "test")
    facts = MistakesFacts(
        sha256=hash_bytes(shard),
        data_digest=digest,
        images=len(rows),
        weights_sha256={name: record.weights_sha256 for name, record in records.items()},
    )
    write_file(folder / IMAGES_FILE, shard)
    write_file(folder / FACTS_FILE, (facts.model_dump_json(indent=1) + "\n").encode())
    return facts


def load_mistakes(folder: Path, digest: str) -> Mistakes | None:
    """The images that come with the checkpoints in `folder`.

    Args:
        digest: of the data set the screen shows.

    Returns:
        None where there are none, or none of this data set.

    Raises:
        CheckpointError: the files are damaged: the images are not those that the facts name.
    """
    try:
        facts = MistakesFacts.model_validate_json((folder / FACTS_FILE).read_bytes())
        content = (folder / IMAGES_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise CheckpointError("mistakes_damaged", file=FACTS_FILE) from error
    if hash_bytes(content) != facts.sha256:
        raise CheckpointError("mistakes_damaged", file=IMAGES_FILE)
    if facts.data_digest != digest:
        return None
    name = f"mistakes-{facts.sha256[:32]}"
    kept = read_cache(name)
    if kept is None:
        path = folder / IMAGES_FILE
        images, labels = decode_files([path])
        kept = {"images": images, "labels": labels, "rows": read_rows(path)}
        write_cache(name, kept, 2)
    return Mistakes(Split(kept["images"], kept["labels"]), kept["rows"])
