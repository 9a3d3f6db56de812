"""Starts, watches and stops fine-tuning jobs, one child process a job. No Gradio in it.

A job is `python -m trainer finetune` in a process group of its own. The app reads what it writes
into its folder, `events.jsonl` above all, and never trains itself. Jobs belong to the server: they
go on when the visitor leaves, and are found again by id and token.
"""

import contextlib
import math
import shutil
import sqlite3
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.jobs.backend import EVENTS, NAME, OWN, SHIPPED, Backend, Payer, is_paid, read_gpu_s
from demo.jobs.estimate import Estimate, estimate, measure_pace
from demo.jobs.folders import fill_folder
from demo.jobs.limits import DAY_S, Limits
from demo.jobs.local import LocalBackend
from demo.jobs.pictures import TaughtPicture, TaughtPictures
from demo.jobs.progress import Progress, Readers
from demo.jobs.queue import Queue
from demo.jobs.refusal import Refused, give_reason
from demo.jobs.runner import has_model
from demo.jobs.store import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    STOPPED,
    TIMED_OUT,
    Job,
    JobStore,
    create_id,
)
from demo.jobs.sweep import Ages, sweep_files
from demo.rates import Rate
from trainer.files import lock_folder
from trainer.recipe import PLAIN_BACKBONE, RECIPE_NAMES, JobSettings, join_command

EARLIER = "job:"
"""Before the id of an earlier job that another starts from."""
LEAST_IMAGES = 2
"""To train on: what BatchNorm needs of a batch."""
HOLDER = "another Quartet app"


class Jobs:
    """All jobs of one app."""

    def __init__(
        self,
        home: Path,
        checkpoints: Path,
        limits: Limits | None = None,
        backend: Backend | None = None,
        uploads: Path | None = None,
    ) -> None:
        """Opens the store in `home`, ends what an earlier app left running, and goes on with what
        it left waiting.

        Args:
            checkpoints: folder of the four; only read.
            backend: default: this machine.
            uploads: a folder whose files are swept by age too: where visitors' uploads lie.

        Raises:
            QuartetError: another app has this home; it is named.
            OSError: `home` cannot be written.
        """
        self.limits = limits or Limits()
        self._home = home.resolve()
        self._folders, self._new = self._home / "jobs", self._home / "new"
        self._held = contextlib.ExitStack()
        self._held.enter_context(lock_folder(self._home, HOLDER))
        self.backend: Backend = backend or LocalBackend(checkpoints)
        self.pictures = TaughtPictures(self._home, self.limits)
        self._uploads = uploads
        self._shipped = checkpoints.resolve() == SHIPPED
        self._store = JobStore(self._home / "jobs.sqlite3")
        self._queue = Queue(self._store, self.backend, self.limits, self._folders)
        self._readers = Readers()
        self._ages = Ages()
        self._started = Rate(self.limits.started_of_sender, DAY_S)
        shutil.rmtree(self._new, ignore_errors=True)  # what was not yet a job
        self._queue.open()
        self.sweep()
        self._closing = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_on, name="sweep", daemon=True)
        self._sweeper.start()

    def start(
        self,
        settings: JobSettings,
        token: str,
        pictures: Sequence[str] = (),
        sender: str = "",
        gpu_s: float | None = None,
        account: str = "",
        payer: Payer | None = None,
    ) -> Job:
        """Queues a job.

        Args:
            token: the browser's; the job is its, unless somebody is signed in.
            pictures: ids of the owner's taught pictures; the job gets copies.
            sender: where the wish comes from, as the limits count; tokens cost nothing.
            gpu_s: how long it may have a GPU, where it asks for one and the backend offers it.
            account: the owner's secret of who is signed in; then the job is theirs.
            payer: the visitor, where they pay for it and the backend lets them.

        Raises:
            Refused: a cap is reached, the server cannot write, a picture is gone, or the start is
                not theirs to take. Then nothing is queued and nothing left.
        """
        self.check(settings, token, len(pictures), account)
        owner = account or token
        gpu_s = gpu_s if self.backend.offers_gpu else None
        payer = payer if self.backend.takes_payers else None
        taught = self._find_pictures(token, pictures)
        job_id = create_id()
        fresh, folder = self._new / job_id, self._folders / job_id
        try:
            # Before the lock, which nobody should wait for while the network answers.
            seconds_a_day = math.inf if payer else self.backend.seconds_a_day
        except OSError as error:
            raise Refused("backend", reason=give_reason(error)) from error
        try:
            start = self._find_start(settings, token, account)
            fill_folder(fresh, start, taught, gpu_s, payer is not None)
            with self._queue.changed:
                self._check_caps(owner, sender, seconds_a_day)
                if gpu_s is not None or payer is not None:
                    self.backend.admit(folder, payer)
                self._folders.mkdir(exist_ok=True)
                fresh.rename(folder)
                job = self._store.add(job_id, settings, owner)
                self._queue.join(job, sender)
            return job
        except (OSError, sqlite3.Error) as error:
            self.backend.release(folder)
            shutil.rmtree(folder, ignore_errors=True)
            raise Refused("not_stored", reason=give_reason(error)) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def check(self, settings: JobSettings, token: str, pictures: int, account: str = "") -> None:
        """Looks whether there is enough to train on, and something to start from.

        Args:
            pictures: of one's own.
            account: see `start`.

        Raises:
            Refused: there is not, or the start is not theirs to take.
        """
        self._find_start(settings, token, account)
        if settings.images + pictures * settings.own_repeats < LEAST_IMAGES:
            raise Refused("too_few_images", setting="images", least=LEAST_IMAGES)

    def prepare(self) -> None:
        """Makes the next start quick."""
        self.backend.prepare()

    def find(self, job_id: str, *secrets: str) -> Job | None:
        """The job, or None, as for one that does not exist.

        Args:
            secrets: of which one must be its owner's, or its own key.
        """
        return self._store.find(job_id, *secrets)

    def of_owner(self, *tokens: str) -> list[Job]:
        """The jobs of an owner, who may have several tokens, newest first."""
        return self._store.of_owner(*tokens)

    def has_model(self, job: Job) -> bool:
        """True where the job has ended and left a whole model."""
        return job.state in (DONE, STOPPED, TIMED_OUT) and has_model(self.folder(job))

    def newest_with_model(self, *tokens: str) -> Job | None:
        """The owner's newest job that has a model, or None."""
        return next((job for job in self.of_owner(*tokens) if self.has_model(job)), None)

    def leaves(self, job: Job) -> str:
        """What of the job stays elsewhere once it is deleted, in a sentence, or nothing."""
        paid = is_paid(self.folder(job))
        return self.backend.leaves_with_payer if paid else self.backend.leaves

    def position(self, job: Job) -> int:
        """Jobs ahead of a queued one."""
        running = [other.id for other in self._store.in_state(RUNNING)]
        ids = running + [other.id for other in self._queue.list_waiting()]
        return ids.index(job.id) if job.id in ids else 0

    def count(self, state: str) -> int:
        """Jobs in a state, of all owners."""
        return len(self._store.in_state(state))

    @property
    def alive(self) -> bool:
        """True while what runs jobs and what sweeps after them do."""
        return self._sweeper.is_alive() and self._queue.alive

    def stop(self, job_id: str, secret: str) -> None:
        """Asks a job to end and keep its model as it is; one that has ended, or that `secret` does
        not open, is left as it is."""
        with self._queue.changed:
            job = self._store.find(job_id, secret)
            if job is not None and not job.ended:
                self._queue.stop(job)

    def is_stopping(self, job: Job) -> bool:
        """True while a job that was asked to end writes its model."""
        return self._queue.has_wish(job.id)

    def delete(self, job_id: str, secret: str) -> None:
        """Ends a job if it has not, and removes everything of it. It is not found from now on."""
        with self._queue.changed:
            job = self._store.find(job_id, secret)
            if job is not None:
                self._store.remove(job.id)
                if self._queue.drop(job):
                    self._remove_files(job)

    def watch(self, job: Job) -> Progress:
        """How far the job is. What it costs does not grow with the job."""
        return self._readers.read(self.folder(job) / EVENTS)

    def estimate(
        self, settings: JobSettings, images_at_hand: int, pictures: int, gpu: bool = False
    ) -> Estimate:
        """How long a job would take, by the last one of its kind here, and whether it may.

        Args:
            images_at_hand: training images that there are to draw from.
            pictures: of one's own.
            gpu: with a GPU.
        """
        pace = None
        kind = settings.trained, settings.image_px, gpu
        for job in reversed(self._store.in_state(DONE, STOPPED, TIMED_OUT)):
            mine, had_gpu = job.settings, read_gpu_s(self.folder(job)) is not None
            if mine and (mine.trained, mine.image_px, had_gpu) == kind:
                pace = measure_pace(self.watch(job))
                if pace is not None:
                    break
        wall_s = self.limits.wall_s
        limit_s = wall_s - min(self.backend.saving_s, wall_s / 2)
        return estimate(settings, images_at_hand, pictures, pace, limit_s)

    def folder(self, job: Job) -> Path:
        """The job's files."""
        return self._folders / job.id

    def command(self, job: Job) -> str:
        """The command line that repeats the job offline, with `PICTURES` and `CHECKPOINTS` where
        folders of one's own belong; nothing where another version of the app stored its
        settings."""
        if job.settings is None:
            return ""
        settings = job.settings
        earlier = settings.start.startswith(EARLIER)
        if earlier:
            settings = settings.changed(start=f"{NAME}.safetensors")
        arguments = settings.arguments()
        if not (earlier or self._shipped):
            arguments += ["--checkpoints", "CHECKPOINTS"]
        if not self.backend.full_data:
            arguments.append("--sample")
        if (self.folder(job) / OWN).is_dir():
            arguments += ["--own", "PICTURES"]
        threads = self.backend.threads
        prefix = f"OMP_NUM_THREADS={threads} " if threads else ""
        return f"{prefix}{join_command(arguments)}"

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until `condition` holds, looking whenever a job changes its state."""
        return self._queue.wait(condition, timeout_s)

    def sweep(self) -> None:
        """Removes what has been kept as long as `limits` promise."""
        limits, ages = self.limits, self._ages
        ages.begin_round()
        with self._queue.changed:
            for job in self._store.in_state(DONE, STOPPED, FAILED, TIMED_OUT):
                if job.ended_s is None or ages.of(job.id, job.ended_s) > limits.kept_s:
                    self._store.remove(job.id)
                    self._remove_files(job)
            for use in self._store.uses():
                if ages.of(use, use.ended_s) > DAY_S:
                    self._store.remove_use(use)
            self._store.write_rest()
            lost = [  # of jobs in a store that was set aside
                folder
                for folder in self._folders.glob("*")
                if not (self._store.has(folder.name) or self._queue.has_wish(folder.name))
            ]
        for folder in lost:
            sweep_files(folder, limits.kept_s, ages)
            with contextlib.suppress(OSError):
                folder.rmdir()
        self.pictures.sweep(ages)
        if self._uploads is not None:
            sweep_files(self._uploads, limits.uploads_kept_s, ages)

    def close(self) -> None:
        """Ends what runs; it is marked failed, and what waits stays queued."""
        self._closing.set()
        self._sweeper.join()
        self._queue.close()
        self.backend.close()
        self._store.close()
        self._held.close()

    def _find_pictures(self, token: str, ids: Sequence[str]) -> list[TaughtPicture]:
        mine = {picture.id: picture for picture in self.pictures.of_owner(token)}
        if not set(ids) <= mine.keys():
            raise Refused("picture_gone")
        return [mine[picture_id] for picture_id in dict.fromkeys(ids)]

    def _find_start(self, settings: JobSettings, *tokens: str) -> Path | None:
        """The folder of the earlier job that is the start, or None for one of the four and the
        backbone. Anything else is refused: above all it is no path."""
        if settings.start in (*RECIPE_NAMES, PLAIN_BACKBONE):
            return None
        job = self._store.find(settings.start.removeprefix(EARLIER), *tokens)
        if job is None or settings.start != f"{EARLIER}{job.id}" or not self.has_model(job):
            raise Refused("no_such_start")
        return self.folder(job)

    def _check_caps(self, owner: str, sender: str, seconds_a_day: float) -> None:
        limits = self.limits
        if sum(not job.ended for job in self._store.of_owner(owner)) >= limits.queued_of_owner:
            raise Refused("own_cap", jobs=limits.queued_of_owner)
        if sender and self._queue.count_of_sender(sender) >= limits.queued_of_owner:
            raise Refused("sender_cap", jobs=limits.queued_of_owner)
        if shutil.disk_usage(self._home).free < limits.free_bytes:
            raise Refused("disk_full")
        if len(self._store.in_state(QUEUED)) >= limits.queued:
            raise Refused("queue_full")
        # All that waits and runs, and this one, may take all their time.
        ahead = self._store.in_state(QUEUED, RUNNING)
        ahead_s = (1 + sum(not is_paid(self.folder(job)) for job in ahead)) * limits.wall_s
        used_s = sum(
            use.ran_s for use in self._store.uses() if self._ages.since(use.ended_s) <= DAY_S
        )
        if used_s + ahead_s > seconds_a_day:
            raise Refused("budget")
        if sender and not self._started.take(sender):
            raise Refused("sender_day", jobs=limits.started_of_sender)

    def _remove_files(self, job: Job) -> None:
        self._readers.forget(self.folder(job) / EVENTS)
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def _sweep_on(self) -> None:
        while not self._closing.wait(self.limits.sweep_every_s):
            try:
                self.sweep()
            except Exception:  # the next round is due all the same
                with contextlib.suppress(OSError):
                    traceback.print_exc()
