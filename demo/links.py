"""What an address holds of the page: the tab, and what is chosen in it.

A link is a flat mapping of words to words, the same in the address, in the page and here. What is
not understood counts as not said, so that an old link opens something.
"""

from collections.abc import Mapping
from typing import Any

from demo.words.common import (
    ABOUT_TAB,
    ACCURACY_TAB,
    CHANGED_TAB,
    COMPARE_TAB,
    FINETUNE_TAB,
    LESSONS_TAB,
    TEACH_TAB,
)

Link = dict[str, str]

TAB, JOB, BESIDE, PICTURE, LESSON = "tab", "job", "beside", "picture", "lesson"


def name_slug(tab: str) -> str:
    """A tab in the address."""
    return tab.lower().replace(" ", "-")


TABS = {
    name_slug(tab): tab
    for tab in (
        COMPARE_TAB, LESSONS_TAB, ACCURACY_TAB, CHANGED_TAB, FINETUNE_TAB, TEACH_TAB, ABOUT_TAB,
    )
}  # fmt: skip
"""A tab in the address to its id, a part of Fine-tune among them."""


def read_link(given: Any) -> Link:
    """What an address or a page holds: words to words; a visitor can send anything."""
    if not isinstance(given, Mapping):
        return {}
    return {
        name: value
        for name, value in given.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def find_tab(link: Link) -> str | None:
    """The id of the tab that a link opens, or None where it names none."""
    if link.get(TAB) in TABS:
        return TABS[link[TAB]]
    if LESSON in link:
        return LESSONS_TAB
    return COMPARE_TAB if PICTURE in link else None
