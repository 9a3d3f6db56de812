"""What the benchmark pages share: where figures were measured, and how they are written."""

import datetime
import importlib.metadata
import platform
import statistics
from collections.abc import Mapping
from typing import Any

import torch

from trainer.resources import describe_hardware


def measured_on(*packages: str) -> dict[str, Any]:
    """Date, hardware and versions, as a results file holds them."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": describe_hardware(torch.device("cpu")).model_dump(),
        "versions": {"python": platform.python_version(), **versions},
    }


def describe_run(results: Mapping[str, Any], verb: str = "bench") -> str:
    """The same in a sentence.

    Args:
        verb: of the Makefile, that measured it.
    """
    hardware, versions = results["hardware"], results["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Written by `make {verb}` on {results['date']}: {hardware['cpu']}, "
        f"{hardware['cores']} cores; {listed}."
    )


def spread(values: list[float], form: str) -> str:
    """Median and, in brackets, minimum and maximum."""
    low, middle, high = (
        form.format(value) for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} [{low}, {high}]"
