"""Which test images can be shown, and which are known."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.gallery import EXAMPLES_DIR, Gallery, list_examples
from demo.uploads import read_pixels
from tests.conftest import CHECKPOINTS
from trainer.checkpoint import load_predictions, load_record
from trainer.data import Split, load_dataset, load_sample_rows
from trainer.errors import DataError, PictureError
from trainer.mistakes import FACTS_FILE, IMAGES_FILE
from trainer.picture import decode_picture, to_pixels
from trainer.recipe import CLASSES


@pytest.fixture
def digest() -> str:
    return load_record(CHECKPOINTS, "sgd_full").data.digest


def test_sample_rows_are_labelled_as_the_recorded_test_split(digest: str) -> None:
    labels = load_predictions(CHECKPOINTS, load_record(CHECKPOINTS, "sgd_full")).labels
    sample = load_dataset(sample=True)
    assert torch.equal(labels[load_sample_rows()], sample.test.labels)


def test_sample_stands_in_where_the_full_split_is_not_at_hand(
    digest: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path))
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    gallery = Gallery(digest, 10_000, CHECKPOINTS)
    assert not gallery.whole
    assert gallery.fetchable
    assert len(gallery.rows) > 1000, "the sample, and what comes with the checkpoints"
    alone = Gallery(digest, 10_000, tmp_path)
    assert len(alone.rows) == 500
    rows = gallery.at_hand(torch.arange(1000))
    assert 0 < len(rows) < 1000
    for row in rows[:3].tolist():
        index = gallery.rows.tolist().index(row)
        assert np.array_equal(gallery.image(row), gallery.split.images[index].numpy())


@pytest.mark.skipif("QUARTET_DATA" not in os.environ, reason="needs the full CIFAR-10")
def test_full_split_is_shown_where_it_is_at_hand(digest: str) -> None:
    gallery = Gallery(digest, 10_000, CHECKPOINTS)
    assert gallery.whole
    assert torch.equal(gallery.at_hand(torch.tensor([5, 7])), torch.tensor([5, 7]))


def test_models_of_the_sample_show_all_its_images() -> None:
    sample = load_dataset(sample=True)
    gallery = Gallery(sample.digest, 500, CHECKPOINTS)
    assert gallery.whole
    assert np.array_equal(gallery.image(499), sample.test.images[499].numpy())


def test_examples_and_test_images_have_a_known_truth(digest: str) -> None:
    gallery = Gallery(digest, 10_000, CHECKPOINTS)
    examples = list_examples()
    assert len(examples) >= 8
    for example in examples:
        assert CLASSES[example.label] in example.path.name
        picture = decode_picture(example.path.read_bytes())
        assert gallery.find_truth(to_pixels(picture, "centre")) == example.label
    assert any(example.path.suffix == ".jpg" for example in examples)
    assert gallery.find_truth(np.zeros((3, 32, 32), np.uint8)) is None


def test_nothing_outside_the_uploads_is_read(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    content = (EXAMPLES_DIR / "cat-test.png").read_bytes()
    (tmp_path / "outside.png").write_bytes(content)
    (uploads / "inside.png").write_bytes(content)
    (uploads / "link.png").symlink_to(tmp_path / "outside.png")
    assert read_pixels({"path": str(uploads / "inside.png")}, uploads).shape == (3, 32, 32)
    for path in (tmp_path / "outside.png", uploads / "../outside.png", uploads / "link.png"):
        with pytest.raises(PictureError, match="not uploaded"):
            read_pixels({"path": str(path)}, uploads)
    with pytest.raises(PictureError, match="upload it again"):
        read_pixels({"path": str(uploads / "gone.png")}, uploads)


def test_damaged_mistakes_are_told_and_left_out(
    digest: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    shutil.copy(CHECKPOINTS / FACTS_FILE, tmp_path)
    content = bytearray((CHECKPOINTS / IMAGES_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / IMAGES_FILE).write_bytes(content)
    gallery = Gallery(digest, 10_000, tmp_path)
    assert len(gallery.rows) == 500
    assert gallery.fault is not None
    assert gallery.fault.code == "mistakes_damaged"


def make_test_split(gallery: Gallery, labels: torch.Tensor) -> Split:
    """The images that are known, and grey ones in the places of the others."""
    images = torch.full((len(labels), 3, 32, 32), 128, dtype=torch.uint8)
    images[gallery.rows] = gallery.split.images
    return Split(images, labels)


def test_fetched_images_are_kept_and_others_refused(
    digest: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path))
    monkeypatch.delenv("QUARTET_DATA", raising=False)
    labels = load_predictions(CHECKPOINTS, load_record(CHECKPOINTS, "sgd_full")).labels
    gallery = Gallery(digest, 10_000, CHECKPOINTS)
    sent = make_test_split(gallery, labels)
    other = Split(sent.images.clone(), labels)
    other.images[gallery.rows[0], 0, 0, 0] += 1
    monkeypatch.setattr("demo.gallery.fetch_test_split", lambda: other)
    with pytest.raises(DataError) as refused:
        gallery.fetch(labels)
    assert refused.value.code == "data_other_images"
    assert not gallery.whole
    monkeypatch.setattr("demo.gallery.fetch_test_split", lambda: sent)
    gallery.fetch(labels)
    assert gallery.whole
    assert not gallery.fetchable
    next_start = Gallery(digest, 10_000, CHECKPOINTS)
    assert next_start.whole
    assert np.array_equal(next_start.image(7), sent.images[7].numpy())
