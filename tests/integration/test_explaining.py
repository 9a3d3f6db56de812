"""The analysis of the shipped set, made on few images, and what is drawn from it."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from bench.heat import paste
from tests.conftest import CHECKPOINTS, Run
from tests.records import build_origin, build_record
from trainer.checkpoint import load_checkpoint, load_predictions, load_record
from trainer.data import Dataset, load_sample_rows, split_validation
from trainer.engine import Trainer
from trainer.errors import CheckpointError
from trainer.explain import analysis as analysing
from trainer.explain import sweep
from trainer.explain.analysed import (
    FILE,
    Analysis,
    load_analysis,
    load_path,
    save_analysis,
)
from trainer.explain.drawing import draw_step_sizes
from trainer.explain.heat import measure_heat, share_in
from trainer.explain.movement import measure_movement
from trainer.explain.starts import Start, describe_weights, find_start
from trainer.explain.written import write_changes, write_picture
from trainer.placement import Placement
from trainer.predict import Quartet
from trainer.recipe import CLASSES, PLAIN_BACKBONE, RECIPE_NAMES
from trainer.record import Record
from trainer.short_run import load_start
from trainer.stop import StopRequest

FULL = ("sgd_full", "adam_full")
FROZEN = ("sgd_frozen", "adam_frozen")


@pytest.fixture(scope="module")
def quartet() -> Quartet:
    return Quartet(CHECKPOINTS)


@pytest.fixture(scope="module")
def saved(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analysis") / FILE
    save_analysis(path, analysis)
    return path


def test_frozen_pair_has_not_moved_at_all_and_the_full_pair_has(analysis: Analysis) -> None:
    for name in FROZEN:
        model = analysis.facts.models[name]
        assert model.backbone == "sgd_frozen"
        assert set(model.movement.values()) == set(model.stage_movement.values()) == {0.0}
        assert set(model.similarity.values()) == {1.0}
    for name in FULL:
        model = analysis.facts.models[name]
        assert min(model.movement.values()) > 0
        assert all(similarity < 1 for similarity in model.similarity.values())
        assert model.similarity["layer1"] > model.similarity["features"]


def test_ends_of_paths_answer_as_recorded_to_the_image(
    analysis: Analysis, quartet: Quartet, few: Dataset, sample: Dataset
) -> None:
    places = {tuple(image.flatten().tolist()): row for row, image in enumerate(sample.test.images)}
    rows = load_sample_rows()[[places[tuple(i.flatten().tolist())] for i in few.test.images]]
    recorded = {
        name: load_predictions(CHECKPOINTS, record).probabilities[rows].argmax(1)
        for name, record in quartet.records.items()
    }
    right = {name: int((said == few.test.labels).sum()) for name, said in recorded.items()}
    found = {(path.start, path.end): path.right for path in analysis.facts.paths}
    assert set(found) == {(PLAIN_BACKBONE, name) for name in RECIPE_NAMES} | {FULL, FROZEN}
    for (start, end), counts in found.items():
        assert counts[-1] == right[end]
        assert counts[0] == right.get(start, counts[0])
        if start == PLAIN_BACKBONE:
            assert counts[0] < 20  # a new last layer guesses


def test_path_that_was_read_answers_pictures(
    analysis: Analysis, quartet: Quartet, few: Dataset
) -> None:
    path = load_path(analysis, *FULL, CHECKPOINTS, CHECKPOINTS)
    images = few.test.images[:3]
    for place, name in enumerate(FULL):
        own = quartet.classify(images).logits[name]
        assert torch.allclose(path.classify(place, images), own, atol=1e-4)
    assert path.classify(0.25, images).isfinite().all()


def test_analysis_is_read_as_it_was_written(
    analysis: Analysis, saved: Path, quartet: Quartet, few: Dataset
) -> None:
    read = load_analysis(saved, quartet.records, few.digest)
    assert read.facts == analysis.facts
    for name in RECIPE_NAMES:
        assert torch.equal(read.banks[name].vectors, analysis.banks[name].vectors)
        assert torch.equal(read.points[name], analysis.points[name])
    assert read.banks["adam_frozen"].labels.tolist() == split_validation(few)[0].labels.tolist()
    assert read.statistics.keys() == analysis.statistics.keys()
    assert read.heads.keys() == set(RECIPE_NAMES)


def test_damaged_or_foreign_analysis_is_refused(
    saved: Path, quartet: Quartet, few: Dataset, tmp_path: Path
) -> None:
    content = bytearray(saved.read_bytes())
    for place in (len(content) // 2, content.index(b'\\"right\\":[') + 12):
        damaged = bytearray(content)
        damaged[place] ^= 1
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            load_analysis(tmp_path / FILE, quartet.records, few.digest)
        assert caught.value.code == "checkpoint_changed"
    others: dict[str, Record] = {"sgd_full": build_record(weights_sha256="00")}
    for records, digest in ((others, few.digest), ({}, "other")):
        with pytest.raises(CheckpointError) as caught:
            load_analysis(saved, records, digest)
        assert caught.value.code == "analysis_outdated"
    with pytest.raises(CheckpointError) as caught:
        load_analysis(tmp_path / "none", {}, few.digest)
    assert caught.value.code == "analysis_missing"


def test_pictures_and_changes_are_written(
    analysis: Analysis, quartet: Quartet, few: Dataset, tmp_path: Path
) -> None:
    said = write_picture(few.test.images[0].numpy(), tmp_path, "one", quartet, analysis, few)
    write_changes(tmp_path, quartet.records, analysis)
    numbers = json.loads((tmp_path / "one.json").read_text())
    answers = quartet.classify(few.test.images[:1]).logits
    assert set(said) == set(numbers["models"]) == set(RECIPE_NAMES)
    for name, model in numbers["models"].items():
        assert model["answer"] == CLASSES[int(answers[name].argmax())]
        assert model["sentence"] == said[name]
        point = torch.tensor(model["point"])
        assert torch.allclose(point, analysis.points[name][0], atol=1e-4)
    for figure in ("one-reasons", "one-mind", "one-map", "changes", "paths"):
        assert (tmp_path / f"{figure}.svg").read_bytes().startswith(b"<?xml")


def test_own_model_is_explained_beside_the_set(
    analysis: Analysis, few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysing, "POINTS", 3)
    for suffix in (".safetensors", ".predictions.safetensors"):
        (tmp_path / f"mine{suffix}").symlink_to(CHECKPOINTS / f"adam_frozen{suffix}")
    record = load_record(CHECKPOINTS, "adam_frozen")
    begun = load_record(CHECKPOINTS, "sgd_frozen")
    origin = build_origin().model_copy(
        update={"start": "sgd_frozen", "start_sha256": begun.weights_sha256}
    )
    record = record.model_copy(
        update={"name": "mine", "origin": origin, "familiarity": None, "familiarity_sha256": None}
    )
    (tmp_path / "mine.json").write_text(record.as_json())
    file = tmp_path / "mine.safetensors"
    own = analysing.analyse_own(file, CHECKPOINTS, few, analysis, lambda _: None)
    assert torch.equal(own.points["mine"], analysis.points["adam_frozen"])
    strangers = analysis.facts.model_copy(update={"models": {}})
    alone = dataclasses.replace(analysis, facts=strangers)
    own = analysing.analyse_own(file, CHECKPOINTS, few, alone, lambda _: None)
    assert own.facts.models["mine"].movement == analysis.facts.models["adam_frozen"].movement
    assert torch.allclose(own.points["mine"], analysis.points["adam_frozen"], atol=1e-4)
    (path,) = own.facts.paths
    assert (path.start, path.end) == ("sgd_frozen", "mine")
    assert path.right == analysis.find_path(*FROZEN).right
    loaded = load_path(own, "sgd_frozen", "mine", CHECKPOINTS, tmp_path)
    assert torch.equal(loaded.weights_at(1)["fc.bias"], loaded.end["fc.bias"].float())


def test_movement_is_from_what_the_record_names_and_from_nothing_else(tmp_path: Path) -> None:
    model = load_checkpoint(CHECKPOINTS, "adam_full")
    begun = load_record(CHECKPOINTS, "sgd_full")

    def start_of(name: str, sha256: str, earlier: Path | None = None) -> Start:
        origin = build_origin().model_copy(update={"start": name, "start_sha256": sha256})
        return find_start(build_record(origin=origin), CHECKPOINTS, earlier)

    start = start_of("sgd_full", begun.weights_sha256)
    facts = describe_weights(model, start, "mine", {})
    assert facts.start == "sgd_full"
    assert facts.movement == measure_movement(start.weights, model.weights)
    assert min(facts.movement.values()) > 0
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"earlier{suffix}").symlink_to(CHECKPOINTS / f"sgd_full{suffix}")
    earlier = start_of("earlier", begun.weights_sha256, tmp_path)
    assert describe_weights(model, earlier, "mine", {}).movement == facts.movement
    for name, sha256, folder in (
        ("sgd_full", "other", None),
        ("earlier", begun.weights_sha256, None),
        ("earlier", "other", tmp_path),
    ):
        with pytest.raises(CheckpointError) as caught:
            start_of(name, sha256, folder)
        assert caught.value.code == "start_missing"


def test_heat_lies_where_the_object_is(quartet: Quartet, sample: Dataset) -> None:
    """Over 100 pictures with an object in a corner, a quarter of the area (docs/heat.md)."""
    names = [name for name, record in quartet.records.items() if record.recipe.image_px >= 64]
    if not names:
        pytest.skip("maps of models of 32 px are too coarse")
    pictures, labels, boxes = paste(sample, 16)
    answers = quartet.classify(pictures)
    for name in names:
        classes = answers.logits[name].argmax(dim=1)
        heat = measure_heat(quartet.body_of(name), name, answers.maps[name], classes)
        shares = torch.stack(
            [share_in(each[None], *box)[0] for each, box in zip(heat, boxes, strict=True)]
        )
        assert shares.mean() > 0.5
        assert shares[classes == labels].mean() > 0.6


def test_step_sizes_are_drawn_where_a_record_has_them() -> None:
    record = build_record()
    assert draw_step_sizes({record.name: record}) is None
    sized = [
        epoch.model_copy(update={"step_sizes": {"fc": 0.01, "layer4": 0.001}})
        for epoch in record.history
    ]
    record = record.model_copy(update={"history": tuple(sized)})
    drawn = draw_step_sizes({record.name: record})
    assert drawn is not None
    assert drawn.startswith(b"<?xml")


def test_sweeps_cell_is_what_the_engine_records(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "RATES", (0.01, 10.0))
    backbone = load_start(PLAIN_BACKBONE, CHECKPOINTS)
    recipe = load_record(CHECKPOINTS, "sgd_frozen").recipe.changed(epochs=3, batch_size=20)
    told: list[sweep.SweepCell] = []
    result = sweep.sweep_rates(recipe, backbone, few, torch.device("cpu"), told.append)
    assert result.cells == tuple(told)
    assert [(cell.optimizer, cell.own) for cell in told] == [
        ("sgd", True), ("sgd", False), ("adam", True), ("adam", False)
    ]  # fmt: skip
    trainer = Trainer(few, backbone, Placement(tmp_path, torch.device("cpu")))
    for cell in (told[0], told[2]):
        trained = recipe.changed(name=cell.optimizer, optimizer=cell.optimizer)
        trainer.fit(trained, lambda _: None, StopRequest())
        record = load_record(tmp_path, cell.optimizer)
        assert cell.validation_accuracy == record.validation.accuracy
        assert cell.test_accuracy == record.test.accuracy
        assert [list(epoch.step_sizes or {}) for epoch in record.history] == 3 * [["fc"]]


def test_commands_are_told_what_is_missing(run_here: Run, tmp_path: Path) -> None:
    for path in CHECKPOINTS.glob("*_f*"):
        (tmp_path / path.name).symlink_to(path)
    finished = run_here("explain", "none.jpg", "--checkpoints", tmp_path)
    assert finished.returncode == 1
    assert "python -m trainer analyse" in finished.stderr
