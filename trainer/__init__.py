"""Quartet's trainer: one pre-trained ResNet-18, fine-tuned on CIFAR-10 in four ways.

`load_quartet` is what other programs import. The order in which its modules build on each other
stands in pyproject.toml; import-linter holds it. It never imports gradio.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.predict import Quartet

__version__ = "0.1.0"
__all__ = ["load_quartet"]


def load_quartet(source: str | os.PathLike[str], revision: str | None = None) -> "Quartet":
    """The four models, verified and ready to answer on the CPU.

    Example: `load_quartet("checkpoints").ask("cat.jpg")["sgd_full"]["cat"]`

    Args:
        source: a folder of checkpoints, or `USER/NAME` of a model repository on the Hub, which is
            downloaded once.
        revision: branch, tag or commit of the repository; default: its newest.

    Raises:
        HubError: it is no folder here, and could not be fetched.
        CheckpointError: it holds not one usable model. One that is missing or damaged is left out,
            and told in `.faults`.
    """
    # Whoever asks for a command's help should not wait for torch.
    from trainer.hub import fetch_models
    from trainer.predict import Quartet

    folder = Path(source)
    return Quartet(folder if folder.is_dir() else fetch_models(str(source), revision))
