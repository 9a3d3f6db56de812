"""The Fine-tune tab without a browser, and what a visitor's browser would hold of it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from demo.accounts.sessions import Accounts
from demo.analyses import Analyses
from demo.gallery import Gallery
from demo.jobs.backend import Backend
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.store import create_token
from demo.models import Models
from demo.tabs.changes import Shown
from demo.tabs.finetune import FinetuneTab
from demo.tabs.form import to_browser
from demo.tabs.shared import Shared
from demo.words.common import FINETUNE_TAB
from tests.conftest import CHECKPOINTS

T = TypeVar("T")


def draw(make: Callable[[], T]) -> T:
    """Draws inside `gr.Blocks()`: where no event loop runs Gradio makes one, and leaves it open."""

    async def run() -> T:
        with gr.Blocks():
            return make()

    return asyncio.run(run())


class Page:
    """The tab, and what a visitor's browser holds of it."""

    def __init__(self, tab: FinetuneTab, shared: Shared) -> None:
        self.tab, self.shared = tab, shared
        self.owner, self.jobs = shared.owner, shared.jobs
        self.values: dict[Any, Any] = {}
        self.request: Any = None

    def open(self) -> None:
        """A new visitor's page."""
        tab, form = self.tab, self.tab.form
        first = to_browser(form.first)
        self.values = {control: first[name] for name, control in form.controls.items()}
        self.values |= {
            self.owner: create_token(), tab.shown: "", tab.order: "-accuracy", tab.sent: {},
            tab.view.asked: "", tab.beside.chosen: [], form.ids: [], form.gpu: False,
            form.pay: False, tab.teach.buckets.labels: ["", ""], tab.teach.sent: {},
            tab.teach.tried: "",
        }  # fmt: skip
        if self.shared.accounts is not None:
            self.values |= {tab.account.name: "", tab.account.private: False}

    def show(self, answer: Shown) -> Shown:
        """Takes an answer as a browser does."""
        for component in self.values:
            if component in answer and not isinstance(answer[component], gr.blocks.Block):
                self.values[component] = answer[component]
        return answer

    def fill(self, **settings: Any) -> None:
        for name, value in settings.items():
            self.values[self.tab.form.controls[name]] = value

    def start(self, **settings: Any) -> Shown:
        self.fill(**settings)
        return self.show(self.tab.on_start(self.values, self.request))

    @property
    def token(self) -> str:
        return str(self.values[self.owner])


@contextlib.contextmanager
def drawn_page(
    home: Path,
    running: int = 0,
    accounts: Accounts | None = None,
    backend: Backend | None = None,
) -> Iterator[Page]:
    """The tab over the shipped models.

    Args:
        running: jobs at a time; 0 for a page where no job ever runs.
        accounts: where visitors can sign in.
        backend: default: this machine.
    """
    limits = Limits(running=running, queued_of_owner=1000, queued=1000)
    models = Models(CHECKPOINTS)
    data = next(iter(models.records.values())).data
    gallery = Gallery(data.digest, data.test_count, CHECKPOINTS)
    analyses = Analyses(CHECKPOINTS, models.records)

    def make(jobs: Jobs) -> Page:
        blocks = gr.context.Context.root_block
        assert blocks is not None
        owner = gr.BrowserState("", storage_key="owner", secret="secret")
        with gr.Tabs() as tabs, gr.Tab(FINETUNE_TAB, id=FINETUNE_TAB) as tab:
            shared = Shared(blocks, tabs, owner, models, gallery, jobs, analyses, accounts)
            return Page(FinetuneTab(shared, tab), shared)

    with contextlib.closing(Jobs(home, CHECKPOINTS, limits, backend)) as jobs:
        yield draw(lambda: make(jobs))
