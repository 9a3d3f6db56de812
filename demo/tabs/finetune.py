"""Fine-tune: start a short job, watch it, and compare before with after."""

from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.faults import explain
from demo.jobs.backend import OWN, read_gpu_s
from demo.jobs.estimate import Estimate
from demo.jobs.store import Job, create_token
from demo.jobs.zero import declare_seconds
from demo.links import find_tab, read_link
from demo.server.addresses import name_sender_of
from demo.tabs.changes import Part, Shown, Values, collect_changes, read_token
from demo.tabs.form import Form
from demo.tabs.job_view import JobView
from demo.tabs.jobs_table import BEST_FIRST, ORDERS
from demo.tabs.shared import (
    QUIET,
    Shared,
    create_html,
    keep_link,
    read_choice,
    refuse,
)
from demo.tabs.starts import Starts, write_fill, write_go_on
from demo.tabs.taught_pictures import TaughtPicturesPanel
from demo.templates import render
from demo.words import finetune as words
from demo.words.common import FINETUNE_TAB
from trainer.data import count_sample_training
from trainer.errors import QuartetError
from trainer.recipe import JobSettings

AT_ONCE = 16
"""Visitors who are answered at the same time."""
NOT_ON_FORM = ("start", "image_px", "own_repeats", "evaluated")
"""Settings that follow from the start or are the same for all; the start has its own place."""
CLEAR = "() => null"
NEW_TOKEN = """(token) => token || Array.from(
  crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")
).join("")"""
"""JavaScript: a visitor's token. Made in the browser, so that no two answers bring each its own."""
OPEN_PANEL = """(preset) => preset === "teach"
  ? {__type__: "update", open: true} : {__type__: "update"}"""


class FinetuneTab:
    """The form, the visitor's pictures, and the job on screen.

    The page itself holds what it shows (`shown`: a job's id, and where a link named it, a dot and
    its key; `order`; `sent`; the ids of pictures), in fields that nobody sees: sessions on the
    server are few and the oldest is dropped.
    """

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._shared, self._jobs, self._tab = shared, shared.jobs, tab
        self._owner = shared.owner
        self.starts = Starts(shared.models, shared.jobs)
        self._at_hand = count_sample_training()
        if self._jobs.backend.full_data:
            self._at_hand = next(iter(shared.models.records.values())).data.train_count
        self.view = JobView(shared)
        self._draw()
        self._wire()

    def _draw(self) -> None:
        whole, place = self._jobs.backend.full_data, self._jobs.backend.place
        gr.Markdown(words.describe_finetuning(whole, self._at_hand, place))
        self.shown = gr.Textbox("", visible="hidden", elem_id="shown-job")
        self.order = gr.Textbox(BEST_FIRST, visible="hidden", elem_id="jobs-order")
        self.sent = gr.JSON({}, visible="hidden", elem_id="sent")
        self.fills = gr.JSON(self.starts.list_fills([], ""), visible="hidden", elem_id="form-fills")
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self._draw_form()
            with gr.Column(scale=3, min_width=320):
                self.view.draw_watched()
        self.view.draw_result()

    def _draw_form(self) -> None:
        self.first = self.starts.own_settings(next(iter(self._shared.models.records)), "")
        choices = {"start": self.starts.list_choices([])}
        self.form = Form(self.first, choices, words.INFOS)
        self.form.add("start")
        self.preset = gr.Radio(
            [(label, name) for name, label in words.PRESETS.items()],
            label=words.PRESET,
            info=words.PRESET_INFO,
            elem_id="preset",
        )
        self.form.add("trained")
        with gr.Row():
            self.form.add("epochs", "steps", "images")
        with gr.Accordion(words.MORE_SETTINGS, open=False):
            self.form.add_others(but=NOT_ON_FORM)
        self.panel = TaughtPicturesPanel(self._shared)
        self.gpu = gr.Checkbox(
            False,
            label=words.USE_GPU,
            info=words.USE_GPU_INFO,
            visible=self._jobs.backend.offers_gpu,
            elem_id="use-gpu",
        )
        self.estimate = create_html(elem_id="estimate")
        self.fitting = gr.Number(0, visible="hidden", elem_id="fitting")
        self.fit = gr.Button(visible=False, elem_id="fit")
        self.start = gr.Button(words.START_JOB, variant="primary", elem_id="start-job")

    def _wire(self) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        view, panel = self.view, self.panel
        form: set[Block] = {*self.form.controls.values(), self.gpu}
        looked: set[Block] = {self._owner, self.shown, self.order, self.sent, view.asked}
        drawn = [*looked, self.fills, self.form.controls["start"], *view.list_components()]
        self._wire_form(form, raw)
        panel.wire()
        keep_link(FINETUNE_TAB, view.link)
        self._tab.select(self._jobs.prepare, None, None, **QUIET)
        self._tab.select(self.on_look, looked, drawn, **raw)
        self._tab.select(self.on_pictures, {self._owner}, [panel.drawn, panel.ids], **raw)
        self._shared.blocks.load(None, [self._owner], [self._owner], js=NEW_TOKEN, **QUIET)
        loaded = [*drawn, panel.drawn, panel.ids, self._shared.tabs]
        self._shared.blocks.load(self.on_load, looked, loaded, **raw)
        self.start.click(self.on_start, looked | form | {panel.ids}, [*drawn, self.estimate], **raw)
        view.timer.tick(self.on_look, looked, drawn, **raw)
        for button, handler in (
            (view.again, self.on_again),
            (view.stop, self.on_stop),
            (view.ask, self.on_ask),
            (view.keep, self.on_keep),
            (view.delete, self.on_delete),
        ):
            button.click(handler, looked, drawn, **raw)
        view.table.click(self.on_choose, looked, drawn, **raw)

    def _wire_form(self, form: set[Block], raw: dict[str, Any]) -> None:
        """Filling the form happens in the browser alone, at once: an answer from here could come
        after something was typed, or after Start."""
        controls = dict(self.form.controls)
        start = controls.pop("start")
        names, fields = list(controls), list(controls.values())
        for chosen in (start, self.preset):
            chosen.input(
                None,
                [start, self.preset, self.fills, *fields],
                fields,
                js=write_fill(names),
                **QUIET,
            )
        self.preset.input(None, [self.preset], [self.panel.accordion], js=OPEN_PANEL, **QUIET)
        for field in fields:
            field.input(None, None, [self.preset], js=CLEAR, **QUIET)
        self.view.go_on.click(
            None,
            [self.shown, self.fills, start, self.preset, *fields],
            [start, self.preset, *fields],
            js=write_go_on(names),
            **QUIET,
        )
        self.fit.click(
            None,
            [self.fitting],
            [controls["images"], self.preset],
            js="(fitting) => [fitting, null]",
            **QUIET,
        )
        gr.on(
            [
                self._tab.select,
                self.panel.ids.change,
                self.gpu.change,
                self.fills.change,  # a job has ended: its time is known
                *(control.change for control in (start, *fields)),
            ],
            self.on_form,
            form | {self._owner, self.panel.ids},
            [self.estimate, self.fit, self.fitting],
            trigger_mode="always_last",
            **raw,
        )

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a job's link."""
        token = read_token(values, self._owner)
        link = str(request.query_params.get("job", ""))
        answer = self._look(values, shown=link)
        named = find_tab(read_link(dict(request.query_params))) == FINETUNE_TAB
        if named or self._find(token, link)[0] is not None:
            answer[self._shared.tabs] = gr.Tabs(selected=FINETUNE_TAB)
        return answer | self.panel.show(token)

    def on_look(self, values: Values) -> Shown:
        """What is new of the job on screen."""
        return self._look(values)

    def on_pictures(self, values: Values) -> Shown:
        """The visitor's pictures, some of which may come from another tab."""
        return self.panel.show(read_token(values, self._owner))

    def on_start(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with what the form and the panel show, and shows it; or says what is
        wrong."""
        token = read_token(values, self._owner) or create_token()
        try:
            settings = self._read_settings(values, token)
            gpu_s = self._declare_gpu(values, settings)
            ids, sender = self._read_ids(values), name_sender_of(request)
            job = self._jobs.start(settings, token, ids, sender, gpu_s)
        except QuartetError as error:
            return {self.estimate: draw_error(error)}
        held = {**values, self._owner: token}
        return {self._owner: token, **self._look(held, shown=job.id, asked="")}

    def on_again(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with the settings and pictures of the one on screen, and shows it."""
        token = read_token(values, self._owner) or create_token()
        job, _ = self._find(token, values[self.shown])
        if job is None or job.settings is None:
            raise refuse(words.NOT_SHOWN)
        try:
            gpu_s = read_gpu_s(self._jobs.folder(job))
            pictures, sender = self._teach_again(job, token), name_sender_of(request)
            again = self._jobs.start(job.settings, token, pictures, sender, gpu_s)
        except QuartetError as error:
            raise refuse(explain(error)) from error
        held = {**values, self._owner: token}
        return {self._owner: token, **self._look(held, shown=again.id, asked="")}

    def on_stop(self, values: Values) -> Shown:
        """Asks the job on screen to end; what it has learned is kept."""
        job, secret = self._find(read_token(values, self._owner), values[self.shown])
        if job is not None:
            self._jobs.stop(job.id, secret)
        return self._look(values)

    def on_ask(self, values: Values) -> Shown:
        """Asks whether the job on screen is to be deleted."""
        job, _ = self._find(read_token(values, self._owner), values[self.shown])
        return self._look(values, asked="" if job is None else job.id)

    def on_keep(self, values: Values) -> Shown:
        """It is not."""
        return self._look(values, asked="")

    def on_delete(self, values: Values) -> Shown:
        """It is: the job that was asked about, and no other that came on screen since."""
        job, secret = self._find(read_token(values, self._owner), values[self.shown])
        if job is not None and job.id == values[self.view.asked]:
            self._jobs.delete(job.id, secret)
        return self._look(values, asked="")

    def on_choose(self, values: Values, event: gr.EventData) -> Shown:
        """A job of the list to show, or a column to sort it by."""
        choice = read_choice(event)
        if choice in ORDERS:
            return self._look(values, order=choice)
        return self._look(values, shown=choice, asked="")

    def on_form(self, values: Values) -> Shown:
        """How long the job would take, or what is wrong with it."""
        hidden = gr.Button(visible=False)
        try:
            settings = self._read_settings(values, read_token(values, self._owner))
        except QuartetError as error:
            return {self.estimate: draw_error(error), self.fit: hidden}
        estimate = self._estimate(values, settings)
        said = words.describe_estimate(estimate.seen, estimate.seconds)
        gpu_s = self._declare_gpu(values, settings)
        if gpu_s is not None:
            said = f"{said} {words.describe_gpu(gpu_s)}"
        if estimate.fits or gpu_s is not None:
            return {self.estimate: draw_estimate(said), self.fit: hidden}
        fitting = estimate.fitting_images
        said += f" {words.describe_too_long(self._jobs.limits.wall_s, fitting)}"
        button = hidden
        if fitting is not None:
            button = gr.Button(words.fit_label(fitting), visible=True)
        return {
            self.estimate: draw_estimate(said, wrong=True),
            self.fit: button,
            self.fitting: fitting or 0,
        }

    def _estimate(self, values: Values, settings: JobSettings) -> Estimate:
        """How long the job on the form would take, where it is to run."""
        pictures = len(self._read_ids(values))
        return self._jobs.estimate(settings, self._at_hand, pictures, values[self.gpu] is True)

    def _declare_gpu(self, values: Values, settings: JobSettings) -> float | None:
        """For how long a GPU is asked for, where it is."""
        if values[self.gpu] is not True or not self._jobs.backend.offers_gpu:
            return None
        return declare_seconds(self._estimate(values, settings).seconds)

    def _look(self, values: Values, **changed: str) -> Shown:
        """What the page does not show yet.

        Args:
            changed: `shown`, `order` or `asked`, where it is another than the page holds.
        """
        token = read_token(values, self._owner)
        fields = {"shown": self.shown, "order": self.order, "asked": self.view.asked}
        held = {name: str(values[field] or "") for name, field in fields.items()} | changed
        mine = self._jobs.of_owner(token) if token else []
        job = self._find(token, held["shown"])[0] or (mine[0] if mine else None)
        if job is None or not held["shown"].startswith(job.id):
            # What is named on the page is what is drawn: Stop and Delete must hit no other.
            held["shown"] = job.id if job else ""
        starts = self.starts.list_choices(mine)
        parts = [
            *self.view.list_parts(job, mine, held["order"], held["asked"]),
            Part(self.form.controls["start"], starts, lambda: gr.Dropdown(choices=starts)),
            Part(self.fills, starts, lambda: self.starts.list_fills(mine, token)),
        ]
        answer, marks = collect_changes(parts, values[self.sent])
        for name, field in fields.items():
            if held[name] != values[field]:
                answer[field] = held[name]
        return {**answer, self.sent: marks}

    def _find(self, token: str, shown: str) -> tuple[Job | None, str]:
        """The job that the page names, and the secret that opens it to this visitor."""
        job_id, _, key = str(shown or "").partition(".")
        for secret in (token, key):
            job = self._jobs.find(job_id, secret) if secret else None
            if job is not None:
                return job, secret
        return None, ""

    def _read_settings(self, values: Values, token: str) -> JobSettings:
        """What the form shows.

        Raises:
            QuartetError: something of it is wrong.
        """
        given = self.form.read(values)
        settings = self.starts.own_settings(str(given["start"] or ""), token).changed(**given)
        self._jobs.check(settings, len(self._read_ids(values)))
        return settings

    def _read_ids(self, values: Values) -> list[str]:
        """Of the pictures that the page shows."""
        ids = values[self.panel.ids]
        return [str(one) for one in ids] if isinstance(ids, list) else []

    def _teach_again(self, job: Job, token: str) -> list[str]:
        """Ids of a job's own pictures, which become the visitor's again."""
        taught = []
        for path in sorted((self._jobs.folder(job) / OWN).glob("*/*.png")):
            content = path.read_bytes()
            self._jobs.pictures.add(token, path.parent.name, content)
            taught.append(content)
        return [
            one.id for one in self._jobs.pictures.of_owner(token) if one.path.read_bytes() in taught
        ]


def draw_estimate(said: str, wrong: bool = False, setting: str = "") -> str:
    """The sentence above Start.

    Args:
        setting: the one that is wrong; its field is marked.
    """
    return render("estimate.html", said=said, wrong=wrong, setting=setting)


def draw_error(error: QuartetError) -> str:
    """Why nothing can start with what the form holds."""
    setting = error.facts.get("setting", "")
    known = setting if setting in JobSettings.model_fields else ""
    return draw_estimate(explain(error), wrong=True, setting=known)
