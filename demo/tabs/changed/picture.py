"""The picture under Compare, as the networks see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from torch import Tensor

from demo.models import Models, OwnModel
from demo.server.addresses import name_sender_of
from demo.uploads import read_pixels
from trainer.errors import PictureError


@dataclass
class Picture:
    """A visitor's picture. It is read, and the models are asked, at most once, and only where
    something about it is drawn."""

    file: Any
    """As Gradio hands it to an event; not trusted."""
    crop: Any
    request: gr.Request | None
    models: Models
    own: OwnModel | None = None

    def __post_init__(self) -> None:
        self._read = False
        self._pixels: np.ndarray | None = None
        self._features: Mapping[str, Tensor] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same picture."""
        path = self.file.get("path") if isinstance(self.file, dict) else None
        return str(path), str(self.crop)

    @property
    def pixels(self) -> np.ndarray | None:
        """`(3, S, S)` uint8; None where there is no picture, or none that can be read."""
        if not self._read:
            self._read = True
            folder, client = Path(get_upload_folder()), name_sender_of(self.request)
            try:
                self._pixels = read_pixels(self.file, folder, self.crop, client)
            except PictureError:
                self._pixels = None
        return self._pixels

    @property
    def features(self) -> Mapping[str, Tensor]:
        """Model to `(1, 512)` float32; empty without a picture."""
        if self._features is None:
            found = self.pixels
            self._features = {} if found is None else self.models.look(found).answers.features
            if found is not None and self.own is not None:
                self._features = {**self._features, **self.own.look(found).features}
        return self._features
