"""Teach it: pictures into buckets, Train, and the new model's answer beside the four's."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.utils import get_upload_folder

from demo.comparison import compare_with_start
from demo.faults import explain
from demo.jobs.backend import NAME
from demo.jobs.progress import Progress
from demo.jobs.store import Job
from demo.lessons.table import FORGETTING, LESSONS, MIXED
from demo.models import LARGEST_BATCH, Look
from demo.tabs.cards import draw_cards, draw_message
from demo.tabs.changes import Part, Shown, Values, collect_changes, read_token
from demo.tabs.job_result import draw_summary
from demo.tabs.job_view import WATCHED_S, draw_status
from demo.tabs.shared import AT_ONCE, QUIET, Shared, create_html
from demo.tabs.subjects import Sitter, Sitting
from demo.tabs.teach.buckets import Buckets
from demo.tabs.visitor import Visitor
from demo.templates import embed, render
from demo.uploads import encode_pixels, read_pixels
from demo.words import teach as words
from demo.words.compare import describe_seen
from trainer.errors import CheckpointError, PictureError, QuartetError


class TeachPart:
    """One screen. What it trains are jobs as all others, with the settings of the lesson on
    forgetting that keep what the model knows, as `make lessons` measures; it finds them again by
    those settings."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._jobs, self._models = shared, shared.jobs, shared.models
        self._owner = shared.owner
        self._sitter = Sitter(shared.models, shared.jobs, shared.banks)
        recipes = {name: one.recipe for name, one in shared.models.records.items()}
        self.settings = LESSONS[FORGETTING].settings(MIXED, recipes)
        self.buckets = Buckets(shared)
        self.sent = gr.JSON({}, visible="hidden", elem_id="teach-sent")
        self.tried = gr.Textbox("", visible="hidden", elem_id="tried-picture")
        self.timer = gr.Timer(WATCHED_S, active=False)

    def draw(self) -> None:
        """All that is seen."""
        with gr.Row(elem_id="teach"):
            with gr.Column(min_width=320):
                create_html(
                    render("camera.html", words=words),
                    js_on_load="window.quartet.watchCamera(element);",
                    elem_id="camera",
                )
                self.buckets.draw()
                self.said = create_html(elem_id="train-said")
                with gr.Row(elem_id="train-row"):
                    self.train = gr.Button(
                        words.TRAIN, variant="primary", min_width=120, elem_id="train"
                    )
                    self.status = create_html(scale=2, min_width=200, elem_id="taught-job")
                gr.Markdown(words.describe_keeping(self._jobs.limits), elem_classes="q-note")
            with gr.Column(min_width=320):
                self.forgot = create_html(elem_id="forgot")
                self.trying = create_html(
                    render("try.html", words=words),
                    js_on_load="window.quartet.watchTry(element, trigger);",
                    elem_id="try",
                )
                self.answer = create_html(draw_message(words.NOTHING_TRIED), elem_id="tried")
                self.cards = create_html(elem_id="tried-cards")

    def wire(self, on_screen: Sequence[Callable[..., Any]]) -> None:
        """Connects the screen's own events.

        Args:
            on_screen: events after which it may be on screen.
        """
        raw: dict[str, Any] = {"preprocess": False, **QUIET}
        self.buckets.wire()
        held: set[Block] = {self._owner, self.sent, self.tried}
        drawn = [*self.list_components(), self.sent]
        gr.on(
            [*on_screen, self.timer.tick], self.on_look, held, drawn,
            concurrency_limit=AT_ONCE, **raw,
        )  # fmt: skip
        gr.on(
            on_screen, self.on_pictures, {self._owner, self.buckets.labels}, self.buckets.changed,
            concurrency_limit=AT_ONCE, **raw,
        )  # fmt: skip
        self.trying.upload(
            self.on_try,
            {self._owner},
            [self.answer, self.cards, self.tried],
            trigger_mode="always_last",
            concurrency_limit=LARGEST_BATCH,
            **raw,
        )
        self.train.click(
            self.on_train,
            held | {self.buckets.ids},
            [*drawn, self.said, self._owner],
            concurrency_limit=AT_ONCE,
            **raw,
        )

    def on_pictures(self, values: Values) -> Shown:
        """The visitor's pictures, some of which may come from another tab."""
        return self.buckets.show(read_token(values, self._owner), values[self.buckets.labels])

    def on_train(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with the pictures that the page shows, or says why it cannot start."""
        visitor = self._shared.read_visitor(values, request).with_token()
        ids = values[self.buckets.ids]
        if not isinstance(ids, list) or not ids:
            return {self.said: draw_refusal(words.NOTHING_TO_LEARN)}
        try:
            self._jobs.start(
                self.settings,
                visitor.token,
                list(map(str, ids)),
                visitor.sender,
                account=visitor.owner,
            )
        except QuartetError as error:
            return {self.said: draw_refusal(explain(error))}
        return {
            self._owner: visitor.token,
            self.said: "",
            **self.on_look({**values, self._owner: visitor.token}, request),
        }

    def on_look(self, values: Values, request: gr.Request | None = None) -> Shown:
        """What the page does not show yet."""
        visitor = self._shared.read_visitor(values, request)
        parts = self._list_parts(visitor, str(values[self.tried] or ""))
        answer, marks = collect_changes(parts, values[self.sent])
        return {**answer, self.sent: marks}

    def on_try(self, values: Values, event: gr.EventData, request: gr.Request) -> Shown:
        """What the new model and the four say of a picture, which may be what a camera sees."""
        visitor = self._shared.read_visitor(values, request)
        files = getattr(event, "files", None)
        path = files[0] if isinstance(files, list) and files else None
        try:
            pixels = read_pixels({"path": path}, Path(get_upload_folder()), client=visitor.sender)
        except PictureError as error:
            return {
                self.answer: draw_message(explain(error), error=True),
                self.cards: "",
                self.tried: "",
            }
        look = self._models.look(pixels)
        _, trained = self._find_jobs(visitor)
        return {**self._draw_answers(look, trained), self.tried: look.key}

    def list_components(self) -> set[Block]:
        """All that a look changes."""
        return {part.component for part in self._list_parts(Visitor(""), "")}

    def _list_parts(self, visitor: Visitor, tried: str) -> list[Part]:
        """All that is shown but for the pictures.

        Args:
            tried: the key of the picture that was tried last; it is answered anew where the model
                is another.
        """
        job, trained = self._find_jobs(visitor)
        progress = self._jobs.watch(job) if job else Progress()
        on = job is not None and not job.ended
        stopping = job is not None and self._jobs.is_stopping(job)
        ahead = self._jobs.position(job) if job else 0
        key, model = job and (job.id, job.state, stopping), trained and trained.id
        look = self._models.recall(tried) if tried else None

        def draw_job() -> str:
            kept = job is not None and self._jobs.has_model(job)
            return draw_status(job, progress, ahead, kept, stopping) if job else ""

        def draw_answers() -> Shown:
            return self._draw_answers(look, trained) if look else {}

        return [
            Part(self.status, (key, ahead, job and job.reason, progress.summary), draw_job),
            Part(self.train, on, lambda: gr.Button(interactive=not on)),
            Part(self.timer, on, lambda: gr.Timer(value=WATCHED_S, active=on)),
            Part(self.forgot, model, lambda: self._draw_forgotten(trained)),
            Part(self.answer, model, lambda: draw_answers().get(self.answer, gr.skip())),
            Part(self.cards, model, lambda: draw_answers().get(self.cards, gr.skip())),
        ]

    def _find_jobs(self, visitor: Visitor) -> tuple[Job | None, Job | None]:
        """The visitor's newest job of this screen, and the newest of those that has a model."""
        mine = self._jobs.of_owner(*visitor.secrets)
        taught = [job for job in mine if job.settings == self.settings]
        trained = next((job for job in taught if self._jobs.has_model(job)), None)
        return (taught[0] if taught else None), trained

    def _draw_forgotten(self, trained: Job | None) -> str:
        """What a job made its model forget."""
        if trained is None:
            return ""
        shown = next(iter(self._models.records.values())).data
        try:
            comparison = compare_with_start(self._jobs.folder(trained), NAME, shown)
        except CheckpointError as error:
            return draw_refusal(explain(error))
        return draw_summary(comparison, words.FORGOTTEN)

    def _draw_answers(self, look: Look, trained: Job | None) -> Shown:
        """The picture and what is said of it, the new model before the four."""
        sitting = self._sitter.sit_with(look, trained)
        subjects = sorted(sitting.subjects, key=lambda one: one.name != NAME)
        ordered: Sitting = dataclasses.replace(sitting, subjects=tuple(subjects))
        first = subjects[0]
        own = first.said["answer"] if first.name == NAME else ""
        answer = render(
            "tried.html",
            source=embed(encode_pixels(look.pixels)),
            alt=describe_seen(look.pixels.shape[-1]),
            said=words.describe_answers(own, look.said["agreement"]),
        )
        return {self.answer: answer, self.cards: draw_cards(ordered, None, compact=True)}


def draw_refusal(said: str) -> str:
    """Why nothing could be done."""
    return render("refusal.html", said=said)
