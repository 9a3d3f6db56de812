"""Quartet's trainer: one pre-trained ResNet-18, fine-tuned on CIFAR-10 in four ways.

The package reads top to bottom in this order: `recipe`, `events`, `metrics` (no other
module of ours); `data`, `model`, `augment`; `checkpoint`; `predict`, `engine`; `report`, `cli`.
It never imports gradio.
"""

__version__ = "0.1.0"
