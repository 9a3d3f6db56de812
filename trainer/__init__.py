"""Quartet's trainer: one pre-trained ResNet-18, fine-tuned on CIFAR-10 in four ways.

`load_quartet` and `finetune` are what other programs import; `trainer/api.py` holds them, and
docs/quartet.ipynb shows them. The order in which its modules build on each other stands in
pyproject.toml; import-linter holds it. It never imports gradio.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.api import finetune, load_quartet

__version__ = "0.1.0"
__all__ = ["finetune", "load_quartet"]


def __getattr__(name: str) -> Any:
    """Whoever asks for a command's help, or only decodes, should not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trainer import api

    return getattr(api, name)
