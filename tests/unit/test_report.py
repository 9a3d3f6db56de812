"""Reports of folders that are not the shipped one."""

import math
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import CHECKPOINTS, ROOT
from tests.records import build_origin, build_record
from trainer import checkpoint
from trainer.checkpoint import Predictions, load_predictions, load_record
from trainer.data import Dataset, load_dataset
from trainer.errors import CheckpointError
from trainer.metrics import measure_overlap
from trainer.model import build_model
from trainer.recipe import CLASSES, PAIRS, PRESETS
from trainer.record import DataFacts, Record
from trainer.report import write_report
from trainer.report.pictures import choose_pictures
from trainer.seeds import load_runs, weigh
from trainer.wording import p_value


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory: pytest.TempPathFactory, sample: Dataset) -> Dataset:
    """Three images of each class, as `train/<class>/*` and `test/<class>/*`."""
    root = tmp_path_factory.mktemp("folders")
    for split_name, split in (("train", sample.train), ("test", sample.test)):
        for label, class_name in enumerate(CLASSES):
            folder = root / split_name / class_name
            folder.mkdir(parents=True)
            for row in (split.labels == label).nonzero().flatten()[:3].tolist():
                pixels = split.images[row].permute(1, 2, 0).numpy()
                Image.fromarray(pixels).save(folder / f"{row}.png")
    return load_dataset(root)


def facts_of(data: Dataset) -> DataFacts:
    return DataFacts(
        name=data.name,
        digest=data.digest,
        train_count=len(data.train),
        validation_count=3,
        test_count=len(data.test),
    )


def save(folder: Path, record: Record, labels: torch.Tensor) -> None:
    """A checkpoint whose recorded answers are the truth."""
    weights = checkpoint.to_stored(build_model().state_dict())
    predictions = Predictions(torch.eye(10)[labels], labels)
    checkpoint.save_checkpoint(folder, record.name, weights, {}, predictions, record)


def mending(stated: float, right: float) -> float:
    """The temperature that turns the confidence `stated` into `right`, all other classes equal."""
    return math.log(9 * stated / (1 - stated)) / math.log(9 * right / (1 - right))


def test_pictures_of_class_folders_are_the_ones_the_answers_are_about(
    class_folders: Dataset,
) -> None:
    found = choose_pictures({"sgd_full": build_record(data=facts_of(class_folders))})
    assert found is not None
    pictures, rows = found
    assert pictures.labels.tolist() == list(range(10))
    test = class_folders.test
    assert torch.equal(pictures.images, test.images[rows["sgd_full"]])
    assert torch.equal(pictures.labels, test.labels[rows["sgd_full"]])


def test_no_pictures_where_the_answers_order_is_unknown(
    class_folders: Dataset, sample: Dataset
) -> None:
    elsewhere = build_record()
    assert choose_pictures({"sgd_full": elsewhere}) is None
    mixed = {
        "sgd_full": build_record(data=facts_of(class_folders)),
        "adam_full": build_record("adam_full", data=facts_of(sample)),
    }
    assert choose_pictures(mixed) is None
    in_part = build_record(data=facts_of(sample), origin=build_origin(evaluated=50))
    assert choose_pictures({"sgd_full": in_part}) is None


def test_sample_pictures_serve_runs_on_the_sample_and_on_all_of_the_data(sample: Dataset) -> None:
    shipped = load_record(CHECKPOINTS, "adam_full")
    records = {"sgd_full": build_record(data=facts_of(sample)), "adam_full": shipped}
    found = choose_pictures(records)
    assert found is not None
    pictures, rows = found
    assert torch.equal(pictures.images, sample.test.images[rows["sgd_full"]])
    labels = load_predictions(CHECKPOINTS, shipped).labels
    assert labels[rows["adam_full"]].tolist() == pictures.labels.tolist() == list(range(10))


def test_report_of_one_short_run_of_another_kind(tmp_path: Path) -> None:
    """AdamW under a recipe's name, one epoch, images elsewhere, no samples, a name with markup."""
    recipe = PRESETS["default"]["sgd_full"].changed(optimizer="adamw", preset="finetune")
    record = build_record(accuracies=[0.8], recipe=recipe)
    backbone = record.backbone.model_copy(update={"name": "`<b>x</b>"})
    save(tmp_path, record.model_copy(update={"backbone": backbone}), torch.arange(10))
    write_report(tmp_path, tmp_path / "a.md", tmp_path / "a.html")
    text = (tmp_path / "a.md").read_text()
    assert "| `sgd_full` | AdamW | 0.001" in text
    assert "About preset `finetune`." in text
    assert "| `sgd_full` | 6 s | none |" in text
    assert "None" not in text
    assert "are not at hand, so none is shown" in text
    assert "No resource samples are at hand." in text
    drawn = {path.stem for path in (tmp_path / "a-images").iterdir()}
    assert drawn == {"confusion", "reliability", "test-accuracy", "test-loss", "train-loss"}
    assert all(f"a-images/{name}.svg" in text for name in drawn)
    page = (tmp_path / "a.html").read_text()
    assert "<b>x" not in page
    assert page.count("data:image/svg+xml;base64,") == 5


def test_both_runs_carry_the_features_they_share(tmp_path: Path, class_folders: Dataset) -> None:
    """As on the app's screen: both take their answer from `timing`."""
    for name in ("sgd_frozen", "adam_frozen"):
        record = build_record(name, data=facts_of(class_folders), features_s=41.0)
        save(tmp_path, record, class_folders.test.labels)
    write_report(tmp_path, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    assert "| `sgd_frozen` | 53 s | 41 s |" in text
    assert "| `adam_frozen` | 53 s | 41 s |" in text
    assert "a-images/predictions.svg" in text
    assert "None" not in text
    assert "nothing" not in text
    assert "`sgd_frozen` (SGD) and `adam_frozen` (Adam) get the very same test images right" in text


def test_report_tells_confidence_before_and_after_each_temperature(tmp_path: Path) -> None:
    """Two runs with the same answers, right on 3 of 4 images and 95 % sure: one is divided by the
    temperature that mends it, one has none."""
    labels = torch.arange(400) % 10
    said = torch.where(torch.arange(400) % 4 == 0, (labels + 1) % 10, labels)
    answers = torch.full((400, 10), 0.05 / 9).scatter(1, said[:, None], 0.95)
    for name, temperature in (("sgd_full", mending(0.95, 0.75)), ("adam_full", 1.0)):
        record = build_record(name, temperature=temperature)
        weights = checkpoint.to_stored(build_model().state_dict())
        checkpoint.save_checkpoint(
            tmp_path, name, weights, {}, Predictions(answers, labels), record
        )
    write_report(tmp_path, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    mended = f"{mending(0.95, 0.75):.2f}"
    assert f"| `sgd_full` | {mended} | 75.00 % | 95.00 % | 75.00 % | 20.00 % | <0.01 % |" in text
    assert "| `adam_full` | not fitted | 75.00 % | 95.00 % | 95.00 % | 20.00 % | 20.00 % |" in text
    assert "for `sgd_full` can be taken at their word" in text
    assert "for `adam_full` (off by 20.00 points on average) promise too much" in text
    drawn = (tmp_path / "a-images" / "reliability.svg").read_bytes()
    assert drawn.startswith(b"<?xml")


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_shipped_report_gives_the_answer_that_the_app_computes(first: str, second: str) -> None:
    records = {name: load_record(CHECKPOINTS, name) for name in (first, second)}
    answers = {name: load_predictions(CHECKPOINTS, record) for name, record in records.items()}
    predicted = [answers[name].probabilities.argmax(dim=1) for name in (first, second)]
    overlap = measure_overlap(answers[first].labels, *predicted)
    runs = load_runs(CHECKPOINTS, records)
    evidence = weigh(records[first], records[second], runs, overlap)
    conclusions = (ROOT / "docs" / "report.md").read_text().partition("## Conclusions")[2]
    (line,) = [said for said in conclusions.splitlines() if first in said and second in said][:1]
    assert p_value(evidence.p_value) in line
    better = first if evidence.verdict > 0 else second
    assert bool(re.search("too close to call|too few", line)) == (evidence.verdict == 0)
    assert bool(re.search(f"`{better}` .* beats", line)) == (evidence.verdict != 0)


def test_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        write_report(tmp_path, tmp_path / "a.md")
    assert caught.value.code == "checkpoints_missing"
    assert not (tmp_path / "a.md").exists()
