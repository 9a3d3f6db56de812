"""What was computed once about the models at hand: read and verified when the app starts."""

from collections.abc import Mapping
from pathlib import Path

from trainer.data import load_dataset
from trainer.errors import QuartetError
from trainer.explain.analysed import FILE, Analysis, load_analysis
from trainer.record import Record


class Analyses:
    """The analysis beside a folder's checkpoints, where there is one of these very models."""

    def __init__(self, folder: Path, records: Mapping[str, Record]) -> None:
        self.analysis: Analysis | None = None
        self.fault: QuartetError | None = None
        """Why there is none."""
        try:
            digest = load_dataset(sample=True).digest
            self.analysis = load_analysis(folder / FILE, records, digest)
        except QuartetError as error:
            self.fault = error
