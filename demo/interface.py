"""`build_app()`: the tabs under one roof, and what guards the server."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.faults import explain
from demo.gallery import EXAMPLES_DIR, Gallery
from demo.jobs.backend import ROOT, SHIPPED, Backend
from demo.jobs.hub import HubBackend, HubSettings
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.store import load_secret
from demo.jobs.zero import ZeroBackend, is_zero_gpu
from demo.models import Models
from demo.tabs.about import AboutTab
from demo.tabs.accuracy import AccuracyTab
from demo.tabs.compare import CompareTab
from demo.tabs.finetune import FinetuneTab
from demo.tabs.shared import Shared, create_html, refuse
from demo.templates import render
from demo.words import common as words
from trainer.containers.limits import MAX_BYTES
from trainer.errors import PictureError, QuartetError

HOME = ROOT / "runs" / "home"
"""Where jobs and their files are kept, unless `QUARTET_HOME` says otherwise."""
UPLOADS = Path(tempfile.gettempdir()) / "quartet-uploads"
"""Where Gradio keeps what visitors upload, unless `GRADIO_TEMP_DIR` says otherwise: its own default
is every Gradio app's, and what is old in ours is removed."""
STYLE = Path(__file__).parent / "style.css"
WAITING = 256
"""Requests in the queue before further ones are told that it is full."""
SESSIONS_KEPT = 256
"""Gradio holds a copy of every component's settings a session, and each call of the API is one; the
app keeps nothing in them that a visitor could miss."""


class GuardedBlocks(gr.Blocks):
    """Blocks whose endpoints take uploaded files only.

    Gradio would fetch a file given as an address, from our machine, and names server paths when
    it refuses one.
    """

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Refuses foreign addresses and paths before anything is read."""
        if _names_address(inputs):
            raise refuse(words.FOREIGN_FILE)
        try:
            processed: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
            return processed
        except InvalidPathError as error:
            raise refuse(explain(PictureError("picture_not_uploaded"))) from error


class NoForeignFiles:
    """ASGI middleware: refuses Gradio's streaming of foreign addresses from our origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        _, is_file, name = path.partition("/file=")
        if is_file and "://" in name.replace(":/", "://"):
            await PlainTextResponse(words.FOREIGN_FILE, 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def build_app(checkpoints: Path | None = None) -> gr.Blocks:
    """Loads the models and draws every tab; `launch(**launch_options())` serves it.

    Args:
        checkpoints: default: the folder in `QUARTET_CHECKPOINTS`, else the shipped ones.

    Raises:
        SystemExit: not one of the four models is usable, or the variables about Hugging Face Jobs
            are incomplete. It says what to do.
    """
    folder = checkpoints or Path(os.environ.get("QUARTET_CHECKPOINTS") or SHIPPED)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(UPLOADS))
    home = _open_home()
    try:
        models = Models(folder)
        jobs = _open_jobs(home, folder)
    except QuartetError as error:
        raise SystemExit(f"error: {error}") from error
    data = next(iter(models.records.values())).data
    gallery = Gallery(data.digest, data.test_count)
    app = GuardedBlocks(title=words.TITLE, analytics_enabled=False)
    with app:
        owner = gr.BrowserState("", storage_key="quartet-owner", secret=load_secret(home))
        gr.Markdown(f"# {words.TITLE}\n{words.TAGLINE}")
        if models.faults:
            faults = [words.describe_fault(name, fault) for name, fault in models.faults.items()]
            create_html(render("faults.html", faults=faults), elem_id="faults")
        with gr.Tabs() as tabs:
            shared = Shared(app, tabs, owner, models, gallery, jobs)
            with gr.Tab(words.COMPARE_TAB, id=words.COMPARE_TAB) as tab:
                CompareTab(shared, tab)
            with gr.Tab(words.ACCURACY_TAB, id=words.ACCURACY_TAB) as tab:
                AccuracyTab(shared, tab)
            with gr.Tab(words.FINETUNE_TAB, id=words.FINETUNE_TAB) as tab:
                FinetuneTab(shared, tab)
            with gr.Tab(words.ABOUT_TAB, id=words.ABOUT_TAB):
                AboutTab(shared)
    app.queue(max_size=WAITING)
    return app


def _open_home() -> Path:
    """The folder of `QUARTET_HOME`, or a temporary one where that cannot be written."""
    home = Path(os.environ.get("QUARTET_HOME") or HOME)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return home
    except OSError as error:
        temporary = Path(tempfile.mkdtemp(prefix="quartet-"))
        print(words.describe_temporary_home(home, error.strerror, temporary), file=sys.stderr)
        return temporary


def _open_jobs(home: Path, checkpoints: Path) -> Jobs:
    """Jobs on this machine, with a borrowed GPU on ZeroGPU, or on Hugging Face Jobs, as the
    environment says."""
    limits = Limits()
    hub = HubSettings.from_environment(os.environ)
    backend: Backend | None = None
    if hub:
        backend = HubBackend(hub, limits.wall_s, checkpoints)
    elif is_zero_gpu():
        backend = ZeroBackend(checkpoints)
    return Jobs(home, checkpoints, limits, backend, Path(get_upload_folder()))


def launch_options() -> dict[str, Any]:
    """What `launch` needs beyond the app: looks, limits, and nothing open that need not be."""
    system = ["system-ui", "sans-serif"]
    return {
        "theme": gr.themes.Default(font=system, font_mono=["ui-monospace", "monospace"]),
        "css": STYLE.read_text(),
        "allowed_paths": [str(EXAMPLES_DIR)],
        "max_file_size": MAX_BYTES,
        "state_session_capacity": SESSIONS_KEPT,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "app_kwargs": {"middleware": [Middleware(NoForeignFiles)]},
        "mcp_server": importlib.util.find_spec("mcp") is not None,
    }


def _names_address(value: Any) -> bool:
    """True where a file in a request's data is given by an address to fetch."""
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or any(map(_names_address, value.values()))
    return isinstance(value, list) and any(map(_names_address, value))
