"""What training changed in the networks: a module a part of the tab."""

from demo.tabs.changed.tab import ChangedTab, Given

__all__ = ["ChangedTab", "Given"]
