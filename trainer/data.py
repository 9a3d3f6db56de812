"""CIFAR-10 as uint8 tensors, from a local copy, the Hugging Face Hub or the embedded sample.

The files are decoded once; a second start maps the decoded pixels from the cache.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.errors import DataError
from trainer.files import read_cache, write_cache
from trainer.recipe import CLASSES
from trainer.shards import FETCH_COMMAND, HUB_DATASET, decode_files, read_rows

HUB_DIGEST = "37eae9684639444430589e8f4698ffdc51efae41535e91b6f9dda2dbe3c1eaa8"
"""`Dataset.digest` of that data set's own files, whose order `load_sample_rows` refers to."""
SAMPLE_DIR = Path(__file__).parent / "sample"
SAMPLE_NAME = "CIFAR-10 sample"
SAMPLE_HELD_OUT = SAMPLE_DIR / "held_out.json"
"""Places, among the sample's training images, of those in the full validation part."""
VALIDATION_FRACTION = 0.1
"""Share of the training images held out: 5,000 of CIFAR-10's 50,000."""
SPLITS = ("train", "test")
_VALIDATION_SEED = 20_091


@dataclass(frozen=True)
class Split:
    """Labelled images: `images (N, 3, 32, 32)` uint8, `labels (N,)` int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: Tensor) -> "Split":
        """The rows `index (M,)`, in that order."""
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Dataset:
    """A train and a test split, and where they came from."""

    name: str
    """For people: `CIFAR-10` or `CIFAR-10 sample`."""
    digest: str
    """SHA-256 over the source files' contents."""
    train: Split
    test: Split


def load_dataset(data_dir: Path | None = None, sample: bool = False) -> Dataset:
    """Loads CIFAR-10, decoding it on the first call and reading the cache afterwards.

    Args:
        data_dir: a copy of the Hub dataset's layout (`**/train-*.parquet`,
            `**/test-*.parquet`) or an ImageFolder (`train/<class>/*`, `test/<class>/*`).
            Default: the folder in `QUARTET_DATA`, else the Hub's copy through its cache.
        sample: take the 2,000 + 500 images embedded in this package instead.

    Raises:
        DataError: nothing is found, or a file is damaged.
    """
    if sample:
        source = SAMPLE_DIR
    elif data_dir is not None:
        source = data_dir
    elif os.environ.get("QUARTET_DATA"):
        source = Path(os.environ["QUARTET_DATA"])
    else:
        source = _download_from_hub()
    files = _find_files(source)
    digest = _digest(files, source)
    cache = _cache_name(digest)
    splits = _read_splits(cache)
    if splits is None:
        splits = {split: _decode_split(split, files[split]) for split in SPLITS}
        _write_splits(cache, splits)
        splits = _read_splits(cache) or splits
    return Dataset(
        name=SAMPLE_NAME if sample else "CIFAR-10",
        digest=digest,
        train=splits["train"],
        test=splits["test"],
    )


def load_cached_dataset(digest: str) -> Dataset | None:
    """The full data set of this digest from the user's cache, or None where it is not there.

    Reads nothing else and fetches nothing.
    """
    splits = _read_splits(_cache_name(digest))
    if splits is None:
        return None
    return Dataset("CIFAR-10", digest, train=splits["train"], test=splits["test"])


def load_sample_rows() -> Tensor:
    """Rows `(500,)` int64 that the embedded sample's test images have in the full test split."""
    (shard,) = SAMPLE_DIR.rglob("test-*.parquet")
    return read_rows(shard)


def count_sample_training() -> int:
    """Training images of the embedded sample that are not held out."""
    import pyarrow.parquet

    (shard,) = SAMPLE_DIR.rglob("train-*.parquet")
    held_out = len(json.loads(SAMPLE_HELD_OUT.read_text()))
    return int(pyarrow.parquet.read_metadata(shard).num_rows) - held_out


def evaluated_rows(total: int, count: int | None) -> Tensor:
    """`count` of `total` rows, spread evenly and always the same, `(N,)` int64; None for all."""
    if count is None or count >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, count).round().long()


def split_validation(data: Dataset) -> tuple[Split, Split]:
    """Divides the training images into (training, validation), the same way every time.

    The validation part holds a tenth of every class, chosen by a fixed seed, rows kept in
    order; the run's own seed plays no part, so that runs can be compared. The embedded
    sample's is what of it the full data set's validation part holds, so that a model of the
    full data has seen none of it.
    """
    held_out = draw_held_out(data.train.labels)
    if data.name == SAMPLE_NAME:
        held_out = torch.zeros(len(data.train), dtype=torch.bool)
        held_out[json.loads(SAMPLE_HELD_OUT.read_text())] = True
    return (
        data.train.subset((~held_out).nonzero().flatten()),
        data.train.subset(held_out.nonzero().flatten()),
    )


def draw_held_out(labels: Tensor) -> Tensor:
    """Which of the training images labelled `labels (N,)` are held out, `(N,)` bool."""
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(CLASSES)):
        rows = (labels == label).nonzero().flatten()
        order = torch.randperm(len(rows), generator=generator)
        held_out[rows[order[: round(len(rows) * VALIDATION_FRACTION)]]] = True
    return held_out


def is_full_data_at_hand() -> bool:
    """True where the full data set needs no download: `QUARTET_DATA` names it, or the Hub's cache
    on this machine holds it."""
    if os.environ.get("QUARTET_DATA"):
        return True
    try:
        _find_files(_fetch_snapshot(local_files_only=True))
    except Exception:  # the client raises a dozen unrelated types
        return False
    return True


def fetch_test_split() -> Split:
    """The test images of the Hub's data set, downloaded where they are not in its cache.

    Raises:
        DataError: they cannot be fetched, or are damaged.
    """
    source = _download_from_hub("test")
    shards = sorted(source.rglob("test-*.parquet"))
    if not shards:
        raise DataError("data_no_files", path=source, fetch=FETCH_COMMAND)
    return _decode_split("test", shards)


def _fetch_snapshot(split: str = "", local_files_only: bool = False) -> Path:
    """The Hub dataset's local snapshot, downloaded if need be (honours HF_ENDPOINT,
    HF_HUB_OFFLINE and HF_HOME).

    Args:
        split: only this one's files.
    """
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            HUB_DATASET,
            repo_type="dataset",
            allow_patterns=f"plain_text/{split}*.parquet",
            local_files_only=local_files_only,
        )
    )


def _download_from_hub(split: str = "") -> Path:
    try:
        return _fetch_snapshot(split)
    except Exception as error:  # the client raises a dozen unrelated types
        raise DataError(
            "data_not_fetched", reason=type(error).__name__, fetch=FETCH_COMMAND
        ) from error


def _find_files(source: Path) -> dict[str, list[Path]]:
    """Parquet shards, or class-folder images, of each split below `source`."""
    if not source.is_dir():
        raise DataError("data_no_folder", path=source)
    shards = {split: sorted(source.rglob(f"{split}-*.parquet")) for split in SPLITS}
    if all(shards.values()):
        return shards
    images = {
        split: sorted(path for path in source.glob(f"{split}/*/*") if path.is_file())
        for split in SPLITS
    }
    if all(images.values()):
        return images
    raise DataError("data_no_files", path=source, fetch=FETCH_COMMAND)


def _digest(files: dict[str, list[Path]], source: Path) -> str:
    total = hashlib.sha256()
    for split in SPLITS:
        for path in files[split]:
            total.update(f"{path.relative_to(source)}\n".encode())
            with path.open("rb") as content:
                hashlib.file_digest(content, lambda: total)  # goes on with the one hash
    return total.hexdigest()


def _decode_split(split: str, files: list[Path]) -> Split:
    images, labels = decode_files(files)
    missing = set(range(len(CLASSES))) - set(labels.tolist())
    if missing:
        names = ", ".join(CLASSES[label] for label in sorted(missing))
        raise DataError("data_class_missing", split=split, path=files[0].parent, classes=names)
    return Split(images, labels)


def _cache_name(digest: str) -> str:
    return f"cifar10-{digest[:32]}"


def _write_splits(name: str, splits: dict[str, Split]) -> None:
    """Keeps decoded pixels for the next start."""
    write_cache(
        name,
        {
            f"{split}_{part}": getattr(splits[split], part)
            for split in splits
            for part in ("images", "labels")
        },
    )


def _read_splits(name: str) -> dict[str, Split] | None:
    tensors = read_cache(name)
    if tensors is None:
        return None
    return {
        split: Split(tensors[f"{split}_images"], tensors[f"{split}_labels"]) for split in SPLITS
    }
