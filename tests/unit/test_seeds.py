"""The list of runs under several seeds: what is taken, what is refused, what it decides."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.records import build_record
from trainer.errors import CheckpointError, QuartetError
from trainer.metrics import Overlap
from trainer.recipe import PRESETS
from trainer.record import BackboneFacts, Record
from trainer.reference import load_reference
from trainer.report.observations import conclude, observe
from trainer.report.seeds import tell_seeds
from trainer.seeds import RUNS_FILE, Runs, collect_runs, find_levels, load_runs, save_runs, weigh
from trainer.significance import SeedTest

BY_CHANCE = Overlap(8000, 500, 500, 1000)
"""An overlap whose verdict is "too close to call"."""
SGD, ADAM = (0.90, 0.91, 0.92, 0.93, 0.94), (0.80, 0.81, 0.82, 0.83, 0.84)


def save(
    folder: Path, name: str = "sgd_full", accuracy: float = 0.9, preset: str = "default",
    **changes: Any
) -> Record:  # fmt: skip
    """The record of a run, of which `changes` are settings, in a folder of finished runs."""
    recipe = PRESETS[preset][name].changed(**changes)
    weights = f"{preset} {name} {recipe.seed} {accuracy}"
    record = build_record(name, [accuracy], recipe=recipe, weights_sha256=weights)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(record.as_json())
    return record


@pytest.fixture
def records(tmp_path: Path) -> dict[str, Record]:
    """A pair that is shipped, under five seeds each, and its list of runs."""
    shipped = tmp_path / "checkpoints"
    found = {
        "sgd_full": save(shipped, "sgd_full", SGD[0]),
        "adam_full": save(shipped, "adam_full", ADAM[0]),
    }
    folders = []
    for seed in range(1, 5):
        folders.append(tmp_path / f"seed-{seed}")
        save(folders[-1], "sgd_full", SGD[seed], seed=seed)
        save(folders[-1], "adam_full", ADAM[seed], seed=seed)
    save(tmp_path / "plain", "sgd_full", 0.7, "report")
    save_runs(collect_runs([*folders, tmp_path / "plain"], shipped), shipped)
    return found


@pytest.fixture
def runs(tmp_path: Path, records: dict[str, Record]) -> Runs:
    return load_runs(tmp_path / "checkpoints", records)


def test_every_run_is_listed_once_by_preset_recipe_and_seed(runs: Runs) -> None:
    listed = [(run.preset, run.recipe, run.seed) for run in runs.runs]
    assert listed == [
        *(("default", "sgd_full", seed) for seed in range(5)),
        *(("default", "adam_full", seed) for seed in range(5)),
        ("report", "sgd_full", 0),
    ]
    assert [run.test_accuracy for run in runs.of("default", "sgd_full")] == list(SGD)
    assert runs.runs[-1].epochs == 20
    assert runs.runs[0].hardware == "a processor, 2 cores"
    assert [[spread.recipe for spread in group] for group in runs.grouped()] == [
        ["sgd_full", "adam_full"],
        ["sgd_full"],
    ]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"seed": 1, "epochs": 3, "image_px": 32}, "run_not_its_preset", "Epochs and Input size"),
        ({"seed": 1, "preset": "report"}, "run_not_its_preset", "preset report"),
        ({"seed": 1, "optimizer": "adamw"}, "run_not_its_preset", "Optimizer"),
    ],
)
def test_runs_of_other_settings_are_refused(
    tmp_path: Path, changes: dict[str, Any], code: str, said: str
) -> None:
    save(tmp_path / "checkpoints")
    recipe = PRESETS["default"]["sgd_full"].changed(**changes)
    other = build_record(recipe=recipe)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sgd_full.json").write_text(other.as_json())
    with pytest.raises(QuartetError) as caught:
        collect_runs([tmp_path / "other"], tmp_path / "checkpoints")
    assert caught.value.code == code
    assert said in str(caught.value)


def test_short_runs_are_of_no_preset(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints")
    recipe = PRESETS["default"]["sgd_full"].changed(preset="finetune")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sgd_full.json").write_text(build_record(recipe=recipe).as_json())
    with pytest.raises(QuartetError) as caught:
        collect_runs([tmp_path / "other"], tmp_path / "checkpoints")
    assert caught.value.code == "run_of_no_preset"


def test_second_run_of_a_seed_is_refused_and_a_copy_counts_once(tmp_path: Path) -> None:
    shipped = tmp_path / "checkpoints"
    save(shipped)
    save(tmp_path / "copy")
    assert len(collect_runs([tmp_path / "copy", tmp_path / "copy"], shipped).runs) == 1
    save(tmp_path / "other", accuracy=0.91)
    with pytest.raises(QuartetError) as caught:
        collect_runs([tmp_path / "other"], shipped)
    assert caught.value.code == "run_twice"


def test_list_grows_until_its_checkpoint_is_replaced(tmp_path: Path) -> None:
    def collect(*folders: str) -> list[tuple[str, int, float]]:
        runs = collect_runs([tmp_path / folder for folder in folders], shipped)
        save_runs(runs, shipped)
        return [(run.recipe, run.seed, run.test_accuracy) for run in runs.runs]

    shipped = tmp_path / "checkpoints"
    for name in ("sgd_full", "adam_full"):
        save(shipped, name)
        save(tmp_path / "one", name, seed=1)
    save(tmp_path / "two", "sgd_full", seed=2)
    collect("one")
    assert [seed for _, seed, _ in collect("two")] == [0, 1, 2, 0, 1]
    save(tmp_path / "again", "sgd_full", accuracy=0.8, seed=1)
    assert ("sgd_full", 1, 0.8) in collect("again")  # what a folder holds goes before the list
    save(shipped, "sgd_full", accuracy=0.95)
    assert collect() == [("sgd_full", 0, 0.95), ("adam_full", 0, 0.9), ("adam_full", 1, 0.9)]


def test_runs_from_elsewhere_are_refused(tmp_path: Path) -> None:
    record = save(tmp_path / "checkpoints")
    recipe = record.recipe.changed(seed=1)
    backbone = BackboneFacts(name="another", sha256="12" * 32)
    data = record.data.model_copy(update={"digest": "34" * 32})
    for changes in {"backbone": backbone}, {"data": data}:
        other = build_record(recipe=recipe, **changes)
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "sgd_full.json").write_text(other.as_json())
        with pytest.raises(QuartetError) as caught:
            collect_runs([tmp_path / "other"], tmp_path / "checkpoints")
        assert caught.value.code == "run_started_otherwise"


def test_command_writes_the_list_or_says_why_not(tmp_path: Path, run_here: Run) -> None:
    shipped = tmp_path / "checkpoints"
    save(shipped)
    save(tmp_path / "one", seed=1)
    run = run_here("collect", tmp_path / "one", "--checkpoints", shipped)
    assert (run.returncode, run.stdout) == (0, f"{shipped / RUNS_FILE} lists 2 runs\n"), run.stderr
    before = (shipped / RUNS_FILE).read_bytes()
    save(tmp_path / "two", seed=2, batch_size=7)
    run = run_here("collect", tmp_path / "one", tmp_path / "two", "--checkpoints", shipped)
    assert run.returncode == 1
    assert "Batch size" in run.stderr
    assert (shipped / RUNS_FILE).read_bytes() == before


def test_no_list_is_nothing_and_a_damaged_one_is_a_fault(
    tmp_path: Path, records: dict[str, Record]
) -> None:
    assert not load_runs(tmp_path, records)
    assert tell_seeds(Runs(), records) is None
    for content in "{", '{"format": 2, "runs": []}', '{"format": 1, "runs": [{"seed": 0}]}':
        (tmp_path / RUNS_FILE).write_text(content)
        with pytest.raises(CheckpointError) as caught:
            load_runs(tmp_path, records)
        assert caught.value.code == "runs_damaged"


def test_what_a_newer_version_added_is_passed_over(
    tmp_path: Path, records: dict[str, Record]
) -> None:
    path = tmp_path / "checkpoints" / RUNS_FILE
    values = json.loads(path.read_text())
    values["runs"][0]["newer"] = values["newer"] = 1
    path.write_text(json.dumps(values))
    assert len(load_runs(path.parent, records).runs) == 11


def test_list_left_by_another_set_says_nothing(tmp_path: Path, records: dict[str, Record]) -> None:
    records["adam_full"] = save(tmp_path / "checkpoints", "adam_full", 0.5)
    left = load_runs(tmp_path / "checkpoints", records)
    assert {run.recipe for run in left.runs} == {"sgd_full"}
    assert weigh(records["sgd_full"], records["adam_full"], left, BY_CHANCE) is BY_CHANCE


def test_seeds_decide_where_both_have_three(runs: Runs, records: dict[str, Record]) -> None:
    first, second = records["sgd_full"], records["adam_full"]
    evidence = weigh(first, second, runs, BY_CHANCE)
    assert isinstance(evidence, SeedTest)
    assert evidence.first == (9000, 9100, 9200, 9300, 9400)
    assert (evidence.verdict, BY_CHANCE.verdict) == (1, 0)
    two = Runs(runs=tuple(run for run in runs.runs if run.recipe == "sgd_full" or run.seed < 2))
    assert weigh(first, second, two, BY_CHANCE) is BY_CHANCE
    assert weigh(first, first, runs, BY_CHANCE) is BY_CHANCE
    plain = first.model_copy(update={"recipe": PRESETS["report"]["sgd_full"]})
    assert weigh(plain, second, runs, BY_CHANCE) is BY_CHANCE


def test_report_concludes_from_the_seeds_alone(runs: Runs, records: dict[str, Record]) -> None:
    pair = records["sgd_full"], records["adam_full"]
    verdicts = {("sgd_full", "adam_full"): weigh(*pair, runs, BY_CHANCE)}
    text = " ".join(conclude(records, verdicts, load_reference()))
    assert (
        "With all layers trained, `sgd_full` (SGD) beats `adam_full` (Adam) by 10.00 points in the "
        "mean over 5 seeds each, more than chance explains (p = 0.008"
    ) in text
    assert "paired" not in text
    assert "too close" not in text


def test_price_of_freezing_is_told_from_the_seeds(runs: Runs) -> None:
    records = {name: build_record(name, [0.9]) for name in ("sgd_full", "sgd_frozen")}
    evidence = SeedTest((9000, 9100, 9200), (8000, 8100, 8200, 8300, 8400), 10_000)
    said = " ".join(observe(records, {("sgd_full", "sgd_frozen"): evidence}))
    assert "Freezing the backbone cost 9.00 points of test accuracy" in said
    assert "(`sgd_full` against `sgd_frozen`, means over 3 and 5 seeds, p = 0.018)" in said


def test_report_tells_every_seed_and_the_plain_recipe(
    runs: Runs, records: dict[str, Record]
) -> None:
    told = tell_seeds(runs, records)
    assert told is not None
    assert told["shipped"] == "0"
    assert told["spreads"][0][:5] == (
        "`default`", "`sgd_full`", "92.00 %", "90.00 % to 94.00 %",
        "90.00, 91.00, 92.00, 93.00, 94.00",
    )  # fmt: skip
    assert told["plain"] == [
        ("`sgd_full`", "70.00 % (1 seed)", "92.00 % (5 seeds)", "82.86 %", "20 epochs at 32 px")
    ]


def test_points_that_lie_close_do_not_cover_each_other() -> None:
    levels = find_levels([50.0, 10.0, 51.0, 50.5, 90.0], 3.5)
    assert levels[1] == levels[4] == 0
    assert {levels[0], levels[2], levels[3]} == {-1, 0, 1}
    assert find_levels([10.0, 13.5], 3.5) == [0, 0]
