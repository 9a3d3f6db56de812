"""Signing in, and publishing a job's model. Nothing of it is drawn where the owner has not turned
it on."""

from urllib.parse import urlencode

import gradio as gr
from gradio.blocks import Block

from demo.accounts.sessions import Account
from demo.faults import explain
from demo.jobs.store import Job
from demo.links import TAB, Link, name_slug
from demo.publishing import Publisher
from demo.server.routes import LOGIN, LOGOUT
from demo.tabs.changes import Part, Shown, Values
from demo.tabs.shared import Shared, create_html
from demo.tabs.visitor import Visitor
from demo.templates import render
from demo.words import account as words
from demo.words.common import FINETUNE_TAB
from trainer.errors import QuartetError


class AccountPart:
    """Draws in two places, and tells what a look shows there. The tab answers events."""

    def __init__(self, shared: Shared) -> None:
        self._accounts, self._jobs = shared.accounts, shared.jobs
        self._publisher = Publisher(shared.jobs, shared.models.records)
        publishes = self._accounts is not None and self._accounts.may_publish
        self._why = words.WHY if publishes else words.WHY_ONLY_JOBS

    def draw_signing_in(self) -> None:
        """At the top."""
        if self._accounts is not None:
            self.signed = create_html(self._draw(None, {}), elem_id="account")

    def draw_publishing(self) -> None:
        """With what else can be done with a job's model."""
        if self._accounts is None:
            return
        with gr.Column(visible=False, elem_id="publishing") as self.publishing:
            with gr.Row():
                with gr.Column(scale=3, min_width=280):
                    self.name = gr.Textbox(
                        label=words.REPO, info=words.REPO_INFO, max_lines=1, elem_id="repo"
                    )
                with gr.Column(scale=1, min_width=160):
                    self.private = gr.Checkbox(False, label=words.PRIVATE, elem_id="private")
                    self.publish = gr.Button(words.PUBLISH, elem_id="publish")
            self.published = create_html(elem_id="published")

    @property
    def fields(self) -> set[Block]:
        """What a publication is made of."""
        return {self.name, self.private}

    def list_parts(self, visitor: Visitor, job: Job | None, mine: bool, link: Link) -> list[Part]:
        """What is shown.

        Args:
            job: the one on screen.
            mine: it is the visitor's, and has a model.
            link: to what the page shows.
        """
        if self._accounts is None:
            return []
        account, key = visitor.account, job.id if job else ""
        can = bool(mine and account and account.publishes)
        name = account.name if account else ""
        return [
            Part(self.signed, (name, link), lambda: self._draw(account, link)),
            Part(self.publishing, can, lambda: gr.Column(visible=can)),
            Part(self.name, key, lambda: f"quartet-{key[:6]}"),
            Part(self.published, key, lambda: ""),
        ]

    def answer(self, values: Values, visitor: Visitor, job: Job | None) -> Shown:
        """Publishes a job's model, and says where, or why not.

        Args:
            job: one that is the visitor's, or None.
        """
        name, private = str(values[self.name] or "").strip(), values[self.private] is True
        address, said = "", ""
        try:
            address = self._publisher.publish(job, visitor.account, name, private, visitor.sender)
        except QuartetError as error:
            said = explain(error)
        return {self.published: render("published.html", words=words, address=address, said=said)}

    def _draw(self, account: Account | None, link: Link) -> str:
        assert self._accounts is not None
        query = urlencode({TAB: name_slug(FINETUNE_TAB), **link})
        return render(
            "account.html",
            words=words,
            name=account.name if account else "",
            said=words.describe_account(account.name) if account else self._why,
            enter=f"{self._accounts.address}{LOGIN}?",
            query=query,
            leave=LOGOUT,
        )
