"""What the tabs have in common: what they are drawn from, and how they talk to the browser."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.accounts.sessions import Accounts
from demo.analyses import Analyses
from demo.banks import Banks
from demo.gallery import Gallery
from demo.jobs.jobs import Jobs
from demo.links import name_slug
from demo.models import Models
from demo.tabs.changes import Values
from demo.tabs.visitor import Visitor, read_visitor

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of an event that only redraws: nothing flashes, and it is no endpoint of the API."""

AT_ONCE = 16
"""Visitors of a tab who are answered at the same time."""
ON_CHOICE = """
let chosen = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-choice]');
  if (!button) return;
  chosen = button.dataset.choice;
  trigger('click', {choice: chosen});
});
watch('value', () => {
  if (chosen !== null && document.activeElement === document.body) {
    element.querySelector(`[data-choice="${chosen}"]`)?.focus({preventScroll: true});
  }
  chosen = null;
});
"""
"""JavaScript for `gr.HTML`: a click on an element with `data-choice` is an event with that
`choice`; redrawing leaves the keyboard where it was, unless that is elsewhere by then."""


Column = tuple[str, str]
"""Of a table: its header, and the format of its numbers; "" where it holds words."""


@dataclass(frozen=True)
class Shared:
    """What every tab is given. A tab is `class SomeTab`, made inside its `gr.Tab`:
    `SomeTab(shared, tab)` draws, its methods `on_*` answer events."""

    blocks: gr.Blocks
    """The page, for what happens when it loads."""
    tabs: gr.Tabs
    """All tabs, each with its name in `words.common` as its id: setting `selected` opens one."""
    owner: gr.BrowserState
    """The visitor's token, or "": kept by their browser. It stands outside the tabs, for what a
    closed tab holds is not there when the page loads."""
    models: Models
    gallery: Gallery
    jobs: Jobs
    analyses: Analyses
    accounts: Accounts | None = None
    """Where the owner has turned signing in on."""

    def read_visitor(self, values: Values, request: gr.Request | None) -> Visitor:
        """Who sends a request."""
        return read_visitor(values[self.owner], request, self.accounts)

    @functools.cached_property
    def banks(self) -> Banks:
        """What pictures are compared with."""
        return Banks(self.analyses, self.models)


def create_html(value: str = "", **options: Any) -> gr.HTML:
    """HTML that only `style.css` styles."""
    return gr.HTML(value, apply_default_css=False, **options)


def create_tab(name: str, label: str = "", whole: str = "") -> gr.Tab:
    """A tab, or a part of one, that the address names while it is on screen.

    Args:
        name: its id.
        label: what is on it, where that is not its id.
        whole: the id of the tab that it is a part of.
    """
    tab = gr.Tab(label or name, id=name)
    opened = ", ".join(f"'{name_slug(one)}'" for one in (name, whole) if one)
    tab.select(None, None, None, js=f"() => window.quartet.open({opened})", **QUIET)
    return tab


def keep_link(tab: str, link: gr.JSON) -> None:
    """Has the address say what a tab shows, whenever that changes.

    Args:
        tab: its id.
        link: what a link to it holds (`demo.links`).
    """
    link.change(None, [link], None, js=f"(link) => window.quartet.hold('{name_slug(tab)}', link)")


def create_table(
    columns: Sequence[Column], rows: list[list[Any]], label: str, **options: Any
) -> gr.Dataframe:
    """A table to read, sort and copy."""
    return gr.Dataframe(
        fill_table(columns, rows),
        headers=[header for header, _ in columns],
        datatype=["number" if shown else "str" for _, shown in columns],
        label=label,
        show_label=False,
        interactive=False,
        buttons=["copy"],
        wrap=True,
        **options,
    )


def fill_table(columns: Sequence[Column], rows: list[list[Any]]) -> dict[str, Any]:
    """What a table shows: numbers stay numbers, for sorting, whatever they look like."""
    shown = [
        [format(cell, column[1]) for column, cell in zip(columns, row, strict=True)] for row in rows
    ]
    headers = [header for header, _ in columns]
    return {"headers": headers, "data": rows, "metadata": {"display_value": shown}}


def read_choice(event: gr.EventData) -> str:
    """The `data-choice` of what was clicked (`ON_CHOICE`), or "": a visitor can send anything."""
    choice = getattr(event, "choice", "")
    return choice if isinstance(choice, str) else ""


def refuse(sentence: str) -> gr.Error:
    """To raise: the sentence is shown to the visitor and nothing is logged."""
    return gr.Error(sentence, print_exception=False)
