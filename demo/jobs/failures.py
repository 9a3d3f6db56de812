"""Why a job failed, as its owner may read it."""

import re

from demo.faults import explain
from trainer.events import RunFailed


def word_failure(failure: RunFailed) -> str:
    """What a run said when it failed, in a visitor's words."""
    return hide_paths(failure.reason) if failure.error is None else explain(failure.error)


def hide_paths(text: str) -> str:
    """A sentence without absolute paths, and without the brackets or quotes around them."""
    text = re.sub(r"^\[Errno \d+\] ", "", text)
    return re.sub(r"""\s*[:(]?\s*['"(]?(?<![\w.])/[^\s'")]*['")]?""", "", text)
