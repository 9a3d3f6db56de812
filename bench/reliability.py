"""Judges what a soak measured, and writes the page about it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from bench.crowd import UPLOADED
from bench.tables import describe_run
from bench.verdicts import SAME, Outcome
from demo.jobs.backend import NAME
from demo.jobs.store import DONE, QUEUED, RUNNING, STOPPED
from trainer.decoding import CHILDREN
from trainer.wording import count, duration, percent

MINUTES = 10
"""That a soak should last."""
DECODING, TRAINING, GONE = "decoding", "training", "gone"
PROCESSES = {"app": 1, DECODING: CHILDREN + 1, TRAINING: 1, GONE: 1}
"""That an app at rest may have: a spare for decoding, one that waits for a job."""
MEMORY_GROWTH = 0.1
"""Share by which an app may be larger after more of the same."""
GROWTH = {"open_files": 8, "threads": 8}
"""By how much they may: pools fill up."""
HELD = ("bodies_bytes", "classify_inside", "classify_waiting", "pictures_waiting", "queue_waiting",
        "working", "jobs_running", "jobs_waiting")  # fmt: skip
"""Figures that are 0 while nobody asks."""
AT_HOME = re.compile(r"jobs\.sqlite3|secret|\.lock(-holder)?")
UNFINISHED = re.compile(r"(^|/)\.|\.state$")
"""Files of a job that a job which has ended does not leave."""
UPLOAD = re.compile(
    rf"[0-9a-f]+/({UPLOADED}\d+\.png|picture|image\.png|README\.md|{NAME}\.safetensors)|tmp\w{{8}}"
)
"""What visitors uploaded or began to, the picture that the page opens with, and the copies of a
job's model that its page offers. All are swept by age."""


def read_figures(text: str) -> dict[str, float]:
    """Gauges of a page of Prometheus figures, without their `quartet_`."""
    return {
        name: float(value)
        for name, value in re.findall(r"^quartet_(\w+) (\S+)$", text, re.MULTILINE)
    }


def list_left_at_home(files: Iterable[str], jobs: Set[str]) -> list[str]:
    """Files that an app which has ended should not have left in its home.

    Args:
        files: their paths in it.
        jobs: ids of the jobs in its store.
    """

    def belongs(path: str) -> bool:
        top, _, rest = path.partition("/")
        job, _, name = rest.partition("/")
        if top == "jobs":
            return job in jobs and not UNFINISHED.search(name)
        return bool(AT_HOME.fullmatch(path))

    return [path for path in files if not belongs(path)]


def list_left_of_uploads(files: Iterable[str]) -> list[str]:
    """Files in the folder of uploads that are neither an upload nor offered to a visitor."""
    return [path for path in files if not UPLOAD.fullmatch(path)]


def count_faults(said: str) -> int:
    """Faults of its own in what an app wrote on standard error. Not those that Python ignores while
    it tidies up: Gradio's file for an upload says so when it cannot be written to its end."""
    ignored = re.sub(r"^Exception ignored in.*\nTraceback", "", said, flags=re.MULTILINE)
    return ignored.count("Traceback")


def judge(results: Mapping[str, Any]) -> list[str]:
    """What was lost or has leaked, a sentence each; nothing where nothing was."""
    return [*_list_lost(results), *_list_leaked(results)]


def _list_lost(results: Mapping[str, Any]) -> Iterator[str]:
    lost = _count(results, Outcome.LOST)
    if lost:
        yield f"{lost:,} requests were lost, such as {results['lost'][0]}"
    if results["difference"] > SAME:
        yield f"Answers to one picture differ by {results['difference']:.2g}."
    if results["lost_jobs"]:
        yield f"{len(results['lost_jobs'])} jobs were started and are not in the store."
    if results["unexplained_jobs"]:
        yield f"{len(results['unexplained_jobs'])} jobs failed and do not say why."
    for state in (QUEUED, RUNNING):
        if results["jobs"].get(state):
            yield f"{results['jobs'][state]} jobs are {state} in the end."
    for what, least in (("decoding", 1), ("training", 1), ("app", 2)):
        if results["killed"].get(what, 0) < least:
            yield f"Fewer than {least} processes were killed that are for {what}."
    if not set(results["jobs"]) & {DONE, STOPPED}:
        yield "No job ended well."
    if not results["answered_while_full"]:
        yield "No picture was answered while the disk was full."
    for what in ("uploads", "jobs"):
        if not results["declined_for_room"].get(what):
            yield f"No {what} were declined while the disk was full."
    if results["faults_said"]:
        yield f"The app logged {results['faults_said']} faults of its own."


def _list_leaked(results: Mapping[str, Any]) -> Iterator[str]:
    first, last = results["rests"]
    before, after = (rest["figures"] for rest in (first, last))
    growth = after["memory_bytes"] / before["memory_bytes"] - 1
    if growth > MEMORY_GROWTH:
        yield f"Memory grew by {percent(growth)}."
    for name, most in GROWTH.items():
        if after.get(name, 0) - before.get(name, 0) > most:
            yield f"{name}: {before[name]:.0f} became {after[name]:.0f}."
    for name in HELD:
        if after[name]:
            yield f"{name} is {after[name]:.0f} at rest."
    for name, number in last["processes"].items():
        if number > PROCESSES.get(name, 0):
            yield f"{number} processes at rest: {name}."
    if results["outlived"]:
        yield f"{results['outlived']} processes outlived their app."
    if results["left"]:
        yield f"{len(results['left'])} files were left, such as {results['left'][0]}."


def _count(results: Mapping[str, Any], outcome: Outcome) -> int:
    return sum(counts.get(outcome.value, 0) for counts in results["requests"].values())


def page(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    faults = judge(results)
    lines = [
        "# What it survives",
        "",
        f"{describe_run(results, 'soak')} The soak was one of {_tell_minutes(results)}; with "
        f"starts, rests and the end it took {duration(results['took_s'])}.",
        "",
        *([f"- {fault}" for fault in faults] or ["**Nothing was lost, and nothing leaked.**"]),
        "",
        "## What was done to it",
        "",
        *_tell_deeds(results),
        "",
        "## What became of the requests",
        "",
        *_tabulate_requests(results),
        "",
        f"Pictures were answered in {1e3 * results['p50_s']:.0f} ms in the median, 95 of 100 "
        f"within {1e3 * results['p95_s']:.0f} ms, by an app that shared the machine with who "
        f"asked and with a job. Answers to one picture differed by {results['difference']:.1g} at "
        f"most, of probabilities between 0 and 1; {SAME:g} is allowed.",
        "",
        "## What became of the jobs",
        "",
        *(f"- {state}: {count}" for state, count in results["jobs"].items()),
        "",
        "What those said that did not end by themselves:",
        "",
        *(f"- {count} x: {reason}" for reason, count in results["reasons"].items()),
        "",
        "## What it held",
        "",
        *_tabulate_rests(results),
    ]
    return "\n".join(lines) + "\n"


def _tell_minutes(results: Mapping[str, Any]) -> str:
    told = count(round(results["minutes"]), "minute")
    if results["minutes"] < MINUTES:
        return f"{told}, shorter than the {MINUTES} that it should last"
    return told


def _tell_deeds(results: Mapping[str, Any]) -> Iterator[str]:
    killed, declined = results["killed"], results["declined_for_room"]
    starts = ", ".join(f"{seconds:.1f}" for seconds in results["starts_s"])
    asked = sum(sum(counts.values()) for counts in results["requests"].values())
    yield from (
        f"- {results['users']} users, each from an address of its own, asked `/v1/classify` one "
        f"request after the other, {percent(results['malformed'], 0)} of them malformed; one more "
        f"uploaded files, and one started jobs through the page's form: {asked:,} requests.",
        f"- Killed were, one at a time, {killed.get('decoding', 0)} processes that decoded "
        f"pictures and {killed.get('training', 0)} that trained.",
        f"- The app was killed {killed.get('app', 0)} times and started again; from each start to "
        f"the first answer it took {starts} s.",
        f"- The folder of uploads was filled to its mark, and then no file of the app could grow, "
        f"as on a full disk: {count(declined.get('uploads', 0), 'upload')} and "
        f"{count(declined.get('jobs', 0), 'job')} were declined in one sentence, and "
        f"{count(results['answered_while_full'], 'picture')} answered meanwhile.",
    )


def _tabulate_requests(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"| request | {' | '.join(outcome.value for outcome in Outcome)} |"
    yield "| --- |" + " --- |" * len(Outcome)
    for title, counts in results["requests"].items():
        cells = " | ".join(f"{counts.get(outcome.value, 0):,}" for outcome in Outcome)
        yield f"| {title} | {cells} |"


def _tabulate_rests(results: Mapping[str, Any]) -> Iterator[str]:
    """The third app, while nobody asked and no job ran."""
    first, last = results["rests"]
    yield "The app that was started last, at rest: after its first part, and in the end."
    yield from ("", "| figure | before | in the end |", "| --- | --- | --- |")
    for title, name, scale, unit in (
        ("memory of the app", "memory_bytes", 1e-6, " MB"),
        ("open files", "open_files", 1, ""),
        ("threads", "threads", 1, ""),
    ):
        cells = (f"{rest['figures'][name] * scale:,.0f}{unit}" for rest in (first, last))
        yield f"| {title} | {' | '.join(cells)} |"
    cells = (f"{rest['family_bytes'] / 1e6:,.0f} MB" for rest in (first, last))
    yield f"| memory with all its processes | {' | '.join(cells)} |"
    for name in PROCESSES:
        counts = [rest["processes"].get(name, 0) for rest in (first, last)]
        if any(counts):
            yield f"| processes: {name} | {counts[0]} | {counts[1]} |"
    yield ""
    yield (
        f"{results['outlived']} processes outlived their app, and {len(results['left'])} files "
        f"were left that no visitor could still want."
    )
