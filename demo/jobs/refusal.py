"""What is told to a visitor whose wish is not granted."""

from demo.jobs import words
from trainer.errors import QuartetError


class Refused(QuartetError):
    """Something was not accepted, and nothing has changed. The message is for the visitor."""

    def __str__(self) -> str:
        return words.REFUSALS[self.code].format(**self.facts)


def give_reason(error: Exception) -> str:
    """Why something failed, without the path of the server that the whole message may name."""
    return getattr(error, "strerror", None) or type(error).__name__
