"""A request that is not answered, and how that is said."""

import json

from starlette.types import Send

from demo.words import server as words


class Declined(Exception):
    """A request is declined, with an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str, reason: str, retry_s: int = 0) -> None:
        """
        Args:
            reason: one word for the owner's figures.
            retry_s: after how many seconds to try again, where that helps.
        """
        super().__init__(sentence)
        self.status, self.sentence, self.reason, self.retry_s = status, sentence, reason, retry_s

    async def send(self, send: Send, plain: bool = False) -> None:
        """Answers the request.

        Args:
            plain: as plain text, for Gradio's upload, which shows the body as it is.
        """
        body = (self.sentence if plain else json.dumps({"detail": self.sentence})).encode()
        kind = b"text/plain; charset=utf-8" if plain else b"application/json"
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if self.retry_s:
            headers.append((b"retry-after", str(self.retry_s).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def too_large(most_bytes: int) -> Declined:
    """A body above its limit."""
    return Declined(413, words.describe_too_large(most_bytes), "too_large")


def busy() -> Declined:
    """No place, and too many wait for one."""
    return Declined(503, words.BUSY, "busy", 60)
