"""What was computed once about the models at hand: loaded once, read-only."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from demo.models import OWN_MODELS_KEPT, Models, OwnModel
from demo.recent import Recent
from trainer.data import Split, load_dataset, split_validation
from trainer.errors import CheckpointError, QuartetError
from trainer.explain.analysed import FILE, Analysis, load_analysis
from trainer.explain.neighbours import Bank, quantise
from trainer.record import Record

_BATCH = 16
"""Images computed together for a bank: answers of the moment wait for no more than that."""


class Analyses:
    """The analysis of a folder of checkpoints, and banks of visitors' models."""

    def __init__(self, folder: Path, records: Mapping[str, Record]) -> None:
        """Loads and verifies the analysis; without one the app goes on.

        Args:
            folder: of the checkpoints.
            records: of the usable ones.
        """
        self.analysis: Analysis | None = None
        self.fault: QuartetError | None = None
        """Why there is none."""
        sample = load_dataset(sample=True)
        self.training: Split = split_validation(sample)[0]
        """The images of all banks."""
        try:
            self.analysis = load_analysis(folder / FILE, records, sample.digest)
        except CheckpointError as error:
            self.fault = error
        self._own: Recent[Future[Bank]] = Recent(OWN_MODELS_KEPT)
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "bank")

    def find_bank(self, name: str) -> Bank | None:
        """That of one of the models at hand, where it was analysed."""
        return None if self.analysis is None else self.analysis.banks.get(name)

    def find_own_bank(self, own: OwnModel, models: Models) -> Bank | None:
        """That of a visitor's model.

        A model whose backbone is one of the four's has its bank. For another the first call begins
        to compute one, some seconds of work; None until it is there, and without an analysis.
        """
        if self.analysis is None:
            return None
        digest = own.quartet.body_of(own.name).digest
        for name, bank in self.analysis.banks.items():
            if name in models.records and models.quartet.body_of(name).digest == digest:
                return bank
        with self._lock:
            future = self._own.get(digest)
            if future is None:
                future = self._own.keep(digest, self._worker.submit(self._fill_bank, own))
        done = future.done() and future.exception() is None
        return future.result() if done else None

    def _fill_bank(self, own: OwnModel) -> Bank:
        batches = self.training.images.split(_BATCH)
        features = [own.quartet.classify(batch).features[own.name] for batch in batches]
        return Bank(quantise(torch.cat(features)), self.training.labels)
