"""The Compare tab: a module a part."""

from demo.tabs.compare.tab import CompareTab

__all__ = ["CompareTab"]
