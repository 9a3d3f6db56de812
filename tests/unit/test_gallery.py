"""Which test images can be shown, and which are known."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.gallery import EXAMPLES_DIR, Gallery, list_examples
from demo.uploads import read_pixels
from tests.conftest import CHECKPOINTS
from trainer.checkpoint import load_predictions, load_record
from trainer.data import load_dataset, load_sample_rows
from trainer.errors import PictureError
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
    assert len(gallery.rows) == 500
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
