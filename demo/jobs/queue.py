"""Runs what waits, one job after the other, for as long as the app lives."""

import contextlib
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from demo.jobs import words
from demo.jobs.backend import NAME, Backend, Order, is_paid
from demo.jobs.limits import Limits
from demo.jobs.refusal import give_reason
from demo.jobs.runner import Runner, Verdict, Wish, tidy
from demo.jobs.store import FAILED, QUEUED, RUNNING, STOPPED, Job, JobStore, Use
from trainer.checkpoint import load_checkpoint
from trainer.errors import QuartetError

SERVED_KEPT = 100
"""Turns that are remembered: more than can wait."""


class Queue:
    """The jobs that wait and run. Whoever changes which ones those are holds `changed`."""

    def __init__(self, store: JobStore, backend: Backend, limits: Limits, folders: Path) -> None:
        """
        Args:
            folders: holds a folder a job, named by its id.
        """
        self._store = store
        self._backend = backend
        self._limits = limits
        self._folders = folders
        self._wishes: dict[str, Wish] = {}
        self._senders: dict[str, str] = {}
        """Id of a job that has not ended, to where the wish for it came from. It is kept in memory
        alone: after a restart a job is its owner's."""
        self._served: dict[str, int] = {}
        """Sender to the number of the turn it last had."""
        self._turn = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"job {index}", daemon=True)
            for index in range(limits.running)
        ]
        self.changed = threading.Condition(threading.RLock())

    def open(self) -> None:
        """Ends what an earlier app left running, and goes on with what it left waiting."""
        for job in self._store.in_state(RUNNING, FAILED):
            if job.process is not None:
                with contextlib.suppress(Exception):  # what it may be depends on the backend
                    self._backend.end_orphan(job.process)
        for job in self._store.in_state(RUNNING):
            now_s = time.time()
            ran_s = min(max(0.0, now_s - (job.started_s or now_s)), self._limits.wall_s)
            verdict = Verdict(FAILED, words.RESTARTED)
            with contextlib.suppress(QuartetError):
                load_checkpoint(self._folders / job.id, NAME)
                verdict = Verdict(STOPPED, words.RESTARTED_KEPT)
            self._end(job, verdict, ran_s)
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """True while every thread that runs jobs does."""
        return all(thread.is_alive() for thread in self._threads)

    def join(self, job: Job, sender: str) -> None:
        """Has a stored job wait.

        Args:
            sender: where the wish for it came from; nothing where that is unknown.
        """
        with self.changed:
            if sender:
                self._senders[job.id] = sender
            self.changed.notify_all()

    def count_of_sender(self, sender: str) -> int:
        """Jobs from there that wait or run."""
        with self.changed:
            return sum(known == sender for known in self._senders.values())

    def list_waiting(self) -> list[Job]:
        """The jobs that wait, in the order they will run: senders take turns, beginning with who
        was served longest ago, and of one sender the first comes first."""
        with self.changed:
            waiting = self._store.in_state(QUEUED)
            served, turn, line = dict(self._served), self._turn, list[Job]()
            while waiting:
                job = min(waiting, key=lambda job: served.get(self._sender_of(job), 0))
                waiting.remove(job)
                line.append(job)
                turn += 1
                served[self._sender_of(job)] = turn
            return line

    def stop(self, job: Job) -> None:
        """Asks a job that has not ended to end and keep its model."""
        with self.changed:
            if job.state == QUEUED:
                self._end(job, Verdict(STOPPED), 0.0)
            else:
                self._wishes.setdefault(job.id, Wish.STOP)

    def drop(self, job: Job) -> bool:
        """Ends a job that is deleted; True where its files are left to the caller, False where
        they go when its process has."""
        with self.changed:
            if job.state == RUNNING:
                self._wishes[job.id] = Wish.DELETE
            else:
                self._forget(job)
            self.changed.notify_all()
        return job.state != RUNNING

    def has_wish(self, job_id: str) -> bool:
        """True while a running job is about to end before its time."""
        return job_id in self._wishes

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until `condition` holds, looking whenever a job changes its state."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def close(self) -> None:
        """Ends what runs; it is marked failed, and what waits stays queued."""
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """Nothing that happens to a job ends this."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._closing or self._store.in_state(QUEUED))
                if self._closing:
                    return
                job = self._take_turn()
                self._store.update(job.id, state=RUNNING, started_s=time.time())
                self.changed.notify_all()
            started_s = time.monotonic()
            try:
                verdict = self._run(job)
            except OSError as error:
                verdict = Verdict(FAILED, words.describe_not_started(give_reason(error)))
            except Exception:
                with contextlib.suppress(OSError):  # the log may be on a full disk
                    traceback.print_exc()
                verdict = Verdict(FAILED, words.FAULT_OF_OURS)
            with self.changed:
                self._wishes.pop(job.id, None)
                self._end(job, verdict, time.monotonic() - started_s)
            with contextlib.suppress(Exception):  # the next start is slower then
                self._backend.prepare()

    def _take_turn(self) -> Job:
        """The next to run; of senders without a job only the last few turns are remembered."""
        job = self.list_waiting()[0]
        self._turn += 1
        self._served[self._sender_of(job)] = self._turn
        kept = self._turn - SERVED_KEPT
        self._served = {sender: turn for sender, turn in self._served.items() if turn > kept}
        return job

    def _sender_of(self, job: Job) -> str:
        return self._senders.get(job.id, job.owner)

    def _run(self, job: Job) -> Verdict:
        def wish() -> Wish | None:
            return Wish.CLOSE if self._closing else self._wishes.get(job.id)

        def on_started(process: str) -> None:
            with self.changed:
                if self._store.has(job.id):
                    self._store.update(job.id, process=process)

        assert job.settings is not None  # else it would not wait
        folder = self._folders / job.id
        folder.mkdir(parents=True, exist_ok=True)
        order = Order(job.settings, folder)
        return Runner(order, self._backend, self._limits, wish).run(on_started)

    def _end(self, job: Job, verdict: Verdict, ran_s: float) -> None:
        folder, now_s = self._folders / job.id, time.time()
        with self.changed:
            self._forget(job)
            if ran_s and not is_paid(folder):
                self._store.add_use(Use(now_s, ran_s))
            if self._store.has(job.id):
                tidy(folder)
                self._store.update(
                    job.id, state=verdict.state, reason=verdict.reason, ended_s=now_s, process=None
                )
            else:  # deleted meanwhile
                shutil.rmtree(folder, ignore_errors=True)
            self.changed.notify_all()

    def _forget(self, job: Job) -> None:
        """What is known of a job only until it has ended."""
        self._senders.pop(job.id, None)
        self._backend.release(self._folders / job.id)
