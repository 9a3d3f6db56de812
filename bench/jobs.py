"""How long fine-tuning jobs take on this machine, and what they cost who asks meanwhile:
`python -m bench.jobs`, about five minutes on two cores.

Jobs train on the embedded sample, in fresh folders each time. Writes docs/job-benchmarks.json and
docs/job-benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.app import ASK, REQUESTS, WARM_UP_REQUESTS, Server, ask_alternately, ask_in_turn, serving
from bench.tables import describe_run, measured_on, spread
from demo.gallery import EXAMPLES_DIR
from demo.jobs.backend import EVENTS, SHIPPED
from demo.jobs.jobs import Jobs
from demo.jobs.store import DONE, Job, create_token
from demo.tabs.job_view import WATCHED_S
from trainer.events import Event, RunStarted, StepSummary, read_events
from trainer.recipe import JobSettings
from trainer.short_run import settings_like_start

RESULTS = Path("docs/job-benchmarks.json")
PAGE = Path("docs/job-benchmarks.md")
IMAGES, EVALUATED = 2000, 1000
LAST_LAYER, EVERYTHING = (
    settings_like_start(start, SHIPPED, images=IMAGES, evaluated=EVALUATED)
    for start in ("sgd_frozen", "sgd_full")
)
THROW_AWAY = LAST_LAYER.changed(images=64, evaluated=20)
"""Leaves no features behind that a case would find."""
ENDLESS = EVERYTHING.changed(epochs=1000)
CASES = (
    ("one more epoch of the last layer, first time", "last_layer", LAST_LAYER, 5),
    ("the same again, its features kept", "last_layer_again", LAST_LAYER, 5),
    (f"one epoch of everything, at {EVERYTHING.image_px} px", "everything", EVERYTHING, 30),
)
"""Title, key, settings, and the aim for its end in seconds."""
FIRST_PROGRESS_AIM_S = 3
SLOWDOWN_AIM = 2
JOB_LIMIT_S = 300
PHASES = ("idle", "busy", "idle_again")
QUIET_S = 1
"""A process that used less than a twentieth of a core for so long has nothing left to import."""


def main() -> None:
    """Measures and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    options = parser.parse_args()
    runs = []
    for _ in range(options.repeats):
        with fresh_folders() as folder:
            run: dict[str, Any] = {
                "jobs": {
                    **time_warm_jobs(folder / "warm"),
                    "cold": time_cold_job(folder / "cold"),
                },
                "classify": time_requests(folder / "beside"),
            }
        print(json.dumps(run), flush=True)
        runs.append(run)
    results = {
        **measured_on("torch", "torchvision", "gradio"),
        "repeats": options.repeats,
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results))


@contextlib.contextmanager
def fresh_folders() -> Iterator[Path]:
    """Gives this process and its children a home and a cache of their own, and no full data set."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"QUARTET_HOME": str(folder / "home"), "QUARTET_CACHE": str(folder / "cache")}
        os.environ.pop("QUARTET_DATA", None)
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextlib.contextmanager
def open_jobs(home: Path) -> Iterator[Jobs]:
    """The app's jobs, on the embedded sample even where the Hub's cache holds the full data."""
    with contextlib.closing(Jobs(home, SHIPPED)) as jobs:
        jobs.backend.full_data = False
        yield jobs


def time_warm_jobs(home: Path) -> dict[str, dict[str, float]]:
    """Every case, each with a process that waits for it."""
    with open_jobs(home) as jobs:
        jobs.prepare()
        time_job(jobs, THROW_AWAY)
        timed = {}
        for _, key, settings, _ in CASES:
            wait_until_warm()
            timed[key] = time_job(jobs, settings)
    return timed


def time_cold_job(home: Path) -> dict[str, float]:
    """The first case where no process waits. Decoded data and features are kept."""
    with open_jobs(home) as jobs:
        return time_job(jobs, LAST_LAYER)


def time_job(jobs: Jobs, settings: JobSettings) -> dict[str, float]:
    """Runs a job; seconds from asking for it, and how many images it had.

    Raises:
        RuntimeError: it did not end well.
    """
    token = create_token()
    start_s = time.time()
    job = jobs.start(settings, token)
    jobs.wait(lambda: find(jobs, job, token).ended, JOB_LIMIT_S)
    end_s = time.time()
    ended = find(jobs, job, token)
    if ended.state != DONE:
        raise RuntimeError(f"the job is {ended.state}: {ended.reason}")
    events = list(read_events(jobs.folder(job) / EVENTS))
    started = next(event for event in events if isinstance(event, RunStarted))
    return {
        "first_event_s": events[0].time_s - start_s,
        "first_progress_s": next(filter(is_progress, events)).time_s - start_s,
        "end_s": end_s - start_s,
        "train_count": started.train_count,
        "validation_count": started.validation_count,
        "test_count": started.test_count,
    }


def time_requests(home: Path) -> dict[str, dict[str, float]]:
    """Latencies of `/classify` while nothing else runs, beside a job, and after it."""
    picture = (EXAMPLES_DIR / "cat-test.png").read_bytes()
    with serving("ours", picture) as server, open_jobs(home) as jobs:
        asyncio.run(ask_in_turn(server.url, ASK["ours"], picture, WARM_UP_REQUESTS))
        timed = {"idle": time_asking(server, picture)}
        token = create_token()
        job = jobs.start(ENDLESS, token)
        wait_until(lambda: jobs.watch(job).summary is not None)
        timed["busy"] = time_asking(server, picture)
        if find(jobs, job, token).ended:
            raise RuntimeError("the job ended before the requests did")
        jobs.delete(job.id, token)
        wait_until(lambda: not jobs.folder(job).exists())
        wait_until_warm()
        timed["idle_again"] = time_asking(server, picture)
    return timed


def time_asking(server: Server, picture: bytes) -> dict[str, float]:
    """Median and 95th percentile of one user's requests."""
    seconds = asyncio.run(ask_alternately({"ours": server.url}, picture))["ours"]
    return {
        "p50_s": statistics.median(seconds),
        "p95_s": statistics.quantiles(seconds, n=20)[-1],
    }


def find(jobs: Jobs, job: Job, token: str) -> Job:
    """The job as it is now."""
    found = jobs.find(job.id, token)
    assert found
    return found


def is_progress(event: Event) -> bool:
    """True for what moves the progress bar."""
    return isinstance(event, StepSummary)


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what only a file or the process table tells.

    Raises:
        TimeoutError: it did not come in time.
    """
    deadline = time.monotonic() + JOB_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {JOB_LIMIT_S} s")
        time.sleep(0.05)


def wait_until_warm() -> None:
    """Waits until the processes we started, spare ones among them, have nothing more to do."""

    def is_quiet() -> bool:
        before = cpu_s()
        time.sleep(QUIET_S)
        return cpu_s() - before < QUIET_S / 20

    time.sleep(QUIET_S)
    wait_until(is_quiet)


def cpu_s() -> float:
    """CPU seconds of our child processes."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return float(sum(spent.user + spent.system for spent in times))


def page(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    runs = results["runs"]
    had = runs[0]["jobs"]["last_layer"]

    def seconds(key: str, figure: str) -> str:
        return spread([run["jobs"][key][figure] for run in runs], "{:.2f}") + " s"

    lines = [
        "# Benchmarks of fine-tuning jobs",
        "",
        f"{describe_run(results)} Jobs on the embedded sample, {results['repeats']} times over "
        f"with fresh folders. A job asks for {IMAGES:,} training images; the sample has fewer, "
        f"about a tenth of them is held out, and the jobs had {had['train_count']:,}, measured on "
        f"{had['validation_count']:,} validation and {had['test_count']:,} test images. A job uses "
        f"half of the cores, at a lower priority than the app. Given are median and, in brackets, "
        f"minimum and maximum of the repeats.",
        "",
        "## How long a job takes",
        "",
        f"From asking for the job, while a process waits for it, to the first event in its file, "
        f"to its first step of progress, and to its end. The aims: first progress under "
        f"{FIRST_PROGRESS_AIM_S} s, and the end as in the last column. The screen looks every "
        f"{WATCHED_S:g} s, which comes on top (`WATCHED_S` in "
        f"[demo/tabs/job_view.py](../demo/tabs/job_view.py)).",
        "",
        "| job | first event | first progress | end | aim |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, key, _, aim_s in CASES:
        figures = ("first_event_s", "first_progress_s", "end_s")
        cells = " | ".join(seconds(key, figure) for figure in figures)
        lines.append(f"| {title} | {cells} | under {aim_s} s |")
    ratios = [
        run["jobs"]["cold"]["first_event_s"] / run["jobs"]["last_layer"]["first_event_s"]
        for run in runs
    ]
    lines += [
        "",
        f"Where no process waits, as for the first job of an app that was not prepared, the first "
        f"event comes after {seconds('cold', 'first_event_s')}: {spread(ratios, '{:.1f}x')} of "
        f"the time with one.",
        "",
        "## What a job costs who asks meanwhile",
        "",
        f"`/classify` with a small PNG, {REQUESTS} requests by one user: before, beside a job that "
        f"trains all layers, and after it. The ratio is to the mean of before and after. The aim: "
        f"the 95th percentile beside a job under {SLOWDOWN_AIM}x.",
        "",
        "| figure | before | beside a job | after | beside / idle |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, figure in (("median", "p50_s"), ("95th percentile", "p95_s")):
        asked = [{phase: run["classify"][phase][figure] for phase in PHASES} for run in runs]
        cells = " | ".join(
            spread([times[phase] * 1e3 for times in asked], "{:.1f}") + " ms" for phase in PHASES
        )
        slowdowns = [2 * t["busy"] / (t["idle"] + t["idle_again"]) for t in asked]
        lines.append(f"| {title} | {cells} | {spread(slowdowns, '{:.2f}x')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
