"""Quartet's trainer: one pre-trained ResNet-18, fine-tuned on CIFAR-10 in four ways.

The order in which its modules build on each other stands in pyproject.toml; import-linter holds it.
It never imports gradio.
"""

__version__ = "0.1.0"
