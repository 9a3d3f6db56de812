"""A request that is not answered, and how that is said."""

from starlette.responses import JSONResponse, PlainTextResponse, Response

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

    def respond(self, plain: bool = False) -> Response:
        """The answer to the request.

        Args:
            plain: as plain text, for Gradio's upload, which shows the body as it is.
        """
        headers = {"cache-control": "no-store"}
        if self.retry_s:
            headers["retry-after"] = str(self.retry_s)
        if plain:
            return PlainTextResponse(self.sentence, self.status, headers)
        return JSONResponse({"detail": self.sentence}, self.status, headers)


def too_large(most_bytes: int) -> Declined:
    """A body above its limit."""
    return Declined(413, words.describe_too_large(most_bytes), "too_large")


def busy() -> Declined:
    """No place, and too many wait for one."""
    return Declined(503, words.BUSY, "busy", 60)
