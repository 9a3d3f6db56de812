"""Which addresses are open, and how a request to each is read. Whatever is not here is closed:
Gradio brings some seventy routes along, and the app needs these."""

import enum
from dataclasses import dataclass

from demo.accounts.openid import CALLBACK
from demo.server.limits import (
    CLASSIFY_BYTES,
    JSON_BYTES,
    PAGE_COST,
    SIGN_IN_COST,
    TOOL_BYTES,
    UPLOAD_BYTES,
    UPLOAD_S,
)

API = "/gradio_api"
EXPORTS, CARD = f"{API}/export/", f"{API}/card.png"
"""Of ours, under Gradio's prefix: what stands before the app hands that on to it."""
READ, WRITE = frozenset({"GET", "HEAD"}), frozenset({"POST"})


class Body(enum.Enum):
    """How a request's body is read."""

    NONE = enum.auto()
    """It is not."""
    JSON = enum.auto()
    """Whole, and measured before it is parsed."""
    PICTURE = enum.auto()
    """Whole; a picture's decoding judges it."""
    UPLOAD = enum.auto()
    """As it comes, on its way to the disk."""


@dataclass(frozen=True)
class Route:
    """An open address."""

    name: str
    """In the owner's figures."""
    methods: frozenset[str] = READ
    body: Body = Body.NONE
    most_bytes: int = 0
    """Of the body."""
    cost: int = 1
    """Requests that it counts as."""
    most_s: float = 0.0
    """After which its answer is ended; 0 where it ends by itself."""
    stored: bool = False
    """Whether what is sent ends up on the disk."""
    work: bool = False
    """Whether it is work that an app which ends takes no more of, and finishes."""
    file: bool = False
    """Whether it serves files, those of visitors among them."""
    own: bool = False
    """Whether it is ours, and not Gradio's."""
    logged: bool = True


PAGE = Route("page", cost=PAGE_COST)
ASSET = Route("asset", logged=False)
DESCRIPTION = Route("description", cost=PAGE_COST)
RESULT = Route("result")
"""Of a call of the plain API; its event's id ends the path."""
STREAM = Route("stream")
"""Of a page's events."""
HEARTBEAT = Route("heartbeat", logged=False)
PROGRESS = Route("progress", most_s=UPLOAD_S, logged=False)
"""Of an upload, whether or not that ever ends."""
CALL = Route("call", WRITE, Body.JSON, JSON_BYTES, work=True)
CLASSIFY = Route("classify", WRITE, Body.PICTURE, CLASSIFY_BYTES, work=True, own=True)
UPLOAD = Route("upload", WRITE, Body.UPLOAD, UPLOAD_BYTES, stored=True, work=True)
TOOL_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
TOOL = Route("tool", TOOL_METHODS, Body.JSON, TOOL_BYTES, stored=True)
FILE = Route("file", file=True)
EXPORT = Route("export", cost=PAGE_COST)
ABOUT = Route("about", own=True, cost=PAGE_COST)
HEALTH = Route("health", own=True, logged=False)
LOGIN, LOGOUT = "/login/huggingface", "/logout"
SIGNING_IN = {
    **dict.fromkeys((LOGIN, CALLBACK), Route("sign in", own=True, cost=SIGN_IN_COST)),
    LOGOUT: Route("sign out", WRITE, own=True),
}
"""Open only where the owner has turned signing in on."""

EXACT = {
    **dict.fromkeys(("/", "/config", "/robots.txt", "/manifest.json"), PAGE),
    **dict.fromkeys(("/favicon.ico", "/theme.css", "/pwa_icon", f"{API}/theme.css", CARD), ASSET),
    **dict.fromkeys((f"{API}/info", f"{API}/openapi.json", f"{API}/app_id"), DESCRIPTION),
    **dict.fromkeys((f"{API}/startup-events", f"{API}/queue/status"), DESCRIPTION),
    **dict.fromkeys(("/v1", "/v1/models", "/v1/openapi.json"), ABOUT),
    f"{API}/queue/data": STREAM,
    f"{API}/upload_progress": PROGRESS,
    **dict.fromkeys((f"{API}/queue/join", f"{API}/cancel", f"{API}/reset"), CALL),
    **dict.fromkeys((f"{API}/call/classify", f"{API}/call/v2/classify"), CALL),
    "/v1/classify": CLASSIFY,
    f"{API}/upload": UPLOAD,
    f"{API}/mcp": TOOL,
    "/healthz": HEALTH,
}
PREFIXES = (
    (EXPORTS, EXPORT),
    (f"{API}/file=", FILE),
    ("/assets/", ASSET),
    ("/static/", ASSET),
    ("/svelte/", ASSET),
    ("/pwa_icon/", ASSET),
    (f"{API}/heartbeat/", HEARTBEAT),
    (f"{API}/call/classify/", RESULT),
    (f"{API}/call/v2/classify/", RESULT),
    (f"{API}/mcp/", TOOL),
)


class Routes:
    """The open addresses of one app."""

    def __init__(self, metrics_path: str = "") -> None:
        """
        Args:
            metrics_path: one more, which the owner chose.
        """
        self._exact = dict(EXACT)
        if metrics_path:
            self._exact[metrics_path] = HEALTH

    def open_signing_in(self) -> None:
        """Opens what signing in needs."""
        self._exact |= SIGNING_IN

    def find(self, path: str) -> Route | None:
        """The route of a path, or None where nothing is open."""
        route = self._exact.get(path) or self._exact.get(path.rstrip("/") or "/")
        if route is not None:
            return route
        return next((route for prefix, route in PREFIXES if path.startswith(prefix)), None)
