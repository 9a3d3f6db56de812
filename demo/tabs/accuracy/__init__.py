"""The Accuracy tab: a module a part."""

from demo.tabs.accuracy.tab import AccuracyTab

__all__ = ["AccuracyTab"]
