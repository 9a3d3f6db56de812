"""Why a job failed, as its owner may read it: the trainer's sentences are for a terminal."""

import re

from demo.jobs import words
from trainer.errors import SENTENCES

MATCHED = 10
"""Letters of its own that a sentence has at least, to be known again."""


def word_failure(code: str | None, sentence: str) -> str:
    """A fault as a visitor may read it: without paths, flags and commands."""
    if code in words.FAILURES:
        return words.FAILURES[code]
    if code is not None and re.search(r"\{(path|folder|fetch)\}|--\w|python ", SENTENCES[code]):
        return words.NOT_STARTED
    return hide_paths(sentence)


def find_code(sentence: str) -> str | None:
    """The code whose sentence this is, filled with facts, or None."""
    for code, template in SENTENCES.items():
        literal = re.split(r"\{[^}]*\}", template)
        # A template that is nearly all facts would be everything's.
        if len("".join(literal)) > MATCHED and re.fullmatch(
            ".+".join(map(re.escape, literal)), sentence
        ):
            return code
    return None


def hide_paths(sentence: str) -> str:
    """A sentence without absolute paths, and without the brackets or quotes around them."""
    sentence = re.sub(r"^\[Errno \d+\] ", "", sentence)
    return re.sub(r"""\s*[:(]?\s*['"(]?(?<![\w.])/[^\s'")]*['")]?""", "", sentence)
