"""Files of images: Parquet shards in the Hub's layout and class folders to pixels, and back."""

import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.errors import DataError
from trainer.recipe import CLASSES, NATIVE_PX

HUB_DATASET = "uoft-cs/cifar10"
FETCH_COMMAND = f"hf download {HUB_DATASET} --repo-type dataset"


def decode_files(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Images `(N, 3, 32, 32)` uint8 and labels `(N,)` int64 of Parquet shards, or of class folders'
    images.

    Raises:
        DataError: a file is damaged.
    """
    if files[0].suffix == ".parquet":
        rows: Iterable[tuple[Path, bytes, int]] = _parquet_rows(files)
    else:
        rows = _folder_rows(files)
    labels: list[int] = []

    def encoded() -> Iterator[tuple[Path, bytes]]:
        for path, content, label in rows:
            if not 0 <= label < len(CLASSES):
                raise DataError("data_label", path=path, label=label, fetch=FETCH_COMMAND)
            labels.append(label)
            yield path, content

    # Pillow releases the interpreter lock while it decodes, so threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = np.stack(list(pool.map(_decode, encoded())))
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return channels_first, torch.tensor(labels, dtype=torch.int64)


def read_rows(shard: Path) -> Tensor:
    """Rows `(N,)` int64 in the full split of a shard's images, as `encode_shard` names them."""
    import pyarrow.parquet

    images = pyarrow.parquet.read_table(shard, columns=["img"])["img"].combine_chunks()
    names = images.field("path").to_pylist()
    return torch.tensor([int(Path(name).stem.split("_")[-1]) for name in names])


def encode_image(pixels: Tensor) -> bytes:
    """`pixels (3, 32, 32)` uint8 as lossless WebP, the smallest there is of such images."""
    content = io.BytesIO()
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    image.save(content, "WEBP", lossless=True, quality=100, method=6)
    return content.getvalue()


def encode_shard(contents: list[bytes], labels: Tensor, rows: Tensor, split: str) -> bytes:
    """A Parquet file in the Hub's layout; `img.path` holds the row in the full split
    (`test_00042.webp`).

    Args:
        contents: the images' files.
        labels: `(N,)` int64.
        rows: `(N,)` int64.
    """
    import pyarrow
    import pyarrow.parquet

    images = [
        {"bytes": content, "path": f"{split}_{row:05d}.webp"}
        for content, row in zip(contents, rows.tolist(), strict=True)
    ]
    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"img": images, "label": labels.numpy()}), written)
    return written.getvalue()


def _parquet_rows(files: list[Path]) -> Iterator[tuple[Path, bytes, int]]:
    import pyarrow
    import pyarrow.parquet

    for path in files:
        try:
            shard = pyarrow.parquet.ParquetFile(path)
            for batch in shard.iter_batches(1000, columns=["img", "label"]):
                images, labels = batch.column("img"), batch.column("label")
                contents = images.field("bytes").to_pylist()
                for content, label in zip(contents, labels.to_pylist(), strict=True):
                    if content is None or label is None:
                        raise DataError("data_row_empty", path=path, fetch=FETCH_COMMAND)
                    yield path, content, label
        except (pyarrow.ArrowException, OSError, KeyError) as error:
            raise DataError("data_shard_damaged", path=path, fetch=FETCH_COMMAND) from error


def _folder_rows(files: list[Path]) -> Iterator[tuple[Path, bytes, int]]:
    for path in files:
        if path.parent.name not in CLASSES:
            raise DataError("data_not_a_class", path=path.parent, classes=", ".join(CLASSES))
        yield path, path.read_bytes(), CLASSES.index(path.parent.name)


def _decode(encoded: tuple[Path, bytes]) -> np.ndarray:
    """Pixels `(32, 32, 3)` uint8 of one encoded CIFAR-10 image."""
    path, content = encoded
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.size != (NATIVE_PX, NATIVE_PX):
                raise DataError(
                    "data_image_size",
                    path=path,
                    size=f"{image.width}x{image.height}",
                    expected=f"{NATIVE_PX}x{NATIVE_PX}",
                )
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError("data_image_damaged", path=path, fetch=FETCH_COMMAND) from error
