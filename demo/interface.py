"""`build_app()`: the tabs under one roof, and what guards the server."""

import importlib.util
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from demo.gallery import EXAMPLES_DIR, Gallery
from demo.jobs.backend import ROOT, SHIPPED, Backend
from demo.jobs.hub import HubBackend, HubSettings
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.store import load_secret
from demo.jobs.zero import ZeroBackend, is_zero_gpu
from demo.models import Models
from demo.server import lifecycle
from demo.server.api import Api
from demo.server.blocks import GuardedBlocks
from demo.server.gate import Front, Gate
from demo.server.health import Health
from demo.server.limits import WAITING, Settings
from demo.tabs.about import AboutTab
from demo.tabs.accuracy import AccuracyTab
from demo.tabs.compare import CompareTab
from demo.tabs.finetune import FinetuneTab
from demo.tabs.shared import Shared, create_html
from demo.templates import render
from demo.words import common as words
from trainer.containers.limits import MAX_BYTES
from trainer.errors import QuartetError

HOME = ROOT / "runs" / "home"
"""Where jobs and their files are kept, unless `QUARTET_HOME` says otherwise."""
UPLOADS = Path(tempfile.gettempdir()) / "quartet-uploads"
"""Where Gradio keeps what visitors upload, unless `GRADIO_TEMP_DIR` says otherwise: its own default
is every Gradio app's, and what is old in ours is removed."""
STYLE = Path(__file__).parent / "style.css"
SESSIONS_KEPT = 256
"""Each call of Gradio's API is a session, and so is each open page; the app keeps nothing in them
that a visitor could miss."""


@dataclass(frozen=True)
class App:
    """What `build_app` built: the page, and what stands around it."""

    blocks: GuardedBlocks
    front: Front
    jobs: Jobs


def build_app(checkpoints: Path | None = None) -> App:
    """Loads the models and draws every tab; `serve(app)` opens it.

    Args:
        checkpoints: default: the folder in `QUARTET_CHECKPOINTS`, else the shipped ones.

    Raises:
        SystemExit: not one of the four models is usable, or the variables about Hugging Face Jobs
            are incomplete, or another variable is wrong. It says what to do.
    """
    folder = checkpoints or Path(os.environ.get("QUARTET_CHECKPOINTS") or SHIPPED)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(UPLOADS))
    home = _open_home()
    try:
        front = Front(Settings.from_environment(os.environ), Path(get_upload_folder()))
        models = Models(folder)
        jobs = _open_jobs(home, folder)
    except QuartetError as error:
        raise SystemExit(f"error: {error}") from error
    data = next(iter(models.records.values())).data
    gallery = Gallery(data.digest, data.test_count)
    blocks = GuardedBlocks(title=words.TITLE, analytics_enabled=False)
    with blocks:
        owner = gr.BrowserState("", storage_key="quartet-owner", secret=load_secret(home))
        gr.Markdown(f"# {words.TITLE}\n{words.TAGLINE}")
        if models.faults:
            faults = [words.describe_fault(name, fault) for name, fault in models.faults.items()]
            create_html(render("faults.html", faults=faults), elem_id="faults")
        with gr.Tabs() as tabs:
            shared = Shared(blocks, tabs, owner, models, gallery, jobs)
            with gr.Tab(words.COMPARE_TAB, id=words.COMPARE_TAB) as tab:
                CompareTab(shared, tab)
            with gr.Tab(words.ACCURACY_TAB, id=words.ACCURACY_TAB) as tab:
                AccuracyTab(shared, tab)
            with gr.Tab(words.FINETUNE_TAB, id=words.FINETUNE_TAB) as tab:
                FinetuneTab(shared, tab)
            with gr.Tab(words.ABOUT_TAB, id=words.ABOUT_TAB):
                AboutTab(shared)
    blocks.queue(max_size=WAITING)
    api = Api(models)
    api.watch(Health(front, models, jobs, api.turnstile, blocks.fair_queue), front)
    front.results, front.own = blocks.fair_queue, api.app
    return App(blocks, front, jobs)


def serve(app: App) -> None:
    """Opens the app, and ends the process once it was asked to."""
    lifecycle.serve(app.blocks, app.front, app.jobs, launch_options(app.front))


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


def launch_options(front: Front) -> dict[str, Any]:
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
        "app_kwargs": {"middleware": [Middleware(Gate, front=front)]},
        "mcp_server": importlib.util.find_spec("mcp") is not None,
    }
