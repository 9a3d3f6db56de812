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

from demo.accounts.openid import ClientSettings, Provider
from demo.accounts.sessions import Accounts
from demo.analyses import Analyses
from demo.exports import Exports
from demo.faults import explain
from demo.gallery import EXAMPLES_DIR, Gallery
from demo.jobs.backend import ROOT, SHIPPED, Backend
from demo.jobs.hub import HubBackend, HubSettings
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.rates import RateMap
from demo.jobs.store import load_secret
from demo.jobs.zero import ZeroBackend, is_zero_gpu
from demo.links import find_tab, read_link
from demo.models import Models
from demo.own_changes import OwnChanges
from demo.server import lifecycle
from demo.server.api import Api
from demo.server.blocks import GuardedBlocks
from demo.server.files import ExportFiles, ShareCard
from demo.server.gate import Front, Gate
from demo.server.health import Health
from demo.server.limits import WAITING, Settings
from demo.server.signin import SignIn
from demo.tabs.about import AboutTab
from demo.tabs.accuracy import AccuracyTab
from demo.tabs.changed import ChangedTab, Given
from demo.tabs.compare import CompareTab
from demo.tabs.finetune import FinetuneTab
from demo.tabs.lessons import LessonsTab
from demo.tabs.shared import QUIET, Shared, create_html, create_tab
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
PAGE_SCRIPTS = [Path(__file__).parent / name for name in ("page.js", "teach.js")]
CARD = Path(__file__).parent / "card.png"
"""What a shared link shows: `make screenshots` takes it."""
SESSIONS_KEPT = 256
"""Each call of Gradio's API is a session, and so is each open page; the app keeps nothing in them
that a visitor could miss."""


@dataclass(frozen=True)
class App:
    """What `build_app` built: the page, and what stands around it."""

    blocks: GuardedBlocks
    front: Front
    jobs: Jobs
    exports: Exports


def build_app(checkpoints: Path | None = None) -> App:
    """Loads the models and draws every tab; `serve(app)` opens it.

    Args:
        checkpoints: default: the folder in `QUARTET_CHECKPOINTS`, else the shipped ones.

    Raises:
        SystemExit: not one of the four models is usable, or the variables about Hugging Face Jobs
            or signing in are incomplete, or another variable is wrong. It says what to do.
    """
    folder = checkpoints or Path(os.environ.get("QUARTET_CHECKPOINTS") or SHIPPED)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(UPLOADS))
    home = _open_home()
    try:
        front = Front(Settings.from_environment(os.environ), Path(get_upload_folder()))
        models = Models(folder)
        accounts = _open_accounts(home)
        jobs = _open_jobs(home, folder)
    except QuartetError as error:
        raise SystemExit(f"error: {error}") from error
    data = next(iter(models.records.values())).data
    gallery = Gallery(data.digest, data.test_count, folder)
    analyses = Analyses(folder, models.records)
    if analyses.fault:
        print(analyses.fault, file=sys.stderr)
    rates = RateMap(folder, models.records)
    owns = OwnChanges(folder, analyses, models, jobs)
    blocks = GuardedBlocks(title=words.TITLE, analytics_enabled=False)
    with blocks:
        owner = gr.BrowserState("", storage_key="quartet-owner", secret=load_secret(home))
        gr.Markdown(f"# {words.TITLE}\n{words.TAGLINE}")
        faults = [words.describe_fault(name, fault) for name, fault in models.faults.items()]
        if gallery.fault:
            faults.append(explain(gallery.fault))
        if faults:
            create_html(render("faults.html", faults=faults), elem_id="faults")
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            shared = Shared(blocks, tabs, owner, models, gallery, jobs, analyses, accounts)
            with create_tab(words.COMPARE_TAB) as tab:
                compare = CompareTab(shared, tab)
            with create_tab(words.LESSONS_TAB) as tab:
                LessonsTab(shared, tab)
            with create_tab(words.ACCURACY_TAB) as tab:
                accuracy = AccuracyTab(shared, tab)
            with create_tab(words.CHANGED_TAB) as tab:
                given = Given(
                    compare.picture,
                    compare.crop,
                    accuracy.cell,
                    accuracy.answers,
                    rates,
                    owns,
                    folder,
                )
                ChangedTab(shared, tab, given)
            with create_tab(words.FINETUNE_TAB) as tab:
                FinetuneTab(shared, tab)
            with create_tab(words.ABOUT_TAB):
                AboutTab(shared)
        blocks.load(_open_about, None, [tabs], **QUIET)
    blocks.queue(max_size=WAITING)
    exports = Exports(models, accuracy.answers, jobs, analyses, rates, owns)
    api = Api(models)
    api.watch(Health(front, models, jobs, api.turnstile, blocks.fair_queue), front)
    if accounts is not None:
        SignIn(accounts).add_to(api.app)
        front.routes.open_signing_in()
    front.results, front.own = blocks.fair_queue, api.app
    return App(blocks, front, jobs, exports)


def serve(app: App) -> None:
    """Opens the app, and ends the process once it was asked to."""
    lifecycle.serve(app.blocks, app.front, app.jobs, launch_options(app))


def _open_about(request: gr.Request) -> gr.Tabs:
    """A page is opened, perhaps by a link to the tab that has nothing else to show."""
    named = find_tab(read_link(dict(request.query_params))) == words.ABOUT_TAB
    return gr.Tabs(selected=words.ABOUT_TAB) if named else gr.Tabs()


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


def _open_accounts(home: Path) -> Accounts | None:
    """Where the owner has turned signing in on. Gradio's own button is not used: outside a Space it
    would sign everybody in as the owner."""
    settings = ClientSettings.from_environment(os.environ)
    return Accounts(Provider(settings), load_secret(home, "accounts")) if settings else None


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


def launch_options(app: App) -> dict[str, Any]:
    """What `launch` needs beyond the app: looks, limits, and nothing open that need not be."""
    return {
        "theme": _create_theme(),
        "css": STYLE.read_text(),
        "allowed_paths": [str(EXAMPLES_DIR)],
        "max_file_size": MAX_BYTES,
        "state_session_capacity": SESSIONS_KEPT,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        # A Space's environment may ask for it. Then Node stands in front of the server, hands on
        # Gradio's own addresses alone, hides who asks, and takes the signals that end the app.
        "ssr_mode": False,
        "head": "".join(f"<script>{path.read_text()}</script>" for path in PAGE_SCRIPTS),
        "app_kwargs": {
            "middleware": [
                Middleware(Gate, front=app.front),
                Middleware(ExportFiles, exports=app.exports),
                Middleware(ShareCard, picture=CARD.read_bytes()),
            ]
        },
        "mcp_server": importlib.util.find_spec("mcp") is not None,
    }


def _create_theme() -> gr.themes.Base:
    """Gradio's own, with the system's letters, and contrasts of 4.5:1 at least where its are lower:
    hints, the footer, and the words on Start."""
    theme = gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    primary = {
        f"button_primary_background_fill{suffix}": colour
        for suffix, colour in (
            ("", "*primary_700"), ("_hover", "*primary_800"),
            ("_dark", "*primary_700"), ("_hover_dark", "*primary_800"),
        )
    }  # fmt: skip
    return theme.set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        **primary,
    )
