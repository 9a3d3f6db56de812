"""How a matplotlib figure becomes a file that is equal whenever the numbers in it are."""

import io
from typing import Any, Literal

from matplotlib.figure import Figure

Form = Literal["svg", "png"]
_PNG_DPI = 150
STYLE: Any = {"svg.hashsalt": "quartet", "font.size": 9, "svg.fonttype": "path"}
"""For `matplotlib.rc_context`."""
_UNREPEATABLE = {"svg": "Date", "png": "Software"}
"""Metadata that would differ from day to day, or from version to version."""


def save_figure(figure: Figure, form: Form = "svg") -> bytes:
    """The figure, on white, as a file's content."""
    figure.patch.set_facecolor("white")
    content = io.BytesIO()
    figure.savefig(content, format=form, dpi=_PNG_DPI, metadata={_UNREPEATABLE[form]: None})
    return content.getvalue()
