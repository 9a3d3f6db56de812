"""What a request, a sender and all together may use: each limit once, for whoever enforces it.

What an owner may change is an environment variable that `Settings` reads; README names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from demo.jobs.limits import Limits
from demo.words import server as words
from trainer.containers.limits import MAX_BYTES
from trainer.errors import QuartetError
from trainer.recipe import MAX_OWN_PICTURES

MIB = 2**20

# A request
JSON_BYTES = 1 * MIB
"""Of a call's JSON: the Fine-tune tab sends some 10 kB."""
JSON_DEPTH = 32
"""Lists and objects inside each other."""
JSON_BRACKETS = 20_000
"""Lists and objects altogether; each costs far more memory than its two bytes."""
FORM_BYTES = 64 * 1024
"""Around a form's files: boundaries and headers."""
CLASSIFY_BYTES = MAX_BYTES + FORM_BYTES
"""Of `/v1/classify`: a picture, in a form or not."""
TOOL_BYTES = MAX_BYTES * 4 // 3 + FORM_BYTES
"""Of a tool call: a picture in base64."""
UPLOAD_FILES = MAX_OWN_PICTURES
"""Files in one upload: as many as can be taught at once."""
UPLOAD_BYTES = 256 * MIB
"""Of one upload; each file has `MAX_BYTES` of its own."""

# Time
HEADERS_S = 10.0
"""From connecting, or from a request's first byte, to the end of its headers."""
BODY_S = 30.0
"""For a body that is read whole."""
UPLOAD_S = 300.0
"""For an upload: 256 MB at 7 Mbit/s."""
STALLED_S = 60
"""A client that takes nothing of its answer for so long is cut off, where the system can."""
KEEP_ALIVE_S = 15
"""An idle connection stays open for so long."""
SESSION_S = 20.0
"""A page's stream waits so long for a call to tell of."""
RESULT_S = 60.0
"""An answer that nobody fetches is forgotten after so long."""
DRAIN_S = 10.0
"""From the wish to end to ending: answers in flight are finished in it."""

# A sender, that is an address, of IPv6 its network of 64 bits
REQUESTS_A_MINUTE = 6_000
"""Loading the page takes about 100; a class of thirty stands behind one address."""
SENDER_UPLOAD_BYTES = 1024 * MIB
"""Uploads in `UPLOADS_S`."""
UPLOADS_S = Limits.uploads_kept_s
"""As long as they are kept."""
SENDER_RUNNING = 16
"""Calls that are worked on at the same time, out of `RUNNING`."""
SENDER_OPEN = 256
"""Requests that are answered at the same time, those that last as long as a page among them."""
PAGE_COST = 20
"""Requests that count for one of a whole page: it costs so much more than another."""
SIGN_IN_COST = 100
"""Requests that count for one on the way to the Hub and back: each asks the Hub something, and a
class of thirty still signs in within a minute."""

# All together
RUNNING = 32
"""Calls of `/v1/classify` that are worked on at the same time: a batch of the models."""
WAITING = 256
"""Calls that wait, in Gradio's queue as at `/v1`; of one sender half of it."""
UNREAD = 512
"""Finished answers that wait to be fetched."""
BUFFERED_BYTES = 256 * MIB
"""Of bodies in memory; of one sender half of it."""
OPEN = 800
"""Requests that are answered at the same time; a page holds two."""
STORED_BYTES = 4096 * MIB
"""Of uploads on disk: the high-water mark."""
FREE_BYTES = Limits.free_bytes
"""So much of the disk stays free: no upload and no job is taken below."""
CONNECTIONS = 1000
"""Open connections; where there are more, one that asks nothing is cut."""


class BadVariable(QuartetError):
    """An environment variable holds what it cannot."""

    def __str__(self) -> str:
        return words.BAD_VARIABLE.format(**self.facts)


@dataclass(frozen=True)
class Settings:
    """What the owner says about this app's place in the world."""

    requests_a_minute: int = REQUESTS_A_MINUTE
    """Of a sender."""
    proxies: int | None = None
    """How many proxies stand in front and add to `X-Forwarded-For`; None where a Space's do."""
    metrics_path: str = ""
    """Where Prometheus reads figures; none where it is empty."""
    logging: bool = False
    """Whether every request is a line on standard error; refusals by fault always are."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings.

        Raises:
            BadVariable: one is no number, or no path.
        """
        default = None if "SPACE_ID" in environment else 0
        path = environment.get("QUARTET_METRICS", "")
        if path and not path.startswith("/"):
            raise BadVariable("variable_wrong", name="QUARTET_METRICS", allowed=words.A_PATH)
        return cls(
            _read_number(environment, "QUARTET_REQUESTS_A_MINUTE", cls.requests_a_minute, 1),
            _read_number(environment, "QUARTET_PROXIES", default, 0),
            path,
            environment.get("QUARTET_LOG", "") not in ("", "0"),
        )


def _read_number(environment: Mapping[str, str], name: str, default: int | None, least: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default  # type: ignore[return-value]
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise BadVariable("variable_wrong", name=name, allowed=words.describe_least(least))
    return int(text)
