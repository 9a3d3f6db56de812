"""A page without a browser: tabs drawn for a test, and what a visitor's browser holds of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from demo.accounts.sessions import Accounts
from demo.analyses import Analyses
from demo.gallery import EXAMPLES_DIR, Gallery
from demo.jobs.jobs import Jobs
from demo.models import Models
from demo.tabs.changes import Shown
from demo.tabs.shared import Shared
from tests.conftest import CHECKPOINTS

REQUEST = gr.Request(session_hash="a visitor")

T = TypeVar("T")


def draw(make: Callable[[gr.Blocks], T]) -> T:
    """Draws inside `gr.Blocks()`: where no event loop runs Gradio makes one, and leaves it open."""

    async def run() -> T:
        with gr.Blocks() as blocks:
            return make(blocks)

    return asyncio.run(run())


def draw_tabs(
    make: Callable[[Shared], T],
    models: Models,
    jobs: Jobs,
    folder: Path = CHECKPOINTS,
    accounts: Accounts | None = None,
) -> T:
    """Draws tabs as the app does.

    Args:
        make: draws them, each inside a `gr.Tab()` of its own.
        folder: of the models, and of what lies beside them.
        accounts: where visitors can sign in.
    """
    data = next(iter(models.records.values())).data
    gallery = Gallery(data.digest, data.test_count, folder)
    analyses = Analyses(folder, models.records)

    def make_inside(blocks: gr.Blocks) -> T:
        owner = gr.BrowserState("", storage_key="owner", secret="secret")
        with gr.Tabs() as tabs:
            return make(Shared(blocks, tabs, owner, models, gallery, jobs, analyses, accounts))

    return draw(make_inside)


class Browser:
    """What a visitor's browser holds."""

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}

    def show(self, answer: Shown) -> Shown:
        """Takes an answer as a browser does."""
        for component in self.values:
            if component in answer and not isinstance(answer[component], gr.blocks.Block):
                self.values[component] = answer[component]
        return answer


def upload(name: str, content: bytes) -> dict[str, Any]:
    """A file as Gradio hands it to an event."""
    path = Path(get_upload_folder()) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def upload_cat() -> dict[str, Any]:
    """An example that is a test image."""
    return upload("cat.png", (EXAMPLES_DIR / "cat-test.png").read_bytes())


def click(choice: str) -> gr.EventData:
    """A click on an element with this `data-choice`."""
    return gr.EventData(None, {"choice": choice})
