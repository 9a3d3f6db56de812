"""How many visitors a machine carries: `make scaling`, about three minutes.

Runs the app on one core, then on two, asks it as fast as it answers, and writes docs/scaling.json
and from it docs/scaling.md, with the arithmetic. `--page` writes the page alone, from the files
that are there.
"""

import argparse
import asyncio
import json
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench import app as app_bench
from bench.app import ASK, USERS, ask_at_once, ask_in_turn, serving
from bench.tables import measured_on
from demo.gallery import EXAMPLES_DIR
from demo.jobs.limits import Limits
from trainer.wording import percent

RESULTS, PAGE = Path("docs/scaling.json"), Path("docs/scaling.md")
CORES = (1, 2)
HEADROOM = 0.5
"""Share of a machine's rate that is planned with: questions come in bursts, and jobs take cores."""
QUESTION_S = 10.0
"""Between two questions of a visitor who plays with the app. An assumption, no measurement."""
SPACE_CORES, SPACE_BYTES = 2, 16e9
"""Of a Space on CPU basic."""


def main() -> None:
    """Measures, unless told not to, and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    options = parser.parse_args()
    if not options.page:
        RESULTS.write_text(json.dumps(measure(options.repeats), indent=1) + "\n")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else None
    PAGE.write_text(page(results, json.loads(app_bench.RESULTS.read_text())))


def measure(repeats: int) -> dict[str, Any]:
    """Requests a second and memory of the app alone, on so many cores."""
    content = (EXAMPLES_DIR / "cat-test.png").read_bytes()
    available = sorted(os.sched_getaffinity(0))
    runs = []
    for _ in range(repeats):
        for count in CORES:
            if count > len(available):
                continue
            with serving("ours", content) as server:
                pin(server.process, available[:count])
                asyncio.run(ask_in_turn(server.url, ASK["ours"], content, 50))
                answered = asyncio.run(ask_at_once(server.url, ASK["ours"], content))
                memory = server.memory_bytes()
            runs.append({"cores": count, "memory_bytes": memory, **answered})
    return {
        **measured_on("torch", "gradio", "pillow"),
        "cores_of_the_machine": len(available),
        "users": USERS,
        "runs": runs,
    }


def pin(process: psutil.Process, cores: Sequence[int]) -> None:
    """Keeps a process, its threads and its children to some cores."""
    for member in (process, *process.children(recursive=True)):
        for thread in member.threads():
            os.sched_setaffinity(thread.id, cores)


def page(results: dict[str, Any] | None, app: dict[str, Any]) -> str:
    """The page. Where nothing was measured for it yet, it plans with the benchmark of the app, on
    whose cores client and peer ran too."""
    lines = [
        "# How many visitors it carries",
        "",
        "Written by `make scaling`; no figure is typed in.",
        "",
        "## What was measured",
        "",
    ]
    if results is None:
        ours = [run["ours"] for run in app["runs"]]
        rate = statistics.median(run["requests_per_s"] for run in ours)
        memory = statistics.median(run["memory_bytes"] for run in ours)
        cores = int(app["hardware"]["cores"])
        lines.append(
            f"The app alone on one and two cores has not been measured yet. Until then this page "
            f"takes the figures of [the app's benchmark](app-benchmarks.md), {app['date']}: "
            f"{rate:.1f} requests/s with {app_bench.USERS} users at once on {cores} cores, which "
            f"the client shares, and {memory / 1e6:,.0f} MB."
        )
    else:
        rate, memory, cores = summarise(results)
        lines += table(results)
    lines += ["", *plan(rate / cores, memory)]
    return "\n".join(lines) + "\n"


def summarise(results: dict[str, Any]) -> tuple[float, float, int]:
    """Median requests a second and memory on the most cores measured, and how many those are."""
    cores = max(run["cores"] for run in results["runs"])
    runs = [run for run in results["runs"] if run["cores"] == cores]
    rate = statistics.median(run["requests_per_s"] for run in runs)
    return rate, statistics.median(run["memory_bytes"] for run in runs), cores


def table(results: dict[str, Any]) -> Iterator[str]:
    """What was measured, a row a number of cores."""
    hardware = results["hardware"]
    yield (
        f"{results['date']}: {hardware['cpu']}, of which the app had so many cores and the client "
        f"of {results['users']} users the machine's {results['cores_of_the_machine']}."
    )
    yield from ("", "| cores | requests/s | failed | memory |", "| --- | --- | --- | --- |")
    for cores in sorted({run["cores"] for run in results["runs"]}):
        runs = [run for run in results["runs"] if run["cores"] == cores]
        rate = statistics.median(run["requests_per_s"] for run in runs)
        memory = statistics.median(run["memory_bytes"] for run in runs)
        failed = sum(run["failed"] for run in runs)
        yield f"| {cores} | {rate:.1f} | {failed:.0f} | {memory / 1e6:,.0f} MB |"


def plan(rate_a_core: float, memory_bytes: float) -> Iterator[str]:
    """What follows for a Space on CPU basic, and what to do past it."""
    rate = rate_a_core * SPACE_CORES * HEADROOM
    jobs_an_hour = 3600 / Limits().wall_s
    yield from (
        "## What CPU basic carries",
        "",
        f"- A core answers {rate_a_core:.1f} requests/s.",
        f"- {SPACE_CORES} cores, of which {percent(HEADROOM, 0)} is planned with: "
        f"{rate_a_core:.1f} x {SPACE_CORES} x {HEADROOM} = {rate:.1f} requests/s.",
        f"- A visitor who asks every {QUESTION_S:.0f} s (an assumption) takes "
        f"{1 / QUESTION_S:.1f} requests/s: {rate:.1f} / {1 / QUESTION_S:.1f} = "
        f"{rate * QUESTION_S:.0f} visitors at the same time.",
        f"- Memory is not what limits it: {memory_bytes / 1e9:.1f} GB of "
        f"{SPACE_BYTES / 1e9:.0f} GB, and a job may add {Limits().memory_bytes / 1e9:.1f} GB.",
        f"- Jobs run {Limits().running} at a time and may take {Limits().wall_s:.0f} s each: at "
        f"least 3,600 / {Limits().wall_s:.0f} = {jobs_an_hour:.0f} an hour.",
        "",
        "These are the rates of the machine measured; a Space's cores may be slower.",
        "",
        "## Past that",
        "",
        "| what is short | what to do |",
        "| --- | --- |",
        "| answers | more cores (`cpu-upgrade`), or more Spaces: each holds all it needs |",
        "| jobs | `QUARTET_JOBS_REPO`: they run on Hugging Face Jobs, one machine a job |",
        "| time of a job | a GPU: ZeroGPU for a job that asks, or a Space with one of its own |",
        "| training the four | `torchrun --nproc-per-node N -m trainer train`, several GPUs |",
        "",
        "Two apps cannot share one `QUARTET_HOME`: the second is refused, and told who has it.",
    )


if __name__ == "__main__":
    main()
