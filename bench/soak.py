"""What an app survives: `make soak`, ten minutes, over loopback, on Linux.

Users classify all the while, one in twenty of their requests malformed; jobs run; each minute the
process that decodes pictures and the one that trains are killed; the app is killed twice, and its
disk is full twice. Then it must turn out that nothing was lost and nothing leaked, else the exit
status is 1. One that lasts as long as it should writes docs/reliability.json and from it
docs/reliability.md, a shorter one runs/soak.json alone; `--page` writes the page alone.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.app import Server, serving
from bench.crowd import MALFORMED, PICTURES, USERS, Crowd
from bench.jobs import fresh_folders
from bench.processes import is_there, list_family, name_process, set_file_limit
from bench.reliability import (
    DECODING,
    MINUTES,
    count_faults,
    judge,
    list_left_at_home,
    list_left_of_uploads,
    page,
    read_figures,
)
from bench.tables import measured_on
from demo.gallery import EXAMPLES_DIR
from demo.jobs.limits import Limits
from demo.jobs.store import ENDED, FAILED, QUEUED, RUNNING, JobStore
from demo.server.limits import STORED_BYTES

RESULTS, PAGE = Path("docs/reliability.json"), Path("docs/reliability.md")
SHORT_RESULTS = Path("runs/soak.json")
METRICS = "/metrics"
LIVES = (0.2, 0.2)
"""Shares of the time after which the app is killed."""
FIRST_PART, LAST_PART = 0.2, 0.4
"""Of the third app, between whose ends it is compared with itself."""
KILL_EVERY_S = 60.0
KILL_SHARE = 0.6
"""Of a part of the soak that is shorter than two minutes: workers are killed once in it."""
PATIENCE_S = 120.0
LOOK_S = 0.1
SETTLING_S = 3.0
"""From the last answer until the app's figures are read: its connections close meanwhile."""
STORE = "jobs.sqlite3"
LISTED, SAID_KEPT = 20, 20_000
"""Of what is lost, and characters of what the apps said: enough to begin looking."""


def main() -> None:
    """Soaks, unless told not to, rewrites the page, and tells what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N")
    parser.add_argument("--page", action="store_true", help="soak nothing")
    options = parser.parse_args()
    written = SHORT_RESULTS if options.minutes < MINUTES else RESULTS
    if not options.page:
        with fresh_folders() as folder:
            soak = Soak(folder, 60 * options.minutes)
            results = soak.run()
        if judge(results):
            print("".join(soak.said)[-SAID_KEPT:], file=sys.stderr)
        written.parent.mkdir(exist_ok=True)
        written.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(written.read_text())
    if written == RESULTS:
        PAGE.write_text(page(results))
    faults = judge(results)
    print(*(faults or ["Nothing was lost, and nothing leaked."]), sep="\n")
    sys.exit(bool(faults))


class Soak:
    """One soak, of three apps in the same folders."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """
        Args:
            folder: with `home` and `cache`, as the environment has it.
            seconds: of work; starts, rests and the end come on top.
        """
        self._seconds, self._crowd = seconds, Crowd()
        self._home, self._uploads = folder / "home", folder / "uploads"
        self._temporary = folder / "temporary"
        self._temporary.mkdir()
        os.environ |= {
            "GRADIO_TEMP_DIR": str(self._uploads),
            "TMPDIR": str(self._temporary),
            "QUARTET_METRICS": METRICS,
        }
        self.said: list[str] = []
        """What the apps wrote on standard error."""
        self._killed: Counter[str] = Counter()
        self._starts_s: list[float] = []
        self._started: list[psutil.Process] = []
        """All that was found of the processes of apps that are gone."""
        self._rests: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Everything, in its order; the results."""
        crowd, start = self._crowd, time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            self._asking = pool.submit(asyncio.run, crowd.ask())
            try:
                self._run_apps()
            finally:
                crowd.working, crowd.over = False, True
            self._asking.result(PATIENCE_S)
        wait_until(lambda: not any(map(is_there, self._started)))
        return self._tell(time.monotonic() - start)

    def _run_apps(self) -> None:
        """One after the other, as they are killed."""
        for number, share in enumerate(LIVES):
            with self._living() as server:
                self._work(share * self._seconds)
                if number:
                    self._fill_uploads()
                self._kill(server)
        with self._living() as server:
            self._work(FIRST_PART * self._seconds)
            self._rest(server)
            self._work(LAST_PART / 2 * self._seconds)
            self._fill_disk(server)
            self._work(LAST_PART / 2 * self._seconds)
            self._rest(server)
            self._started += list_family(server)

    @contextlib.contextmanager
    def _living(self) -> Iterator[Server]:
        """An app that answers, and a crowd that asks it."""
        crowd = self._crowd
        with (
            reading(self.said) as errors,
            serving("ours", (EXAMPLES_DIR / PICTURES[0]).read_bytes(), errors) as server,
        ):
            self._starts_s.append(server.start_s)
            crowd.url, crowd.full = server.url, False
            crowd.life, crowd.up = crowd.life + 1, True
            if crowd.life == 1:
                crowd.learn()
            crowd.working = True
            yield server
            crowd.up = False

    def _work(self, seconds: float) -> None:
        """Lets the crowd ask, and kills workers meanwhile."""
        self._crowd.working = True
        every = min(KILL_EVERY_S, KILL_SHARE * seconds)
        end, due = time.monotonic() + seconds, time.monotonic() + every
        while time.monotonic() < end:
            time.sleep(LOOK_S)
            if self._asking.done():
                self._asking.result()  # the crowd met a fault of its own
            if time.monotonic() >= due:
                self._kill_workers()
                due += every

    def _kill_workers(self) -> None:
        """Kills a process that decodes, and the one that trains, once there is one."""
        me = psutil.Process()
        for child in me.children(recursive=True):
            if name_process(child) == DECODING:
                child.kill()
                self._killed["decoding"] += 1
                break
        if wait_until(lambda: bool(self._list_jobs(RUNNING, "process"))):
            for process in self._list_jobs(RUNNING, "process"):
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended in this moment
                    psutil.Process(int(process.split()[0])).kill()
                    self._killed["training"] += 1

    def _kill(self, server: Server) -> None:
        """Ends an app as the system does it, without a word; what it started must end by itself."""
        self._started += list_family(server)
        self._crowd.up = False
        server.process.kill()
        self._killed["app"] += 1

    def _fill_uploads(self) -> None:
        """Has the folder of uploads hold as much as it may until an upload is declined. The file
        that does it takes no room: none of its bytes was ever written."""
        crowd, path = self._crowd, self._uploads / "of-no-content"
        crowd.full, before = True, crowd.declined["uploads"]
        with path.open("wb") as file:
            file.truncate(STORED_BYTES)
        wait_until(lambda: crowd.declined["uploads"] > before)
        path.unlink()

    def _fill_disk(self, server: Server) -> None:
        """No file grows any more, whichever of the app's processes writes, until an upload and a
        job were declined; then all is as it was."""
        crowd, before = self._crowd, Counter(self._crowd.declined)
        crowd.full = True

        def is_declined() -> bool:
            for process in list_family(server):  # new ones among them
                set_file_limit(process, 0)
            return all(crowd.declined[what] > before[what] for what in ("uploads", "jobs"))

        wait_until(is_declined)
        set_file_limit(server.process, None)
        for process in list_family(server):
            set_file_limit(process, None)
        crowd.full = False

    def _rest(self, server: Server) -> None:
        """Measures the app while nobody asks and no job runs."""
        crowd = self._crowd
        crowd.working = False
        wait_until(
            lambda: not (crowd.active or self._list_jobs(QUEUED) or self._list_jobs(RUNNING)),
            PATIENCE_S + Limits().wall_s,  # a job whose start was not answered runs to its end
        )
        time.sleep(SETTLING_S)
        figures = read_figures(httpx.get(server.url + METRICS).text)
        named = Counter(map(name_process, list_family(server)))
        self._rests.append(
            {"figures": figures, "family_bytes": server.memory_bytes(), "processes": dict(named)}
        )

    def _list_jobs(self, state: str, column: str = "id") -> list[str]:
        """A column of the jobs in a state, read beside the app."""
        uri = f"file:{self._home / STORE}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE_S)) as store:
            rows = store.execute(f"SELECT {column} FROM jobs WHERE state = ?", (state,)).fetchall()
        return [value for (value,) in rows if value is not None]

    def _tell(self, took_s: float) -> dict[str, Any]:
        """The results."""
        tally = self._crowd.tally
        with contextlib.closing(JobStore(self._home / STORE)) as store:
            jobs = [vars(job) for job in store.in_state(QUEUED, RUNNING, *ENDED)]
        ids = {job["id"] for job in jobs}
        requests: dict[str, dict[str, int]] = {}
        for (title, outcome), count in sorted(tally.counts.items(), key=str):
            requests.setdefault(title, {})[outcome.value] = count
        said = "".join(self.said)
        return {
            **measured_on("torch", "gradio", "pillow"),
            "minutes": self._seconds / 60,
            "took_s": took_s,
            "users": USERS,
            "malformed": MALFORMED,
            "requests": requests,
            "lost": tally.lost[:LISTED],
            "p50_s": statistics.median(tally.seconds),
            "p95_s": statistics.quantiles(tally.seconds, n=20)[-1],
            "difference": tally.difference,
            "killed": dict(self._killed),
            "starts_s": self._starts_s,
            "answered_while_full": tally.answered_while_full,
            "declined_for_room": dict(self._crowd.declined),
            "jobs": dict(Counter(job["state"] for job in jobs)),
            "reasons": dict(Counter(job["reason"] for job in jobs if job["reason"])),
            "unexplained_jobs": [
                job["id"] for job in jobs if job["state"] == FAILED and not job["reason"]
            ],
            "lost_jobs": sorted(set(tally.jobs) - ids),
            "rests": self._rests,
            "outlived": sum(map(is_there, self._started)),
            "left": [
                *list_left_at_home(list_files(self._home), ids),
                *list_left_of_uploads(list_files(self._uploads)),
                *list_files(self._temporary),
            ],
            "faults_said": count_faults(said),
        }


@contextlib.contextmanager
def reading(said: list[str]) -> Iterator[int]:
    """A file descriptor to write to; what is written is kept."""
    ours, theirs = os.pipe()

    def read() -> None:
        with open(ours, errors="replace") as lines:
            said.extend(lines)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        thread.join(PATIENCE_S)


def wait_until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Waits for what only looking tells; False where it does not come."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True


def list_files(folder: Path) -> list[str]:
    """All files below a folder, by their paths in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
