"""What a look at a job costs and tells."""

from itertools import pairwise
from pathlib import Path

import pytest

from demo.jobs.estimate import Pace, estimate, measure_pace
from demo.jobs.progress import (
    MATRICES,
    POINTS,
    SAID,
    Measured,
    Progress,
    Readers,
    Thinned,
)
from trainer.events import (
    EpochFinished,
    Event,
    EventLog,
    RunFailed,
    RunFinished,
    StartEvaluated,
    StepSummary,
)
from trainer.recipe import JobSettings

CONFUSION = ((1,) * 10,) * 10


def summary(step: int, time_s: float = 0.0) -> StepSummary:
    return StepSummary(
        recipe="r", time_s=time_s, step=step, total_steps=1000, train_loss=1 / step,
        learning_rate=0.1, images_per_s=100.0, remaining_s=1.0,
    )  # fmt: skip


def epoch(number: int, time_s: float = 0.0) -> EpochFinished:
    return EpochFinished(
        recipe="r", time_s=time_s, epoch=number, epochs=1000, train_loss=1.0, train_accuracy=0.5,
        validation_loss=1.0, validation_accuracy=number / 1000, test_loss=1.0, test_accuracy=0.5,
        learning_rate=0.1, train_s=1.0, seconds=6.0, validation_confusion=CONFUSION,
    )  # fmt: skip


def write(path: Path, *events: Event) -> None:
    log = EventLog(path)
    for event in events:
        log(event)
    log.close()


@pytest.mark.parametrize("count", [0, 1, 5, 9, 10, 11, 12, 13, 99, 1000])
def test_thinned_series_is_bounded_even_and_ends_with_the_last(count: int) -> None:
    series: Thinned[int] = Thinned(10)
    for item in range(count):
        series.add(item)
    kept = series.items()
    assert len(kept) == min(count, len(kept)) <= 10
    assert list(kept) == sorted(set(kept))
    if count:
        assert (kept[0], kept[-1]) == (0, count - 1)
    if count <= 9:
        assert list(kept) == list(range(count))
    gaps = {two - one for one, two in pairwise(kept[:-1])}
    assert len(gaps) <= 1
    assert count < 10 or len(kept) >= 5


def test_look_at_a_long_job_is_bounded_and_reads_on_only(tmp_path: Path) -> None:
    path, readers = tmp_path / "events.jsonl", Readers()
    assert readers.read(path) == Progress()
    start = StartEvaluated(recipe="r", validation_loss=2.0, validation_accuracy=0.0)
    write(path, start, *(e for n in range(1, 1001) for e in (summary(n), epoch(n))))
    progress = readers.read(path)
    assert progress.epochs == 1000
    assert len(progress.last) == SAID
    assert len(progress.train_loss) <= POINTS
    assert len(progress.measured) <= POINTS
    assert len(progress.confusions) <= MATRICES
    assert progress.measured[0] == Measured(0, 0, None, 2.0, 0.0)
    assert progress.measured[-1] == Measured(1000, 1000, 1.0, 1.0, 1.0)
    assert progress.train_loss[-1] == (1000, 1 / 1000)
    assert readers.read(path) is progress  # every watcher gets what one has read

    # What was read is not read again, and half a line waits for its rest.
    size = path.stat().st_size
    line = epoch(1001).model_dump_json().encode()
    path.write_bytes(b"x" * size + line)
    assert readers.read(path) == progress
    with path.open("ab") as file:
        file.write(b"\n")
    assert readers.read(path).measured[-1].validation_accuracy == 1.001
    assert readers.read(path).epochs == 1001


def test_time_of_measuring_and_the_failure_are_told(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(
        path, summary(10, time_s=100.0), epoch(1, time_s=103.5),
        RunFailed(recipe="r", reason="[Errno 28] No space: '/data/jobs/1'", step=11),
    )  # fmt: skip
    progress = Readers().read(path)
    assert progress.evaluation_s == 3.5
    assert progress.failure
    assert progress.failure.reason == "No space"  # and no path of the server
    assert progress.last[-1] == progress.failure
    assert measure_pace(progress) is None


def test_pace_is_that_of_a_run_that_saved_its_model_whatever_the_clock_did(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    finished = RunFinished(
        recipe="r", test_accuracy=0.5, test_loss=1.0, train_s=1.0, seconds=9.0, checkpoint="c"
    )
    write(path, summary(10, time_s=100.0), epoch(1, time_s=1e9), finished)
    assert measure_pace(Readers().read(path)) == Pace(100.0, 5.0, 3.0)


def test_estimate_counts_what_takes_time_and_offers_what_fits() -> None:
    settings = JobSettings(images=2000, epochs=10, batch_size=50)
    unknown = estimate(settings, 1000, 2, None, 60)
    assert (unknown.seen, unknown.seconds, unknown.fits) == (10 * (1000 + 40), None, True)
    pace = Pace(images_per_s=200.0, evaluation_s=1.0, rest_s=5.0)
    fits = estimate(settings, 1000, 0, pace, 65)
    assert (fits.seconds, fits.fits, fits.fitting_images) == (10_000 / 200 + 10 + 5, True, None)
    late = estimate(settings, 1000, 0, pace, 60)
    assert not late.fits
    assert late.fitting_images == 900
    assert estimate(settings.changed(images=900), 1000, 0, pace, 60).fits
    assert not estimate(settings.changed(images=901), 1000, 0, pace, 60).fits
    nothing = estimate(settings, 1000, 50, pace, 60)  # 1,000 of one's own alone are too many
    assert (nothing.fits, nothing.fitting_images) == (False, None)
    steps = estimate(settings.changed(steps=1000), 1000, 0, pace, 60)
    assert (steps.seen, steps.seconds) == (50_000, 50_000 / 200 + 50 + 5)
    assert (steps.fits, steps.fitting_images) == (False, None)
