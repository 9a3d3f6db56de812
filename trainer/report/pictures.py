"""Test images to show beside answers: the very images that the answers are about, or none."""

import torch
from torch import Tensor

from trainer.data import HUB_DIGEST, Split, load_cached_dataset, load_dataset, load_sample_rows
from trainer.recipe import CLASSES
from trainer.record import Record, Records


def choose_pictures(records: Records) -> tuple[Split, dict[str, Tensor]] | None:
    """One test image of each class, and where it stands in each model's recorded answers.

    The embedded sample has the images of runs on itself and on the Hub's files, whose orders are
    known; any other data set's order is known only where it lies decoded on this machine. The
    digest decides, never the number of images.

    Returns:
        The ten images in the order of the classes, and by recipe the row `(10,)` int64 that each of
        them has in its predictions; None where some model's test images are not at hand.
    """
    sample = load_dataset(sample=True)
    split = sample.test
    rows = {sample.digest: torch.arange(len(split)), HUB_DIGEST: load_sample_rows()}
    digests = {record.data.digest for record in records.values()}
    if len(digests) == 1 and not digests <= rows.keys():
        (digest,) = digests
        cached = load_cached_dataset(digest)
        if cached is None:
            return None
        split, rows = cached.test, {digest: torch.arange(len(cached.test))}
    if not digests <= rows.keys() or any(map(_is_measured_in_part, records.values())):
        return None
    first = [int((split.labels == label).nonzero()[0]) for label in range(len(CLASSES))]
    chosen = torch.tensor(first)
    return split.subset(chosen), {
        name: rows[record.data.digest][chosen] for name, record in records.items()
    }


def _is_measured_in_part(record: Record) -> bool:
    """True for a short run that was measured on some of the test images."""
    return record.origin is not None and record.origin.settings.evaluated is not None
