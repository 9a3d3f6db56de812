"""Whether the app's lessons show what they claim: `python -m bench.lessons`, a few minutes on two
cores.

Runs each lesson as the app does, one job after the other on the embedded sample, under five seeds.
Writes docs/lessons.json, which the app shows where nothing can run, and docs/lessons.md.
"""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from bench.jobs import fresh_folders
from bench.tables import describe_run, measured_on
from demo.gallery import Gallery
from demo.jobs.backend import SHIPPED
from demo.jobs.jobs import Jobs
from demo.jobs.store import DONE, create_token
from demo.lessons.figures import read_figures
from demo.lessons.recorded import RECORDED, Recorded, RecordedSeed
from demo.lessons.running import Picture, Recipes, find_runs, list_mistaken, plan_runs, start_runs
from demo.lessons.table import LESSONS, Lesson
from demo.uploads import encode_pixels
from demo.words import lessons as words
from trainer.checkpoint import list_names, load_predictions, load_record
from trainer.recipe import BACKBONE_OF, join_command
from trainer.wording import duration, percent

SEEDS = 5
JOB_LIMIT_S = 300


def main() -> None:
    """Measures and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=SHIPPED, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--out", type=Path, default=RECORDED, metavar="FILE")
    options = parser.parse_args()
    folder: Path = options.checkpoints.resolve()
    recipes = {name: load_record(folder, name).recipe for name in list_names(folder)}
    measured: dict[str, list[RecordedSeed]] = {name: [] for name in LESSONS}
    with fresh_folders() as home, contextlib.closing(Jobs(home / "home", folder)) as jobs:
        jobs.backend.full_data = False
        pictures = {name: list_pictures(lesson, folder) for name, lesson in LESSONS.items()}
        for seed in range(options.seeds):
            token = create_token()
            for name, lesson in LESSONS.items():
                one = run_lesson(jobs, lesson, recipes, token, seed, pictures[name])
                shown = {effect: f"{of(one.runs):+.3f}" for effect, of in lesson.effects.items()}
                print(name, seed, f"{one.seconds:.1f} s", shown, flush=True)
                measured[name].append(one)
    recorded = Recorded(
        weights_sha256=load_record(folder, BACKBONE_OF).weights_sha256,
        lessons={name: tuple(seeds) for name, seeds in measured.items()},
    )
    where = measured_on("torch", "torchvision")
    written = json.loads(recorded.model_dump_json(), parse_float=lambda x: round(float(x), 5))
    options.out.write_text(json.dumps({**where, **written}) + "\n")
    options.out.with_suffix(".md").write_text(page(where, recorded, recipes))


def list_pictures(lesson: Lesson, folder: Path) -> list[Picture]:
    """What a lesson teaches to a visitor who has taught nothing."""
    record = load_record(folder, BACKBONE_OF)
    gallery = Gallery(record.data.digest, record.data.test_count, folder)
    mistaken = list_mistaken(gallery, load_predictions(folder, record), lesson, full_data=False)
    return [(label, encode_pixels(pixels)) for label, pixels in mistaken]


def run_lesson(
    jobs: Jobs, lesson: Lesson, recipes: Recipes, token: str, seed: int, pictures: list[Picture]
) -> RecordedSeed:
    """Runs what of a lesson no other has run under this seed, and reads what both runs showed.

    Raises:
        RuntimeError: a run did not end well.
    """
    wanted = plan_runs(lesson, recipes, jobs.of_owner(token), seed)
    start_runs(jobs, wanted, token, pictures)
    jobs.wait(lambda: all(job.ended for job in jobs.of_owner(token)), JOB_LIMIT_S)
    runs, seconds = {}, 0.0
    found = find_runs(lesson, recipes, jobs.of_owner(token))
    for name in lesson.runs:
        job = found[name]
        if job.state != DONE or job.started_s is None or job.ended_s is None:
            raise RuntimeError(f"{lesson.name}, {name}: the job is {job.state}: {job.reason}")
        runs[name] = read_figures(jobs.folder(job))
        seconds += job.ended_s - job.started_s
    return RecordedSeed(seed=seed, runs=runs, seconds=seconds)


def page(where: dict[str, Any], recorded: Recorded, recipes: Recipes) -> str:
    """The results as Markdown."""
    lines = [
        "# What the lessons show",
        "",
        f"{describe_run(where, 'lessons')} Jobs on the embedded sample, as the app starts "
        "them, one at a time on half of the cores. An effect above zero is what is claimed.",
    ]
    for name, lesson in LESSONS.items():
        told, seeds = words.TOLD[name], recorded.lessons[name]
        settings = {run: lesson.settings(run, recipes) for run in lesson.runs}
        labels = {run: words.label_run(run, settings[run]) for run in lesson.runs}
        lines += ["", f"## {told.title}", ""]
        lines += [
            f"- {labels[run]}: `{join_command(one.arguments())}`" for run, one in settings.items()
        ]
        spreads = recorded.spreads(lesson)
        heads = [*(f"{label}, right on test images" for label in labels.values()), *spreads, "took"]
        lines += ["", "| seed | " + " | ".join(heads) + " |", "|" + " --- |" * (len(heads) + 1)]
        for index, one in enumerate(seeds):
            cells = [
                *(percent(one.runs[run].test_after) for run in lesson.runs),
                *(f"{spread.values[index]:+.3f}" for spread in spreads.values()),
                duration(one.seconds),
            ]
            lines.append(f"| {one.seed} | " + " | ".join(cells) + " |")
        lines += ["", words.describe_seeds(name, spreads)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
