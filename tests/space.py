"""Rehearses the Space: `python -m tests.space --python runs/space/venv/bin/python` (`make space`).

As the platform does: what `publish --space` would push, read-only, as user 1000 where this is run
by root and that user may run the interpreter, with a Space's variables, inside a page of another
origin, which is denied storage. A program asks it; a browser gives it a picture, reads every tab,
and runs a job. What cannot be had as the platform has it is said.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from playwright.sync_api import Error, expect, sync_playwright

from demo.words.common import (
    ABOUT_TAB,
    ACCURACY_TAB,
    CHANGED_TAB,
    COMPARE_TAB,
    FINETUNE_TAB,
    LESSONS_TAB,
)
from tests.app import RENDERED, ROOT, RunningApp, running_app
from tests.browsing import embedding, open_browser
from trainer.files import hash_file
from trainer.publication.space import write_space

SPACE = "someone/quartet"
USER = 1000
PATIENCE_MS = 120_000
ENDING_S = 60.0
PICTURE = ROOT / "demo" / "examples" / "dog-photo.jpg"
READ = {
    LESSONS_TAB: "#lesson-question h2",
    ACCURACY_TAB: "#overview table",
    CHANGED_TAB: "#maps svg",
    FINETUNE_TAB: "#start-job",
    ABOUT_TAB: "#recipes",
    COMPARE_TAB: "#result article",
}
"""Every tab, and what a visitor looks for there."""


def main() -> None:
    """Rehearses, and tells what was as there and what was not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), metavar="FILE")
    options = parser.parse_args()
    python = options.python.absolute()  # the app runs in another folder
    with tempfile.TemporaryDirectory(prefix="quartet-space-") as temporary:
        # Others may go through it, for the app runs as another user.
        Path(temporary).chmod(0o755)
        app, home = Path(temporary) / "app", Path(temporary) / "home"
        write_space(app, SPACE)
        home.mkdir()
        user = find_user(python)
        if user is not None:
            os.chown(home, user, user)
        before = seal(app)
        variables = list_variables(app, home)
        with (
            running_app(folder=app, python=python, variables=variables, user=user) as running,
            embedding(running.url.replace("0.0.0.0", "127.0.0.1")) as page,
        ):
            ask(running)
            visit(page)
            started = psutil.Process(running.pid).children(recursive=True)
        _, left = psutil.wait_procs(started, ENDING_S)
        assert not left, f"the app ended, and left {left}"
        changed = {path for path, digest in before.items() if hash_file(path) != digest}
        changed |= set(list_files(app)) - before.keys()
        assert not changed, f"the app wrote to its own folder: {changed}"
    print("The Space does what it should, and leaves its folder as it was.")


def find_user(python: Path) -> int | None:
    """The platform's user, or None for one's own where that cannot be."""
    if os.getuid() != 0:
        say(f"runs as user {os.getuid()}, not {USER}")
        return None
    # Its own interpreter may lie in root's home.
    command = [str(python), "-c", "import os, sys; sys.exit(os.access('/', os.W_OK))"]
    try:
        tried = subprocess.run(
            command, user=USER, group=USER, extra_groups=[], capture_output=True, check=False
        ).returncode
    except PermissionError:
        tried = 1
    if tried:
        say(f"runs as root, for user {USER} may not run {python}; so nothing is read-only to it")
        return None
    return USER


def list_variables(app: Path, home: Path) -> dict[str, str]:
    """What a Space finds in its environment, and a home of its own."""
    owner, name = SPACE.split("/")
    return {
        "SYSTEM": "spaces",
        "SPACE_ID": SPACE,
        "SPACE_AUTHOR_NAME": owner,
        "SPACE_REPO_NAME": name,
        "SPACE_TITLE": "Quartet",
        "SPACE_HOST": f"{owner}-{name}.hf.space",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(find_port()),
        "HOME": str(home),
        "HF_HOME": str(home / ".cache" / "huggingface"),
        "QUARTET_HOME": str(home / "data"),
        "QUARTET_CACHE": str(home / "cache"),
        "GRADIO_TEMP_DIR": str(home / "uploads"),
        "PYTHONPATH": str(app),
        "PYTHONDONTWRITEBYTECODE": "1",
        **RENDERED,
    }


def find_port() -> int:
    """A free one: there the app has its own machine, here perhaps not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def seal(folder: Path) -> dict[Path, str]:
    """Takes the right to write from every file and folder, and tells each file's hash."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return {path: hash_file(path) for path in list_files(folder)}


def list_files(folder: Path) -> list[Path]:
    """All but Python's own copies of modules, which root's processes leave there."""
    return [
        path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"
    ]


def ask(app: RunningApp) -> None:
    """What a program does there."""
    health = app.client.get("/healthz").raise_for_status().json()
    assert health["status"] == "ok", health
    app.client.post("/v1/classify", content=PICTURE.read_bytes()).raise_for_status()


def visit(url: str) -> None:
    """What a visitor does there."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        try:
            browser = open_browser(playwright)
        except Error:
            say("is visited by programs alone, for there is no browser")
            return
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(f"{error.message}\n{error.stack}"))
        page.goto(url)
        app = page.frame_locator("iframe")
        cards = app.locator("#result").get_by_role("article")
        expect(cards).to_have_count(4)
        app.get_by_role("button", name="Clear").or_(app.get_by_label("Remove Image")).first.click()
        expect(app.locator("#result")).to_contain_text("Choose a picture")
        app.locator("#picture input[type=file]").set_input_files(PICTURE)
        expect(cards).to_have_count(4)
        for tab, content in READ.items():
            app.get_by_role("tab", name=tab, exact=True).click()
            expect(app.locator(content).first).to_be_visible()
        app.get_by_role("tab", name=FINETUNE_TAB, exact=True).click()
        app.get_by_label("Training images").fill("64")
        app.locator("#start-job").click()
        expect(app.locator("#job")).to_contain_text("Done")
        assert not faults, faults
        browser.close()


def say(sentence: str) -> None:
    print(f"Unlike there, the app {sentence}.", flush=True)


if __name__ == "__main__":
    main()
