import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from tests.dataset_hub import running_dataset_hub
from trainer import data
from trainer.data import (
    Dataset,
    Split,
    draw_held_out,
    load_dataset,
    load_sample_rows,
    split_validation,
)
from trainer.errors import DataError
from trainer.recipe import CLASSES

FULL_DATA = os.environ.get("QUARTET_DATA")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def few(sample: Dataset) -> dict[str, Split]:
    """Three images of each class a split."""
    rows = torch.cat([(sample.train.labels == label).nonzero()[:3, 0] for label in range(10)])
    return {"train": sample.train.subset(rows), "test": sample.train.subset(rows.flip(0))}


def encode(pixels: torch.Tensor, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(content, kind, lossless=True)
    return content.getvalue()


def write_parquet(folder: Path, splits: dict[str, Split], kind: str, shards: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in splits.items():
        parts = torch.arange(len(split)).chunk(shards)
        for number, rows in enumerate(parts):
            images = [{"bytes": encode(split.images[i], kind), "path": None} for i in rows]
            table = pyarrow.table({"img": images, "label": split.labels[rows].numpy()})
            pyarrow.parquet.write_table(
                table, folder / f"{name}-{number:05d}-of-{shards:05d}.parquet"
            )


def write_folders(folder: Path, splits: dict[str, Split]) -> None:
    for name, split in splits.items():
        for index, (pixels, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = folder / name / CLASSES[label] / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(pixels, "PNG"))


def equal(first: Split, second: Split) -> bool:
    return torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)


@pytest.mark.parametrize(("kind", "shards"), [("PNG", 1), ("WEBP", 3)])
def test_hub_layout_is_read_in_order(
    tmp_path: Path, few: dict[str, Split], kind: str, shards: int
) -> None:
    write_parquet(tmp_path / "data" / "plain_text", few, kind, shards)
    loaded = load_dataset(tmp_path / "data")
    assert equal(loaded.train, few["train"])
    assert equal(loaded.test, few["test"])
    assert loaded.train.images.dtype == torch.uint8


def test_reader_agrees_with_pillow_on_the_embedded_sample(sample: Dataset) -> None:
    for name, split in (("train", sample.train), ("test", sample.test)):
        (path,) = data.SAMPLE_DIR.rglob(f"{name}-*.parquet")
        rows = pyarrow.parquet.read_table(path).to_pylist()
        assert len(rows) == len(split) == {"train": 2000, "test": 500}[name]
        for index in range(0, len(rows), 97):
            with Image.open(io.BytesIO(rows[index]["img"]["bytes"])) as image:
                expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
            assert np.array_equal(split.images[index].numpy(), expected)
            assert split.labels[index] == rows[index]["label"]


def test_image_folder_is_read(tmp_path: Path, few: dict[str, Split]) -> None:
    write_folders(tmp_path / "data", few)
    loaded = load_dataset(tmp_path / "data")
    order = few["train"].labels.argsort(stable=True)
    by_name = sorted(range(30), key=lambda i: CLASSES[few["train"].labels[i]])
    assert equal(loaded.train, few["train"].subset(torch.tensor(by_name)))
    assert len(order) == len(loaded.test)


def test_environment_names_the_folder(
    tmp_path: Path, few: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    monkeypatch.setenv("QUARTET_DATA", str(tmp_path / "data"))
    assert equal(load_dataset().train, few["train"])


def test_sample_is_balanced_and_its_rows_are_known(sample: Dataset) -> None:
    assert sample.train.labels.bincount().tolist() == [200] * 10
    assert sample.test.labels.bincount().tolist() == [50] * 10
    rows = load_sample_rows()
    assert rows.shape == (500,)
    assert torch.equal(rows, rows.unique())


def test_second_start_reads_the_cache(
    tmp_path: Path, few: dict[str, Split], empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    first = load_dataset(tmp_path / "data")
    (cached,) = empty_cache.glob("*.safetensors")
    monkeypatch.setattr(data, "_decode_split", None)  # decoding again would now fail
    again = load_dataset(tmp_path / "data")
    assert equal(first.train, again.train)
    assert equal(first.test, again.test)
    assert first.digest == again.digest
    assert cached.exists()


@pytest.mark.parametrize("damage", ["flip", "zero", "cut"])
def test_damaged_cache_is_decoded_anew(
    tmp_path: Path, few: dict[str, Split], empty_cache: Path, damage: str
) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    load_dataset(tmp_path / "data")
    (cached,) = empty_cache.glob("*.safetensors")
    content = bytearray(cached.read_bytes())
    if damage == "flip":
        content[-1000] ^= 1
    elif damage == "zero":
        content[:] = bytes(len(content))
    else:
        del content[len(content) // 2 :]
    cached.unlink()
    cached.write_bytes(content)
    assert equal(load_dataset(tmp_path / "data").train, few["train"])


def test_changed_source_is_not_served_from_the_cache(tmp_path: Path, few: dict[str, Split]) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    load_dataset(tmp_path / "data")
    write_parquet(tmp_path / "data", {"train": few["test"]}, "PNG")
    assert equal(load_dataset(tmp_path / "data").train, few["test"])


def test_unwritable_cache_is_no_fault(
    tmp_path: Path, few: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path / "file" / "cache"))
    write_parquet(tmp_path / "data", few, "PNG")
    assert equal(load_dataset(tmp_path / "data").train, few["train"])


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_half_downloaded_shard_is_named(tmp_path: Path, few: dict[str, Split], keep: float) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    (shard,) = (tmp_path / "data").glob("train-*")
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * keep)])
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet.*hf download"):
        load_dataset(tmp_path / "data")


def test_undecodable_image_is_named(tmp_path: Path, few: dict[str, Split]) -> None:
    write_folders(tmp_path / "data", few)
    broken = next((tmp_path / "data" / "test" / "cat").iterdir())
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=str(broken)):
        load_dataset(tmp_path / "data")


def test_wrong_size_label_and_class_are_refused(tmp_path: Path, few: dict[str, Split]) -> None:
    large = Split(few["train"].images.repeat(1, 1, 2, 2), few["train"].labels)
    write_parquet(tmp_path / "large", {"train": large, "test": few["test"]}, "PNG")
    with pytest.raises(DataError, match="64x64"):
        load_dataset(tmp_path / "large")

    beyond = Split(few["train"].images, few["train"].labels + 1)
    write_parquet(tmp_path / "beyond", {"train": beyond, "test": few["test"]}, "PNG")
    with pytest.raises(DataError, match="label 10"):
        load_dataset(tmp_path / "beyond")

    write_folders(tmp_path / "folders", few)
    (tmp_path / "folders" / "train" / "cat").rename(tmp_path / "folders" / "train" / "lion")
    with pytest.raises(DataError, match="lion is not named after a class"):
        load_dataset(tmp_path / "folders")

    shutil.rmtree(tmp_path / "folders" / "train" / "lion")
    with pytest.raises(DataError, match="no images of: cat"):
        load_dataset(tmp_path / "folders")


def test_missing_folder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data DIR"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="hf download"):
        load_dataset(tmp_path)


def test_held_out_images_are_a_tenth_of_every_class() -> None:
    labels = torch.arange(10).repeat(200)
    held_out = draw_held_out(labels)
    assert labels[held_out].bincount().tolist() == [20] * 10
    assert torch.equal(draw_held_out(labels), held_out)


@pytest.mark.skipif(FULL_DATA is None, reason="needs the full CIFAR-10")
def test_sample_holds_out_what_the_full_data_set_holds_out(sample: Dataset) -> None:
    _, full = split_validation(load_dataset(Path(FULL_DATA or "")))
    _, part = split_validation(sample)
    known = {image.numpy().tobytes() for image in full.images}
    assert all(image.numpy().tobytes() in known for image in part.images)


def test_validation_split_is_disjoint_and_fixed(sample: Dataset) -> None:
    training, validation = split_validation(sample)
    assert 150 < len(validation) < 250
    assert min(validation.labels.bincount()) > 10
    assert equal(split_validation(sample)[1], validation)
    rejoined = torch.cat([training.images, validation.images]).flatten(1).double().sum(1).sort()
    assert torch.equal(
        rejoined.values, sample.train.images.flatten(1).double().sum(1).sort().values
    )


LOAD = """
from trainer.data import is_full_data_at_hand, load_dataset
from trainer.errors import DataError
at_hand = is_full_data_at_hand()
try:
    print(len(load_dataset().train), at_hand)
except DataError as error:
    print(error)
"""


def load_in_child(tmp_path: Path, **environment: str) -> str:
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), **environment}
    finished = subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip().splitlines()[-1]


def test_offline_hub_gives_the_exact_command(tmp_path: Path) -> None:
    message = load_in_child(tmp_path, HF_HUB_OFFLINE="1")
    assert "hf download uoft-cs/cifar10 --repo-type dataset" in message
    assert "--sample" in message


def test_hub_download_goes_through_its_endpoint_and_cache(
    tmp_path: Path, few: dict[str, Split]
) -> None:
    write_parquet(tmp_path / "data", few, "PNG")
    files = {f"plain_text/{path.name}": path.read_bytes() for path in (tmp_path / "data").iterdir()}
    with running_dataset_hub("uoft-cs/cifar10", {**files, "README.md": b"not wanted"}) as endpoint:
        assert load_in_child(tmp_path, HF_ENDPOINT=endpoint) == "30 False"
    assert not list((tmp_path / "hf").rglob("README.md"))
    assert load_in_child(tmp_path, HF_HUB_OFFLINE="1") == "30 True"
