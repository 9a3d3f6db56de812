"""The screen "Teach it" of Fine-tune: buckets of pictures, Train, and what the model then says."""

from demo.tabs.teach.part import TeachPart

__all__ = ["TeachPart"]
