"""Fine-tune: start a short job, watch it, and compare before with after."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.faults import explain
from demo.jobs.backend import OWN, read_gpu_s
from demo.jobs.store import Job
from demo.links import JOB, TAB, Link, find_tab, name_slug, read_link
from demo.tabs.account import AccountPart
from demo.tabs.beside import BesidePart
from demo.tabs.changes import Part, Shown, Values, collect_changes
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
from demo.tabs.visitor import Visitor
from demo.templates import render
from demo.words import finetune as words
from demo.words.common import FINETUNE_TAB, TEACH_TAB
from trainer.errors import QuartetError
from trainer.recipe import JobSettings

PUBLISHED_AT_ONCE = 2
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
        self.account = AccountPart(shared)
        self._draw()
        self._wire()

    def _draw(self) -> None:
        link = f"?{TAB}={name_slug(FINETUNE_TAB)}"
        create_html(
            render("not_kept.html", said=words.NOT_KEPT, link=link, open=words.OPEN_ALONE),
            elem_id="not-kept",
        )
        self.account.draw_signing_in()
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
        self.account.draw_publishing()
        self.view.draw_list()
        self.beside.draw()

    def _wire(self) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        view, form, beside = self.view, self.form, self.beside
        held: set[Block] = {self._owner, self.shown, self.order, self.sent, view.asked}
        looked = held | {beside.chosen, form.pay}
        drawn = [*held, self.link, *view.list_components(), *beside.list_components()]
        drawn += [part.component for part in self._list_account_parts(Visitor(""), None, [], {})]
        drawn += [form.fills, form.controls["start"]]
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
        if self._shared.accounts is not None:
            published = [self.account.published]
            publishing = {**raw, "concurrency_limit": PUBLISHED_AT_ONCE, "show_progress": "full"}
            self.account.publish.click(
                self.on_publish, held | self.account.fields, published, **publishing
            )

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to a job, or to some beside each other."""
        visitor, link = self._read(values, request), read_link(dict(request.query_params))
        chosen, shown = self.beside.read_link(link), link.get(JOB, "")
        answer = self._look({**values, self.beside.chosen: chosen}, visitor, shown=shown)
        if chosen:
            mine = self._jobs.of_owner(*visitor.secrets)
            answer[self.beside.chosen] = self.beside.choose(mine, chosen)
        named, job = find_tab(link), self._find(visitor, shown)[0]
        if named in (FINETUNE_TAB, TEACH_TAB) or job is not None:
            answer[self._shared.tabs] = gr.Tabs(selected=FINETUNE_TAB)
        if named == TEACH_TAB:
            answer[self.parts] = gr.Tabs(selected=TEACH_TAB)
        return answer | self.teach.on_pictures(values)

    def on_look(self, values: Values, request: gr.Request | None = None) -> Shown:
        """What is new of the job on screen."""
        return self._look(values, self._read(values, request))

    def on_start(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with what the form and the panel show, and shows it; or says why it cannot
        start. What is wrong with the form is the form's to say."""
        visitor, form = self._read(values, request).with_token(), self.form
        try:
            settings = form.read_settings(values, visitor)
        except QuartetError:
            return form.refuse()
        gpu_s = form.declare_gpu(values, settings)
        try:
            job = self._start(values, visitor, settings, form.read_ids(values), gpu_s)
        except QuartetError as error:
            return {form.estimate: draw_error(error)}
        return self._look_after(values, visitor, job)

    def on_again(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts a job with the settings and pictures of the one on screen, and shows it."""
        visitor = self._read(values, request).with_token()
        job, _ = self._find(visitor, values[self.shown])
        if job is None or job.settings is None:
            raise refuse(words.NOT_SHOWN)
        try:
            gpu_s = read_gpu_s(self._jobs.folder(job))
            pictures = self._teach_again(job, visitor.token)
            again = self._start(values, visitor, job.settings, pictures, gpu_s)
        except QuartetError as error:
            raise refuse(explain(error)) from error
        return self._look_after(values, visitor, again)

    def on_stop(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Asks the job on screen to end; what it has learned is kept."""
        visitor = self._read(values, request)
        job, secret = self._find(visitor, values[self.shown])
        if job is not None:
            self._jobs.stop(job.id, secret)
        return self._look(values, visitor)

    def on_ask(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Asks whether the job on screen is to be deleted."""
        visitor = self._read(values, request)
        job, _ = self._find(visitor, values[self.shown])
        return self._look(values, visitor, asked="" if job is None else job.id)

    def on_keep(self, values: Values, request: gr.Request | None = None) -> Shown:
        """It is not."""
        return self._look(values, self._read(values, request), asked="")

    def on_delete(self, values: Values, request: gr.Request | None = None) -> Shown:
        """It is: the job that was asked about, and no other that came on screen since."""
        visitor = self._read(values, request)
        job, secret = self._find(visitor, values[self.shown])
        if job is not None and job.id == values[self.view.asked]:
            self._jobs.delete(job.id, secret)
        return self._look(values, visitor, asked="")

    def on_choose(
        self, values: Values, event: gr.EventData, request: gr.Request | None = None
    ) -> Shown:
        """A job of the list to show, or a column to sort it by."""
        visitor, choice = self._read(values, request), read_choice(event)
        if choice in ORDERS:
            return self._look(values, visitor, order=choice)
        return self._look(values, visitor, shown=choice, asked="")

    def on_publish(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Publishes the model of the job on screen, where it is the visitor's own: whoever has its
        link may look at it, and not put their name to it."""
        visitor = self._read(values, request)
        job, _ = self._find(visitor, values[self.shown])
        mine = job in self._jobs.of_owner(*visitor.secrets)
        return self.account.answer(values, visitor, job if mine else None)

    def _read(self, values: Values, request: gr.Request | None) -> Visitor:
        return self._shared.read_visitor(values, request)

    def _start(
        self,
        values: Values,
        visitor: Visitor,
        settings: JobSettings,
        pictures: Sequence[str],
        gpu_s: float | None,
    ) -> Job:
        """Queues a job of the visitor's, at whose cost the form says.

        Raises:
            QuartetError: it cannot start.
        """
        payer = self.form.read_payer(values, visitor)
        return self._jobs.start(
            settings, visitor.token, pictures, visitor.sender, gpu_s, visitor.owner, payer
        )

    def _look_after(self, values: Values, visitor: Visitor, job: Job) -> Shown:
        """What the page does not show yet, once it shows a job that was started."""
        token = visitor.token
        held = {**values, self._owner: token}
        return {self._owner: token, **self._look(held, visitor, shown=job.id, asked="")}

    def _look(self, values: Values, visitor: Visitor, **changed: str) -> Shown:
        """What the page does not show yet.

        Args:
            changed: `shown`, `order` or `asked`, where it is another than the page holds.
        """
        fields = {"shown": self.shown, "order": self.order, "asked": self.view.asked}
        held = {name: str(values[field] or "") for name, field in fields.items()} | changed
        mine = self._jobs.of_owner(*visitor.secrets)
        job = self._find(visitor, held["shown"])[0] or (mine[0] if mine else None)
        if job is None or not held["shown"].startswith(job.id):
            # What is named on the page is what is drawn: Stop and Delete must hit no other.
            held["shown"] = job.id if job else ""
        starts = self.form.starts.list_choices(mine)
        chosen = self.beside.read(values[self.beside.chosen])
        link = {**link_job(job), **self.beside.to_link(chosen)}
        parts = [
            *self.view.list_parts(job, mine, held["order"], held["asked"]),
            *self.beside.list_parts(mine, chosen),
            *self._list_account_parts(visitor, job, mine, link),
            Part(self.link, link, lambda: link),
            Part(self.form.controls["start"], starts, lambda: gr.Dropdown(choices=starts)),
            Part(self.form.fills, starts, lambda: self.form.starts.list_fills(mine, visitor)),
        ]
        answer, marks = collect_changes(parts, values[self.sent])
        for name, field in fields.items():
            if held[name] != values[field]:
                answer[field] = held[name]
        return {**answer, self.sent: marks}

    def _list_account_parts(
        self, visitor: Visitor, job: Job | None, mine: Sequence[Job], link: Link
    ) -> list[Part]:
        """What is shown of who is signed in, and of what they may do."""
        own = job is not None and job in mine and self._jobs.has_model(job)
        parts = self.account.list_parts(visitor, job, own, link)
        return parts + self.form.list_paying_parts(visitor)

    def _find(self, visitor: Visitor, shown: str) -> tuple[Job | None, str]:
        """The job that the page names, and the secret that opens it to this visitor."""
        job_id, _, key = str(shown or "").partition(".")
        for secret in (*visitor.secrets, key):
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
