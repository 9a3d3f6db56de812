"""A browser, and a page of another origin around the app, as the Hub's page of a Space is."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, Playwright

from tests.standin import StandIn, serving

SANDBOX = (
    "allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups "
    "allow-popups-to-escape-sandbox allow-same-origin allow-scripts"
)
"""What the Hub's page lets a Space do."""


def open_browser(playwright: Playwright, *flags: str) -> Browser:
    """The system's chromium, else Playwright's own.

    Args:
        flags: of Chromium's command line.

    Raises:
        playwright.sync_api.Error: there is neither.
    """
    return playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", *flags]
    )


@contextlib.contextmanager
def embedding(url: str) -> Iterator[str]:
    """The address of a page that shows the app, at 127.0.0.1, in a frame. In a window without a
    profile, as tests open them, Chromium denies such a frame its storage."""
    content = (
        f'<!doctype html><iframe src="{url}" sandbox="{SANDBOX}" '
        f'style="border:0;width:100%;height:95vh"></iframe>'
    ).encode()

    class Handler(StandIn):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as port:
        yield f"http://localhost:{port}"
