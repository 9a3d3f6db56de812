"""Fine-tune: start a short job, watch it, and compare before with after."""

from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.faults import explain
from demo.jobs.backend import OWN, read_gpu_s
from demo.jobs.store import Job, create_token
from demo.links import JOB, TAB, find_tab, name_slug, read_link
from demo.server.addresses import name_sender_of
from demo.tabs.beside import BesidePart
from demo.tabs.changes import Part, Shown, Values, collect_changes, read_token
from demo.tabs.job_form import JobForm, draw_error
from demo.tabs.job_view import JobView, link_job
from demo.tabs.jobs_table import BEST_FIRST, ORDERS
from demo.tabs.shared import (
    AT_ONCE,
    QUIET,
    Shared,
    create_html,
    create_tab,
    keep_link,
    read_choice,
    refuse,
)
from demo.tabs.teach import TeachPart
from demo.templates import render
from demo.words import finetune as words
from demo.words.common import FINETUNE_TAB, TEACH_TAB
from trainer.errors import QuartetError

NEW_TOKEN = """(token) => token || Array.from(
  crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")
).join("")"""
"""JavaScript: a visitor's token. Made in the browser, so that no two answers bring each its own."""


class FinetuneTab:
    """The form and the job on screen, and beside them, as a part of its own, "Teach it".

    The page itself holds what it shows (`shown`: a job's id, and where a link named it, a dot and
    its key; `order`; `sent`; the ids of pictures), in fields that nobody sees: sessions on the
    server are few and the oldest is dropped.
    """

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._shared, self._jobs, self._tab = shared, shared.jobs, tab
        self._owner = shared.owner
        self.teach = TeachPart(shared)
        self.form = JobForm(shared, self.teach.buckets.ids)
        self.view, self.beside = JobView(shared), BesidePart(shared)
        self._draw()
        self._wire()

    def _draw(self) -> None:
        link = f"?{TAB}={name_slug(FINETUNE_TAB)}"
        create_html(
            render("not_kept.html", said=words.NOT_KEPT, link=link, open=words.OPEN_ALONE),
            elem_id="not-kept",
        )
        self.shown = gr.Textbox("", visible="hidden", elem_id="shown-job")
        self.order = gr.Textbox(BEST_FIRST, visible="hidden", elem_id="jobs-order")
        self.sent = gr.JSON({}, visible="hidden", elem_id="sent")
        self.link = gr.JSON({}, visible="hidden", elem_id="finetune-link")
        with gr.Tabs(elem_id="finetune-parts") as self.parts:
            with create_tab(FINETUNE_TAB, words.FORM_TAB, FINETUNE_TAB):
                self._draw_form()
            with create_tab(TEACH_TAB, whole=FINETUNE_TAB) as self._teach_tab:
                self.teach.draw()

    def _draw_form(self) -> None:
        whole, place = self._jobs.backend.full_data, self._jobs.backend.place
        gr.Markdown(words.describe_finetuning(whole, self.form.at_hand, place))
        self.form.draw_first()
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self.form.draw_rest()
            with gr.Column(scale=3, min_width=320):
                self.form.draw_start()
                self.view.draw_watched()
        self.view.draw_result()
        self.beside.draw()

    def _wire(self) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        view, form, beside = self.view, self.form, self.beside
        held: set[Block] = {self._owner, self.shown, self.order, self.sent, view.asked}
        looked = held | {beside.chosen}
        drawn = [*held, self.link, form.fills, form.controls["start"], *view.list_components()]
        drawn += beside.list_components()
        form.wire(self._tab, self.shown, view.go_on)
        keep_link(FINETUNE_TAB, self.link)
        self._tab.select(self._jobs.prepare, None, None, **QUIET)
        self._tab.select(self.on_look, looked, drawn, **raw)
        form.teach.click(lambda: gr.Tabs(selected=TEACH_TAB), None, [self.parts], **QUIET)
        self.teach.wire([self._tab.select, self._teach_tab.select])
        self._shared.blocks.load(None, [self._owner], [self._owner], js=NEW_TOKEN, **QUIET)
        loaded = [*drawn, *self.teach.buckets.changed, self._shared.tabs, self.parts]
        opened = looked | {self.teach.buckets.labels}
        self._shared.blocks.load(self.on_load, opened, loaded, **raw)
        started = [*drawn, form.estimate, form.refused]
        form.start.click(self.on_start, looked | form.fields, started, **raw)
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
        beside.chosen.input(self.on_look, looked, drawn, trigger_mode="always_last", **raw)

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to a job, or to some beside each other."""
        token, link = read_token(values, self._owner), read_link(dict(request.query_params))
        chosen = self.beside.read_link(link)
        answer = self._look({**values, self.beside.chosen: chosen}, shown=link.get(JOB, ""))
        if chosen:
            answer[self.beside.chosen] = self.beside.choose(self._jobs.of_owner(token), chosen)
        named, job = find_tab(link), self._find(token, link.get(JOB, ""))[0]
        if named in (FINETUNE_TAB, TEACH_TAB) or job is not None:
            answer[self._shared.tabs] = gr.Tabs(selected=FINETUNE_TAB)
        if named == TEACH_TAB:
            answer[self.parts] = gr.Tabs(selected=TEACH_TAB)
        return answer | self.teach.on_pictures(values)

    def on_look(self, values: Values) -> Shown:
        """What is new of the job on screen."""
        return self._look(values)

    def on_start(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with what the form and the panel show, and shows it; or says why it cannot
        start. What is wrong with the form is the form's to say."""
        token, form = read_token(values, self._owner) or create_token(), self.form
        try:
            settings = form.read_settings(values, token)
        except QuartetError:
            return form.refuse()
        gpu_s = form.declare_gpu(values, settings)
        ids, sender = form.read_ids(values), name_sender_of(request)
        try:
            job = self._jobs.start(settings, token, ids, sender, gpu_s)
        except QuartetError as error:
            return {form.estimate: draw_error(error)}
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
        starts = self.form.starts.list_choices(mine)
        chosen = self.beside.read(values[self.beside.chosen])
        link = {**link_job(job), **self.beside.to_link(chosen)}
        parts = [
            *self.view.list_parts(job, mine, held["order"], held["asked"]),
            *self.beside.list_parts(mine, chosen),
            Part(self.link, link, lambda: link),
            Part(self.form.controls["start"], starts, lambda: gr.Dropdown(choices=starts)),
            Part(self.form.fills, starts, lambda: self.form.starts.list_fills(mine, token)),
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
