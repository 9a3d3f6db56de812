"""The training images that a picture is compared with, as every model on screen sees them."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from demo.analyses import Analyses
from demo.models import OWN_MODELS_KEPT, Models, OwnModel
from demo.recent import Recent
from trainer.data import Split, load_dataset, split_validation
from trainer.explain.neighbours import Bank, quantise

_BATCH = 16
"""Images computed together for a bank: answers of the moment wait for no more than that."""


class Banks:
    """Those of an analysis, and of visitors' models. Without an analysis there are none."""

    def __init__(self, analyses: Analyses, models: Models) -> None:
        self._analysis, self._models = analyses.analysis, models
        self.training: Split = split_validation(load_dataset(sample=True))[0]
        """The images of all banks."""
        self._own: Recent[Future[Bank]] = Recent(OWN_MODELS_KEPT)
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "bank")

    @property
    def prepared(self) -> bool:
        """True where there are any."""
        return self._analysis is not None

    def find(self, name: str) -> Bank | None:
        """That of one of the models at hand, where it was analysed."""
        return None if self._analysis is None else self._analysis.banks.get(name)

    def find_own(self, own: OwnModel) -> Bank | None:
        """That of a visitor's model.

        A model whose backbone is one of the four's has its bank. For another the first call begins
        to compute one, some seconds of work; None until it is there, and without an analysis.
        """
        if self._analysis is None:
            return None
        digest = own.quartet.body_of(own.name).digest
        for name, bank in self._analysis.banks.items():
            known = name in self._models.records
            if known and self._models.quartet.body_of(name).digest == digest:
                return bank
        with self._lock:
            future = self._own.get(digest)
            if future is None:
                future = self._own.keep(digest, self._worker.submit(self._fill, own))
        done = future.done() and future.exception() is None
        return future.result() if done else None

    def _fill(self, own: OwnModel) -> Bank:
        batches = self.training.images.split(_BATCH)
        features = [own.quartet.classify(batch).features[own.name] for batch in batches]
        return Bank(quantise(torch.cat(features)), self.training.labels)
