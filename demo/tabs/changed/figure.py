"""What every figure of the tab has: a sentence, a key, what it cannot tell, and its files."""

from collections.abc import Sequence

from demo.templates import render
from demo.words import changed as words


def draw_figure(
    part: str,
    charts: Sequence[str],
    said: str,
    key: Sequence[tuple[str, str]] = (),
    marks: Sequence[tuple[str, str]] = (),
    also: str = "",
    query: str = "",
) -> str:
    """A part of the tab.

    Args:
        part: of `words.CANNOT_TELL` and `words.EXPORTS`.
        charts: our own markup.
        said: what is to be seen, in words; "" where the charts say it themselves.
        key: label and colour of what the charts show.
        marks: signs in the charts, and what they stand for.
        also: of what the figure cannot tell, what depends on the models.
        query: `Scene.query`.
    """
    return render(
        "figure.html",
        charts=charts,
        said=said,
        key_of=key,
        marks=marks,
        cannot=words.CANNOT,
        limits=f"{words.CANNOT_TELL[part]} {also}".strip(),
        exports=words.EXPORTS[part],
        query=query,
    )
