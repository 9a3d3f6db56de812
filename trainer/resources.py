"""Samples what a run uses: CPU and memory by psutil, the GPU by NVIDIA's NVML."""

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
import torchvision

import trainer
from trainer.events import OnEvent, ResourceSample
from trainer.record import Hardware

FIRST_INTERVAL_S = 1.0
INTERVAL_FRACTION = 0.02


@contextlib.contextmanager
def sample_resources(recipe: str, on_event: OnEvent, device: torch.device) -> Iterator[None]:
    """Emits `ResourceSample`s from a thread while the block runs.

    The next sample waits a second or 2 % of the run's age, whichever is longer: short runs
    are resolved and long ones keep a short log.
    """
    ended = threading.Event()
    read_gpu = _gpu_reader(device)
    process = psutil.Process()
    process.cpu_percent()  # the first call only starts the interval

    def sample() -> None:
        age_s, wait_s = 0.0, FIRST_INTERVAL_S
        while not ended.wait(wait_s):
            age_s += wait_s
            wait_s = max(FIRST_INTERVAL_S, INTERVAL_FRACTION * age_s)
            gpu_percent, gpu_bytes = read_gpu()
            on_event(
                ResourceSample(
                    recipe=recipe,
                    cpu_percent=process.cpu_percent(),
                    memory_bytes=process.memory_info().rss,
                    gpu_percent=gpu_percent,
                    gpu_memory_bytes=gpu_bytes,
                )
            )

    thread = threading.Thread(target=sample, name="resources", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def describe_hardware(device: torch.device) -> Hardware:
    """The machine, for people and for the record."""
    gpu = device.type == "cuda"
    return Hardware(
        device=device.type,
        cpu=_cpu_name(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name(device) if gpu else None,
        gpu_memory_bytes=torch.cuda.get_device_properties(device).total_memory if gpu else None,
    )


def list_versions() -> dict[str, str]:
    """The programs that decide a run, for its record."""
    return {
        "quartet": trainer.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu_reader(device: torch.device) -> Any:
    """A function returning (busy percent, used bytes) of the device's GPU, or (None, None)."""
    if device.type != "cuda":
        return lambda: (None, None)
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError:
        return lambda: (None, None)

    def read() -> tuple[float | None, int | None]:
        try:
            busy = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            return busy, int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
        except pynvml.NVMLError:
            return None, None

    return read
