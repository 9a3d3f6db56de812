"""What axe-core finds wrong with a page for people who use no mouse or see little."""

from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page

RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
SERIOUS = ("serious", "critical")
SETTLED = """() => !document.querySelector('.pending')
  && document.getAnimations().every((one) => !(one instanceof CSSTransition))"""
PACKAGE = "axe_playwright_python"
"""Of the development dependencies; it carries axe-core's script."""


def find_serious(page: Page) -> list[str]:
    """Serious and critical findings on what is on screen: rule, and where."""
    pytest.importorskip(PACKAGE)
    page.wait_for_function(SETTLED)  # what fades has no contrast
    page.evaluate(resources.files(PACKAGE).joinpath("axe.min.js").read_text())
    found: dict[str, Any] = page.evaluate(
        "(runOnly) => axe.run(document, {runOnly, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
