"""What every figure of the tab has: a sentence, a key, what it cannot tell, and its files."""

from collections.abc import Sequence

from demo.templates import render
from demo.words import changed as words


def draw_figure(
    part: str, charts: Sequence[str], said: str, key: Sequence[tuple[str, str]] = ()
) -> str:
    """A part of the tab.

    Args:
        part: of `words.CANNOT_TELL` and `words.EXPORTS`.
        charts: our own markup.
        said: what is to be seen, in words.
        key: label and colour of what the charts show.
    """
    return render(
        "figure.html",
        charts=charts,
        said=said,
        key_of=key,
        cannot=words.CANNOT,
        limits=words.CANNOT_TELL[part],
        exports=words.EXPORTS[part],
    )
