"""Our app against a plain one (`bench/peer.py`), side by side in one run, over loopback:
`python -m bench.app`, about ten minutes on two cores.

A request is what a client of Gradio's HTTP API does: upload the picture, call `/classify`, read
the answer. Writes docs/app-benchmarks.json and docs/app-benchmarks.md.
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
from collections.abc import Iterator
from dataclasses import dataclass
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
SETTINGS: dict[str, list[str]] = {"ours": ["centre"], "peer": []}
"""What `/classify` takes besides the picture."""
START_LIMIT_S = 120
WARM_UP_REQUESTS = 50
REQUESTS = 100
"""Requests a case, one after the other."""
USERS, REQUESTS_PER_USER = 32, 20
GROWTH_REQUESTS = 2_000


@dataclass
class Server:
    """A running app."""

    url: str
    settings: list[str]
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
    runs = []
    for _ in range(options.repeats):
        run: dict[str, dict[str, float]] = {}
        with contextlib.ExitStack() as running:
            servers = {name: running.enter_context(serving(name, small)) for name in SERVERS}
            for name, server in servers.items():
                run[name] = {"start_s": server.start_s}
                asyncio.run(ask_in_turn(server.url, server.settings, small, WARM_UP_REQUESTS))
            for case, content in (("small_png", small), ("phone_jpeg", large)):
                latencies = asyncio.run(ask_alternately(servers, content))
                for name, seconds in latencies.items():
                    run[name] |= {
                        f"{case}_p50_s": statistics.median(seconds),
                        f"{case}_p95_s": statistics.quantiles(seconds, n=20)[-1],
                    }
            for name, server in servers.items():
                run[name]["memory_bytes"] = server.memory_bytes()
                run[name] |= asyncio.run(ask_at_once(server.url, server.settings, small))
            before = servers["ours"].memory_bytes()
            asyncio.run(ask_in_turn(servers["ours"].url, SETTINGS["ours"], small, GROWTH_REQUESTS))
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
                asyncio.run(ask_in_turn(url, SETTINGS[name], picture, 1))
                break
            except httpx.TransportError:
                if process.poll() is not None or time.perf_counter() - start > START_LIMIT_S:
                    raise
                time.sleep(0.02)
        yield Server(url, SETTINGS[name], psutil.Process(process.pid), time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait()


async def ask(client: httpx.AsyncClient, content: bytes, settings: list[str]) -> None:
    """One request.

    Raises:
        RuntimeError: the answer is an error.
    """
    uploaded = await client.post("/gradio_api/upload", files={"files": ("picture", content)})
    file = {"path": uploaded.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
    called = await client.post("/gradio_api/call/classify", json={"data": [file, *settings]})
    event = called.raise_for_status().json()["event_id"]
    answer = (await client.get(f"/gradio_api/call/classify/{event}")).text
    if "event: complete" not in answer:  # heartbeats may come first
        raise RuntimeError(answer[:500])


async def ask_in_turn(url: str, settings: list[str], content: bytes, count: int) -> None:
    """Requests of one user."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for _ in range(count):
            await ask(client, content, settings)


async def ask_alternately(servers: dict[str, Server], content: bytes) -> dict[str, list[float]]:
    """Latencies in seconds of one user who asks the servers in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in servers}
    async with contextlib.AsyncExitStack() as open_clients:
        clients = {
            name: await open_clients.enter_async_context(
                httpx.AsyncClient(base_url=server.url, timeout=60)
            )
            for name, server in servers.items()
        }
        for _ in range(REQUESTS):
            for name, client in clients.items():
                start = time.perf_counter()
                await ask(client, content, servers[name].settings)
                seconds[name].append(time.perf_counter() - start)
    return seconds


async def ask_at_once(url: str, settings: list[str], content: bytes) -> dict[str, float]:
    """Throughput with many users at once, and how many of their requests failed."""

    async def be_user(client: httpx.AsyncClient) -> int:
        failed = 0
        for _ in range(REQUESTS_PER_USER):
            try:
                await ask(client, content, settings)
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
        f"loopback; the small PNG has 32 x 32 pixels, the JPEG "
        f"{results['photograph_bytes'] / 1e6:.1f} MB. "
        f"Latencies are of {REQUESTS} requests by one user. Given are median and, in brackets, "
        f"minimum and maximum of the repeats.",
        "",
        "| figure | peer | ours | ours / peer |",
        "| --- | --- | --- | --- |",
    ]
    for title, key, scale, unit in rows:
        cells = [
            spread([run[name][key] * scale for run in runs], "{:,.1f}") + f" {unit}".rstrip()
            for name in ("peer", "ours")
        ]
        ratios = ""
        if all(run["peer"][key] for run in runs):
            ratios = spread([run["ours"][key] / run["peer"][key] for run in runs], "{:.2f}x")
        lines.append(f"| {title} | {cells[0]} | {cells[1]} | {ratios} |")
    growth = spread([run["ours"]["growth_bytes"] / 1e6 for run in runs], "{:,.1f}")
    lines += [
        "",
        f"Memory of ours changed by {growth} MB over {GROWTH_REQUESTS:,} further requests.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
