"""What the server counts of itself, and how Prometheus reads it."""

from collections import Counter
from collections.abc import Iterable, Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the histogram of answer times."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Figures:
    """Since the start. Only the event loop's thread counts."""

    def __init__(self) -> None:
        self._answered: Counter[tuple[str, int]] = Counter()
        self._declined: Counter[str] = Counter()
        self._timed: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._within: Counter[tuple[str, float]] = Counter()

    def count(self, route: str, status: int, seconds: float, reason: str) -> None:
        """Counts a request that was answered."""
        self._answered[route, status] += 1
        if reason:
            self._declined[reason] += 1
            return
        self._timed[route] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds
        for end in BUCKETS_S:
            if seconds <= end:
                self._within[route, end] += 1
                break

    def write(self, gauges: Mapping[str, float]) -> str:
        """All in Prometheus's text format.

        Args:
            gauges: name without `quartet_` to what it is now.
        """
        answered: list[tuple[Labels, float]] = [
            ((("route", route), ("status", str(status))), count)
            for (route, status), count in sorted(self._answered.items())
        ]
        declined: list[tuple[Labels, float]] = [
            ((("reason", reason),), count) for reason, count in sorted(self._declined.items())
        ]
        lines = [
            *_series("requests_total", "counter", answered),
            *_series("declined_total", "counter", declined),
            *self._write_times(),
        ]
        for name, value in gauges.items():
            lines += _series(name, "gauge", [((), value)])
        return "\n".join(lines) + "\n"

    def _write_times(self) -> list[str]:
        samples: list[tuple[str, Labels, float]] = []
        for route, seconds in sorted(self._seconds.items()):
            labels, total = (("route", route),), 0
            for end in BUCKETS_S:
                total += self._within[route, end]
                samples.append(("_bucket", (*labels, ("le", f"{end:g}")), total))
            count = self._timed[route]
            samples += [("_bucket", (*labels, ("le", "+Inf")), count)]
            samples += [("_sum", labels, seconds), ("_count", labels, count)]
        name = "quartet_request_seconds"
        lines = [f"# TYPE {name} histogram"] if samples else []
        return lines + [_sample(name + part, labels, value) for part, labels, value in samples]


def _series(name: str, kind: str, samples: Iterable[tuple[Labels, float]]) -> list[str]:
    lines = [_sample(f"quartet_{name}", labels, value) for labels, value in samples]
    return [f"# TYPE quartet_{name} {kind}", *lines] if lines else []


def _sample(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{key}="{value}"' for key, value in labels)
    return f"{name}{{{told}}} {value:g}" if told else f"{name} {value:g}"
