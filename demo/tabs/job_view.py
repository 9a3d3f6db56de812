"""Watching a job: its state, curves and log, what it changed, and the owner's other jobs."""

import functools
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from gradio.blocks import Block
from gradio.processing_utils import save_file_to_cache

from demo.comparison import compare_with_start
from demo.faults import explain
from demo.jobs.backend import NAME
from demo.jobs.progress import Progress
from demo.jobs.store import DONE, Job
from demo.links import JOB, Link
from demo.publishing import write_card
from demo.tabs.changes import Part
from demo.tabs.job_curves import (
    create_accuracy_plot,
    create_loss_plot,
    draw_confusions,
    draw_key,
    frame_accuracy,
    frame_losses,
)
from demo.tabs.job_result import Drawn, draw_comparison
from demo.tabs.jobs_table import draw_jobs
from demo.tabs.shared import ON_CHOICE, Shared, create_html, create_table, fill_table
from demo.templates import render
from demo.words import finetune as words
from demo.words.accuracy import EXPORTS
from trainer.checkpoint import load_record
from trainer.errors import CheckpointError
from trainer.files import write_file
from trainer.wording import describe_event

WATCHED_S, IDLE_S = 1.0, 15.0
"""Between two looks at a job that goes on, and at one that has ended."""


class JobView:
    """Draws, and tells what a look at a job shows. It starts and stops nothing."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._jobs = shared.jobs

    def draw_watched(self) -> None:
        """What stands beside the form, below Start: how far it is, what came of it, and its
        curves."""
        empty = render("message.html", message=words.NO_JOB, role="status")
        self.status = create_html(empty, elem_id="job")
        self.result = create_html(elem_id="job-result")
        with gr.Row():
            self.stop = gr.Button(words.STOP_JOB, interactive=False, elem_id="stop-job")
            self.ask = gr.Button(words.DELETE_JOB, interactive=False, elem_id="delete-job")
        self.asked = gr.Textbox("", visible="hidden", elem_id="delete-asked")
        with gr.Column(visible=False, elem_id="delete-question") as self.question:
            self.asking = gr.Markdown()
            with gr.Row():
                self.delete = gr.Button(words.DELETE_NOW, variant="stop", elem_id="delete-now")
                self.keep = gr.Button(words.KEEP_JOB, elem_id="delete-not")
        create_html(draw_key(), elem_id="job-key")
        with gr.Row():
            self.loss = create_loss_plot()
            self.accuracy = create_accuracy_plot()
        with gr.Row():
            with gr.Column(scale=4, min_width=240):
                self.log = create_html(elem_id="job-log")
            with gr.Column(scale=1, min_width=160):
                self.confusions = create_html(elem_id="job-confusions")

    def draw_result(self) -> None:
        """What stands below, as wide as the page."""
        with gr.Row(visible=False) as self.by_class:
            with gr.Column(scale=2, min_width=280):
                self.classes = create_table(
                    words.CHANGE_COLUMNS, [], words.BY_CLASS, elem_id="job-classes"
                )
            with gr.Column(scale=3, min_width=320):
                self.difference = create_html(elem_id="job-difference")
        self.exports = create_html(elem_id="job-exports")
        self.changed = create_html(elem_id="job-changed")
        with gr.Row():
            self.again = gr.Button(words.AGAIN, interactive=False, elem_id="again")
            self.go_on = gr.Button(words.GO_ON, interactive=False, elem_id="go-on")
            self.download = gr.DownloadButton(words.DOWNLOAD, interactive=False, elem_id="download")
            self.card = gr.DownloadButton(
                words.DOWNLOAD_CARD, interactive=False, elem_id="download-card"
            )

    def draw_list(self) -> None:
        """Below that: how to repeat it offline, and the visitor's jobs."""
        self.command = gr.Textbox(
            label=words.COMMAND, interactive=False, buttons=["copy"], elem_id="command"
        )
        self.table = create_html(js_on_load=ON_CHOICE, elem_id="jobs")
        self.timer = gr.Timer(WATCHED_S, active=False)

    def list_components(self) -> set[Block]:
        """All that `list_parts` changes."""
        return {part.component for part in self.list_parts(None, [], "", "")}

    def list_parts(
        self, job: Job | None, mine: Sequence[Job], order: str, asked: str
    ) -> list[Part]:
        """All that is shown of a job, and the list of its owner's.

        Args:
            job: the one to show, if any.
            mine: the visitor's.
            asked: id of the job that may be deleted by one more press.
        """
        progress = self._jobs.watch(job) if job else Progress()
        model = job is not None and self._jobs.has_model(job)
        on = job is not None and not job.ended
        stopping = job is not None and self._jobs.is_stopping(job)
        key = job and (job.id, job.state, stopping)
        ahead = self._jobs.position(job) if job else 0
        parts = [
            Part(
                self.status,
                (key, ahead, job and job.reason, progress.summary),
                lambda: draw_status(job, progress, ahead, model, stopping),
            ),
            Part(self.log, progress.last, lambda: draw_log(progress)),
            Part(
                self.confusions,
                (key and key[0], progress.epochs, len(progress.confusions)),
                lambda: draw_confusions(progress),
            ),
            Part(self.stop, (on, stopping), lambda: gr.Button(interactive=on and not stopping)),
            Part(self.ask, job is not None, lambda: gr.Button(interactive=job is not None)),
            Part(
                self.question,
                bool(job and asked == job.id),
                lambda: gr.Column(visible=bool(job and asked == job.id)),
            ),
            Part(
                self.asking,
                key and key[0],
                lambda: words.ask_delete(job.id, self._jobs.leaves(job)) if job else "",
            ),
            Part(
                self.loss,
                (progress.train_loss, progress.measured),
                lambda: frame_losses(progress),
            ),
            Part(self.accuracy, progress.measured, lambda: frame_accuracy(progress)),
            Part(self.timer, on, lambda: gr.Timer(value=WATCHED_S if on else IDLE_S, active=True)),
            self._table_part(mine, job, order),
        ]
        return parts + self._list_result(job, model, mine)

    def _list_result(self, job: Job | None, model: bool, mine: Sequence[Job]) -> list[Part]:
        """What is shown of a job that has a model."""
        key = job and (job.id, job.state)
        paths = self._copy_downloads(job) if job and model else (None, None)
        goes_on = model and job in mine
        drawn = functools.cache(lambda: self._draw_result(job) if job and model else Drawn())
        shown = key, model
        return [
            Part(self.result, shown, lambda: drawn().summary),
            Part(self.by_class, shown, lambda: gr.Row(visible=bool(drawn().classes))),
            Part(
                self.classes,
                shown,
                lambda: fill_table(words.CHANGE_COLUMNS, list(drawn().classes)),
            ),
            Part(self.difference, shown, lambda: drawn().difference),
            Part(
                self.exports,
                shown,
                lambda: draw_job_exports(job) if job and drawn().classes else "",
            ),
            Part(self.changed, shown, lambda: drawn().changed),
            Part(self.command, key, lambda: self._jobs.command(job) if job else ""),
            Part(self.again, key, lambda: gr.Button(interactive=bool(job and job.settings))),
            Part(self.go_on, (key, goes_on), lambda: gr.Button(interactive=goes_on)),
            Part(self.download, paths[0], functools.partial(show_download, paths[0])),
            Part(self.card, paths[1], functools.partial(show_download, paths[1])),
        ]

    def _table_part(self, mine: Sequence[Job], shown: Job | None, order: str) -> Part:
        listed = [(one, self._read_accuracy(one)) for one in mine]
        facts = [(one.id, one.state, accuracy) for one, accuracy in listed]
        shown_id = shown.id if shown else ""
        return Part(
            self.table, (facts, shown_id, order), lambda: draw_jobs(listed, shown_id, order)
        )

    def _draw_result(self, job: Job) -> Drawn:
        shown = next(iter(self._shared.models.records.values())).data
        try:
            comparison = compare_with_start(self._jobs.folder(job), NAME, shown)
        except CheckpointError as error:
            return Drawn(render("message.html", message=explain(error), role="alert"))
        return draw_comparison(comparison, self._shared.gallery.find_image)

    def _copy_downloads(self, job: Job) -> tuple[str | None, str | None]:
        """Paths of copies of the model and its card that the browser may fetch: the folder of jobs
        itself is served to nobody."""
        folder = self._jobs.folder(job)
        try:
            card = folder / "README.md"
            if not card.exists():
                write_file(card, write_card(folder, job, self._shared.models.records).encode())
            cache = self.download.GRADIO_CACHE
            return copy_once(folder / f"{NAME}.safetensors", cache), copy_once(card, cache)
        except (OSError, CheckpointError):
            return None, None  # deleted in this moment, or no space

    def _read_accuracy(self, job: Job) -> float | None:
        """Of a job's model on the test images."""
        if not self._jobs.has_model(job):
            return None
        try:
            return _read_accuracy(self._jobs.folder(job), job.state)
        except CheckpointError:
            return None  # deleted in this moment


def link_job(job: Job | None) -> Link:
    """A link to a job that has ended; one that goes on is only its owner's."""
    return {JOB: f"{job.id}.{job.key}"} if job is not None and job.ended else {}


def draw_job_exports(job: Job) -> str:
    """Links to the files of what it changed."""
    return render("exports.html", exports=EXPORTS["job"], query=f"?job={job.id}.{job.key}")


def show_download(path: str | None) -> gr.DownloadButton:
    """A button that has something to give, or none."""
    return gr.DownloadButton(value=path, interactive=path is not None)


def draw_status(
    job: Job | None, progress: Progress, ahead: int, model: bool, stopping: bool
) -> str:
    """A job's state, and how far it is.

    Args:
        ahead: jobs before a queued one.
        model: it has ended and left one.
        stopping: it was asked to end, and saves its model.
    """
    if job is None:
        return render("message.html", message=words.NO_JOB, role="status")
    share, detail, last = 0.0, "", progress.summary
    if last is not None:
        share = last.step / last.total_steps
        detail = words.describe_progress(
            last.step, last.total_steps, last.images_per_s, last.remaining_s
        )
    if job.ended:
        detail = job.reason
        if model and job.state != DONE:
            detail = f"{detail} {words.describe_kept(last)}".strip()
    return render(
        "job.html",
        words=words,
        state=words.STOPPING if stopping else words.describe_state(job.state, ahead),
        detail=detail,
        share=1.0 if job.state == DONE else share,
        link=f"{job.id}.{job.key}",
    )


def draw_log(progress: Progress) -> str:
    """What a job said last."""
    log = [describe_event(event) for event in progress.last]
    return render("job_log.html", label=words.LOG, log=log) if log else ""


def copy_once(path: Path, cache: str) -> str:
    """The path of a file's copy in the folder that Gradio serves from."""
    status = path.stat()
    known = _copy(path, status.st_mtime_ns, cache)
    if not Path(known).exists():  # Gradio clears its folder from time to time
        _copy.cache_clear()
        known = _copy(path, status.st_mtime_ns, cache)
    return known


@functools.lru_cache(maxsize=256)
def _copy(path: Path, modified_ns: int, cache: str) -> str:
    copied: str = save_file_to_cache(path, cache)
    return copied


@functools.lru_cache(maxsize=1024)
def _read_accuracy(folder: Path, state: str) -> float:
    return load_record(folder, NAME).test.accuracy
