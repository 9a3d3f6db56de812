"""Our app against a plain one (`bench/peer.py`), side by side in one run, over loopback:
`python -m bench.app`, about ten minutes on two cores.

A request is what a client of Gradio's HTTP API does: upload the picture, call `/classify`, read
the answer; and, of ours, one request to `/v1/classify`. Writes docs/app-benchmarks.json and
docs/app-benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from bench.tables import describe_run, measured_on, spread
from demo.gallery import EXAMPLES_DIR

RESULTS = Path("docs/app-benchmarks.json")
PAGE = Path("docs/app-benchmarks.md")
SERVERS = {"ours": ["app.py"], "peer": ["-m", "bench.peer"]}
ONE_REQUEST = "ours, /v1"
"""Our app asked in one request."""
START_LIMIT_S = 120
WARM_UP_REQUESTS = 50
Runs = list[dict[str, dict[str, float]]]
"""Each repeat's figures of each of `ASK`'s ways."""
REQUESTS = 100
"""Requests a case, one after the other."""
USERS, REQUESTS_PER_USER = 32, 20
GROWTH_REQUESTS = 2_000


@dataclass
class Server:
    """A running app."""

    url: str
    process: psutil.Process
    start_s: float
    """From starting the process to its first answer."""

    def memory_bytes(self) -> int:
        """Resident memory of the process and its children."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in family)


def main() -> None:
    """Measures and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    options = parser.parse_args()
    small = (EXAMPLES_DIR / "cat-test.png").read_bytes()
    large = photograph()
    runs: Runs = []
    for _ in range(options.repeats):
        run: dict[str, dict[str, float]] = {}
        with contextlib.ExitStack() as running:
            servers = {name: running.enter_context(serving(name, small)) for name in SERVERS}
            for name, server in servers.items():
                run[name] = {"start_s": server.start_s}
                asyncio.run(ask_in_turn(server.url, ASK[name], small, WARM_UP_REQUESTS))
            run[ONE_REQUEST] = {}
            urls = {name: server.url for name, server in servers.items()}
            urls[ONE_REQUEST] = urls["ours"]
            for case, content in (("small_png", small), ("phone_jpeg", large)):
                latencies = asyncio.run(ask_alternately(urls, content))
                for name, seconds in latencies.items():
                    run[name] |= {
                        f"{case}_p50_s": statistics.median(seconds),
                        f"{case}_p95_s": statistics.quantiles(seconds, n=20)[-1],
                    }
            for name, server in servers.items():
                run[name]["memory_bytes"] = server.memory_bytes()
            for name, url in urls.items():
                run[name] |= asyncio.run(ask_at_once(url, ASK[name], small))
            before = servers["ours"].memory_bytes()
            asyncio.run(ask_in_turn(urls["ours"], ASK["ours"], small, GROWTH_REQUESTS))
            run["ours"]["growth_bytes"] = servers["ours"].memory_bytes() - before
        print(json.dumps(run), flush=True)
        runs.append(run)
    results = {
        **measured_on("torch", "torchvision", "gradio", "pillow"),
        "repeats": options.repeats,
        "photograph_bytes": len(large),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results))


@contextlib.contextmanager
def serving(name: str, picture: bytes, errors: int | None = None) -> Iterator[Server]:
    """Starts an app on a free port, waits for its first answer, and ends it.

    Args:
        errors: a file descriptor for what it says on standard error; default: one's own.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    environment["GRADIO_ANALYTICS_ENABLED"] = "False"
    # All users of the benchmark have one address.
    environment["QUARTET_REQUESTS_A_MINUTE"] = "1000000"
    url = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *SERVERS[name]],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
    try:
        while True:
            try:
                asyncio.run(ask_in_turn(url, ASK[name], picture, 1))
                break
            except httpx.TransportError:
                if process.poll() is not None or time.perf_counter() - start > START_LIMIT_S:
                    raise
                time.sleep(0.02)
        yield Server(url, psutil.Process(process.pid), time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait()


Ask = Callable[[httpx.AsyncClient, bytes], Awaitable[None]]
"""Asks about a picture once. Raises RuntimeError where the answer is an error."""


async def ask_gradio(settings: list[str], client: httpx.AsyncClient, content: bytes) -> None:
    """Asks `/classify`, which takes `settings` besides the picture."""
    uploaded = await client.post("/gradio_api/upload", files={"files": ("picture", content)})
    file = {"path": uploaded.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
    called = await client.post("/gradio_api/call/classify", json={"data": [file, *settings]})
    event = called.raise_for_status().json()["event_id"]
    answer = (await client.get(f"/gradio_api/call/classify/{event}")).text
    if "event: complete" not in answer:  # heartbeats may come first
        raise RuntimeError(answer[:500])


async def ask_v1(client: httpx.AsyncClient, content: bytes) -> None:
    """Asks `/v1/classify`."""
    answer = await client.post("/v1/classify", files={"file": ("picture", content)})
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(answer.text[:500])


ASK: dict[str, Ask] = {
    "ours": partial(ask_gradio, ["centre"]),
    "peer": partial(ask_gradio, []),
    ONE_REQUEST: ask_v1,
}


async def ask_in_turn(url: str, ask: Ask, content: bytes, count: int) -> None:
    """Requests of one user."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for _ in range(count):
            await ask(client, content)


async def ask_alternately(urls: dict[str, str], content: bytes) -> dict[str, list[float]]:
    """Latencies in seconds of one user who asks in turn in each of these ways of `ASK`."""
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    async with contextlib.AsyncExitStack() as open_clients:
        clients = {
            name: await open_clients.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=60)
            )
            for name, url in urls.items()
        }
        for _ in range(REQUESTS):
            for name, client in clients.items():
                start = time.perf_counter()
                await ASK[name](client, content)
                seconds[name].append(time.perf_counter() - start)
    return seconds


async def ask_at_once(url: str, ask: Ask, content: bytes) -> dict[str, float]:
    """Throughput with many users at once, and how many of their requests failed."""

    async def be_user(client: httpx.AsyncClient) -> int:
        failed = 0
        for _ in range(REQUESTS_PER_USER):
            try:
                await ask(client, content)
            except (RuntimeError, httpx.HTTPError):
                failed += 1
        return failed

    limits = httpx.Limits(max_connections=2 * USERS)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        start = time.perf_counter()
        failed = sum(await asyncio.gather(*(be_user(client) for _ in range(USERS))))
        seconds = time.perf_counter() - start
    return {"requests_per_s": USERS * REQUESTS_PER_USER / seconds, "failed": failed}


def photograph() -> bytes:
    """A JPEG of 12 megapixels with the detail of a phone's picture."""
    with Image.open(EXAMPLES_DIR / "dog-photo.jpg") as image:
        pixels = np.asarray(image.resize((4000, 3000), Image.Resampling.BICUBIC), dtype=np.int16)
    noise = np.random.default_rng(0).normal(0, 6, pixels.shape).astype(np.int16)
    content = io.BytesIO()
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(
        content, "JPEG", quality=85
    )
    return content.getvalue()


def page(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    runs = results["runs"]
    rows = (
        ("small PNG, median", "small_png_p50_s", 1e3, "ms"),
        ("small PNG, 95th percentile", "small_png_p95_s", 1e3, "ms"),
        ("12-megapixel JPEG, median", "phone_jpeg_p50_s", 1e3, "ms"),
        ("12-megapixel JPEG, 95th percentile", "phone_jpeg_p95_s", 1e3, "ms"),
        (f"throughput, {USERS} users at once", "requests_per_s", 1, "requests/s"),
        ("failed of those requests", "failed", 1, ""),
        ("resident memory", "memory_bytes", 1e-6, "MB"),
        ("start of the process to first answer", "start_s", 1, "s"),
    )
    lines = [
        "# Benchmarks of the app",
        "",
        f"{describe_run(results)} Both apps run at the same time and are asked in turn, "
        f"{results['repeats']} times over with fresh processes; "
        f"the peer is [bench/peer.py](../bench/peer.py), the same four checkpoints in a plain "
        f"Gradio app. A request uploads the picture, calls the endpoint and reads the answer, over "
        f"loopback; to `/v1/classify` it is one POST. The small PNG has 32 x 32 pixels, the JPEG "
        f"{results['photograph_bytes'] / 1e6:.1f} MB. "
        f"Latencies are of {REQUESTS} requests by one user. Given are median and, in brackets, "
        f"minimum and maximum of the repeats.",
        "",
        f"| figure | peer | ours | ours / peer | {ONE_REQUEST} | {ONE_REQUEST} / peer |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for title, key, scale, unit in rows:
        cells = [_tell(runs, "peer", key, scale, unit)]
        for name in ("ours", ONE_REQUEST):
            cells.append(_tell(runs, name, key, scale, unit))
            cells.append(_tell_ratio(runs, name, key))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    growth = spread([run["ours"]["growth_bytes"] / 1e6 for run in runs], "{:,.1f}")
    lines += [
        "",
        f"Memory of ours changed by {growth} MB over {GROWTH_REQUESTS:,} further requests.",
    ]
    return "\n".join(lines) + "\n"


def _tell(runs: Runs, name: str, key: str, scale: float, unit: str) -> str:
    """A figure's median and spread; empty where it was not measured."""
    if any(key not in run.get(name, {}) for run in runs):
        return ""
    return f"{spread([run[name][key] * scale for run in runs], '{:,.1f}')} {unit}".strip()


def _tell_ratio(runs: Runs, name: str, key: str) -> str:
    """The same of its ratio to the peer's; empty where that is nothing, too."""
    if any(key not in run.get(name, {}) or not run["peer"][key] for run in runs):
        return ""
    return spread([run[name][key] / run["peer"][key] for run in runs], "{:.2f}x")


if __name__ == "__main__":
    main()
