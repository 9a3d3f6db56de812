"""Jobs as if they had run, for tests of what is shown of them."""

import contextlib
import time
from pathlib import Path

from demo.jobs.backend import EVENTS, NAME
from demo.jobs.jobs import Jobs
from demo.jobs.store import DONE, Job, JobStore, create_id
from tests.conftest import CHECKPOINTS
from trainer.checkpoint import load_record
from trainer.events import EpochFinished, Event, EventLog, RunFinished, StepSummary
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE, JobSettings
from trainer.record import Origin

SOMEONE = "another visitor's token"


def seed_pace(home: Path, trained: str, images_per_s: float) -> None:
    """Leaves a job of another visitor in a home that no app has open yet: it trained at that rate,
    and measuring took no time."""
    job_id, now_s = create_id(), time.time()
    with contextlib.closing(JobStore(home / "jobs.sqlite3")) as store:
        image_px = load_record(CHECKPOINTS, "sgd_full").recipe.image_px  # what the form begins with
        settings = JobSettings().changed(trained=trained, image_px=image_px)
        store.add(job_id, settings, SOMEONE)
        store.update(job_id, state=DONE, started_s=now_s, ended_s=now_s)
    write_epochs(home / "jobs" / job_id / EVENTS, 1, images_per_s)


def write_epochs(path: Path, count: int, images_per_s: float = 100.0) -> None:
    """A finished job's file of events, of so many epochs of one step."""
    log = EventLog(path)
    matrix = tuple(tuple(10 for _ in range(10)) for _ in range(10))
    for epoch in range(1, count + 1):
        events: list[Event] = [
            StepSummary(
                recipe="finetuned", time_s=0, step=epoch, total_steps=count, train_loss=1 / epoch,
                learning_rate=0.001, images_per_s=images_per_s, remaining_s=1.0,
            ),
            EpochFinished(
                recipe="finetuned", time_s=0, epoch=epoch, epochs=count, train_loss=0.1,
                train_accuracy=0.5, validation_loss=0.1, validation_accuracy=epoch / count,
                test_loss=0.1, test_accuracy=0.5, learning_rate=0.001, train_s=1.0, seconds=1.0,
                validation_confusion=matrix,
            ),
        ]  # fmt: skip
        for event in events:
            log(event)
    log(
        RunFinished(
            recipe="finetuned", time_s=0, test_accuracy=0.5, test_loss=1.0, train_s=count,
            seconds=count, checkpoint="finetuned.safetensors",
        )
    )  # fmt: skip
    log.close()


def copy_as_jobs(
    name: str, folder: Path, start: str = PLAIN_BACKBONE, image_px: int | None = None
) -> None:
    """Puts one of the four into a folder as a job's model, which has no detector of its own.

    Args:
        start: what it is said to have begun with.
        image_px: what it is said to see; default: what it does.
    """
    for suffix in (".safetensors", ".predictions.safetensors"):
        (folder / f"{NAME}{suffix}").symlink_to(CHECKPOINTS / f"{name}{suffix}")
    begun = load_record(CHECKPOINTS, BACKBONE_OF if start == PLAIN_BACKBONE else start)
    settings = JobSettings(start=start)
    origin = Origin(start=start, start_sha256=begun.weights_sha256, settings=settings, threads=1)
    changed = {"name": NAME, "origin": origin, "familiarity": None, "familiarity_sha256": None}
    record = load_record(CHECKPOINTS, name).model_copy(update=changed)
    if image_px is not None:
        recipe = record.recipe.changed(image_px=image_px)
        record = record.model_copy(update={"recipe": recipe})
    (folder / f"{NAME}.json").write_text(record.as_json())


def store_done(
    jobs: Jobs, owner: str, name: str, start: str = PLAIN_BACKBONE, image_px: int | None = None
) -> Job:
    """A finished job of an owner's, whose model is one of the four: see `copy_as_jobs`."""
    job_id = create_id()
    with jobs._queue.changed:  # before it is begun
        job = jobs._store.add(job_id, JobSettings(start=start), owner)
        jobs.folder(job).mkdir(parents=True)
        copy_as_jobs(name, jobs.folder(job), start, image_px)
        jobs._store.update(job_id, state=DONE)
    return job
