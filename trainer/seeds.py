"""Every run behind the comparison, under whatever seed: `runs.json` beside the checkpoints.

`python -m trainer collect` writes it from folders of finished runs. It is read by the report and
the app, which say from it, where it holds enough, which of two recipes is better.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from trainer.checkpoint import list_names, load_record
from trainer.declared import describe_setting
from trainer.errors import CheckpointError, TrainingError
from trainer.files import write_file
from trainer.metrics import Overlap
from trainer.recipe import PAIRS, PRESETS, RECIPE_NAMES, Recipe
from trainer.record import Part, Record, Records
from trainer.significance import SeedTest
from trainer.wording import count, join

RUNS_FILE = "runs.json"
ENOUGH_SEEDS = 3
"""Where both of two recipes have so many, the seeds alone say which is better."""
PLAIN_PRESET = "report"
"""The plain recipe of the reference experiment."""

Evidence = Overlap | SeedTest
"""What decides between two models: the test over seeds, or else that over images."""


class FinishedRun(Part):
    """One run of a preset's recipe. Accuracies are fractions 0..1."""

    preset: str
    recipe: str
    seed: int
    epochs: int
    image_px: int
    early_px: int | None = None
    """What its first epochs saw, where that was smaller."""
    validation_accuracy: float
    test_accuracy: float
    date: str
    hardware: str
    """For people: what computed, and how many cores it had."""
    weights_sha256: str
    """Of its checkpoint: tells which run is the shipped one."""

    @property
    def length(self) -> str:
        """How long it trained, and on what: `18 epochs at 64, then 96 px`."""
        first = "" if self.early_px is None else f"{self.early_px}, then "
        return f"{count(self.epochs, 'epoch')} at {first}{self.image_px} px"


@dataclass(frozen=True)
class Spread:
    """One recipe's runs, by seed."""

    preset: str
    recipe: str
    runs: tuple[FinishedRun, ...]

    @property
    def accuracies(self) -> list[float]:
        """On the test images, 0..1."""
        return [run.test_accuracy for run in self.runs]

    @property
    def mean(self) -> float:
        """Of them."""
        return mean(self.accuracies)


class Runs(Part):
    """Runs on the same images, from the same backbone, in the order of presets, recipes, seeds."""

    format: Literal[1] = 1
    runs: tuple[FinishedRun, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs)

    def of(self, preset: str, recipe: str) -> tuple[FinishedRun, ...]:
        """The runs of one recipe, by seed."""
        return tuple(run for run in self.runs if (run.preset, run.recipe) == (preset, recipe))

    def grouped(self) -> list[list[Spread]]:
        """The recipes that have runs; in a group those that train the same layers under the same
        preset: their seeds differ by far less than presets do, and need a scale of their own."""
        spreads = [
            Spread(preset, recipe, self.of(preset, recipe))
            for preset, pair in itertools.product(PRESETS, PAIRS)
            for recipe in pair
        ]
        present = [spread for spread in spreads if spread.runs]
        return [
            list(group)
            for _, group in itertools.groupby(
                present, lambda one: (one.preset, PRESETS[one.preset][one.recipe].frozen)
            )
        ]


def load_runs(folder: Path, records: Records) -> Runs:
    """Reads `<folder>/runs.json`.

    Args:
        records: of the checkpoints there. Runs of a recipe count only where its checkpoint is one
            of them: a file that another set left behind says nothing of this one.

    Returns:
        What it holds of these recipes; nothing where there is no such file.

    Raises:
        CheckpointError: it cannot be read, or is not what `save_runs` writes.
    """
    try:
        content = (folder / RUNS_FILE).read_bytes()
        runs = Runs.model_validate_json(content).runs
    except FileNotFoundError:
        return Runs()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError("checkpoint_unreadable", file=RUNS_FILE, reason=reason) from error
    except ValidationError as error:
        raise CheckpointError("runs_damaged", file=RUNS_FILE) from error
    weights = {run.weights_sha256 for run in runs}
    known = {name for name, record in records.items() if record.weights_sha256 in weights}
    return Runs(runs=tuple(run for run in runs if run.recipe in known))


def collect_runs(folders: Sequence[Path], checkpoints: Path) -> Runs:
    """The finished runs in `folders`, the shipped ones in `checkpoints`, and those that are listed
    there already.

    The copy of a run counts once. Of a recipe whose checkpoint was replaced, the list's runs go.

    Raises:
        CheckpointError: a folder holds no run, or a record is damaged.
        TrainingError: a run is not its preset's (but for the seed), saw other images or started
            elsewhere than the shipped ones, or is another run of a seed that is there already.
    """
    found: dict[tuple[str, str, int], FinishedRun] = {}
    names = list_names(checkpoints)
    shipped = load_record(checkpoints, names[0])
    for folder in (checkpoints, *folders):
        for name in list_names(folder):
            record = load_record(folder, name)
            _refuse_other_settings(record, folder)
            if (record.data, record.backbone.sha256) != (shipped.data, shipped.backbone.sha256):
                raise TrainingError("run_started_otherwise", folder=folder, name=name)
            run = _describe_run(record)
            first = found.setdefault((run.preset, run.recipe, run.seed), run)
            if first.weights_sha256 != run.weights_sha256:
                raise TrainingError("run_twice", folder=folder, name=name, seed=run.seed)
    records = {name: load_record(checkpoints, name) for name in names}
    for run in load_runs(checkpoints, records).runs:
        found.setdefault((run.preset, run.recipe, run.seed), run)
    presets = list(PRESETS)
    return Runs(
        runs=tuple(
            found[key]
            for key in sorted(
                found, key=lambda key: (presets.index(key[0]), RECIPE_NAMES.index(key[1]), key[2])
            )
        )
    )


def save_runs(runs: Runs, folder: Path) -> Path:
    """Writes `<folder>/runs.json` and returns its path.

    Raises:
        OSError: the disk is full or read-only; an older file is then intact.
    """
    path = folder / RUNS_FILE
    write_file(path, (runs.model_dump_json(indent=1) + "\n").encode())
    return path


def weigh(first: Record, second: Record, runs: Runs, overlap: Overlap) -> Evidence:
    """What decides which of two models is better: the one answer to that question, in the report as
    on screen.

    Args:
        first: a model's record; the other's is `second`.
        runs: those of `load_runs`.
        overlap: what the two models get right of the same images.

    Returns:
        The test over seeds where both recipes have `ENOUGH_SEEDS`, else the overlap.
    """
    right = [
        tuple(
            round(run.test_accuracy * record.data.test_count)
            for run in runs.of(record.recipe.preset, record.name)
        )
        for record in (first, second)
    ]
    if first.name == second.name or min(map(len, right)) < ENOUGH_SEEDS:
        return overlap
    return SeedTest(right[0], right[1], first.data.test_count)


def find_levels(places: Sequence[float], point: float) -> list[int]:
    """How points of a strip are drawn so that none covers another, unless four lie close.

    Args:
        places: along the strip, in any order and unit.
        point: what a point takes of it.

    Returns:
        For each 0, on the strip, or -1 or 1 beside it.
    """
    last = dict.fromkeys((0, -1, 1), -math.inf)
    levels = [0] * len(places)
    for index in sorted(range(len(places)), key=places.__getitem__):
        free = [level for level, place in last.items() if places[index] - place >= point]
        levels[index] = free[0] if free else min(last, key=last.__getitem__)
        last[levels[index]] = places[index]
    return levels


def mean(values: Sequence[float]) -> float:
    """Of one value or more."""
    return sum(values) / len(values)


def _refuse_other_settings(record: Record, folder: Path) -> None:
    recipe = record.recipe
    preset = PRESETS.get(recipe.preset, {}).get(record.name)
    if preset is None:
        raise TrainingError("run_of_no_preset", folder=folder, name=record.name)
    differing = [
        describe_setting(Recipe, name).label
        for name in Recipe.model_fields
        if name != "seed" and getattr(recipe, name) != getattr(preset, name)
    ]
    if differing:
        raise TrainingError(
            "run_not_its_preset",
            folder=folder,
            name=record.name,
            preset=recipe.preset,
            settings=join(differing),
        )


def _describe_run(record: Record) -> FinishedRun:
    hardware = record.hardware
    computed = hardware.gpu or hardware.cpu
    return FinishedRun(
        preset=record.recipe.preset,
        recipe=record.name,
        seed=record.recipe.seed,
        epochs=record.recipe.epochs,
        image_px=record.recipe.image_px,
        early_px=record.recipe.early_px if record.recipe.begins_smaller else None,
        validation_accuracy=record.validation.accuracy,
        test_accuracy=record.test.accuracy,
        date=record.date,
        hardware=computed + (f", {count(hardware.cores, 'core')}" if hardware.cores else ""),
        weights_sha256=record.weights_sha256,
    )
