"""The map of learning rates: made once by a child process, for all visitors of an app."""

import subprocess
import tempfile
import threading
from pathlib import Path

from demo.jobs.commands import run_trainer
from trainer.errors import QuartetError
from trainer.explain.sweep import FILE, Sweep, load_sweep
from trainer.record import Records


class RateMap:
    """The sweep that lies beside the checkpoints, or one made here on the embedded sample.

    It depends on the recipe, the seed and the images alone, so one is enough for everybody.
    """

    def __init__(self, checkpoints: Path, records: Records) -> None:
        self._checkpoints, self._records = checkpoints.resolve(), records
        self._making = threading.Lock()
        self.sweep: Sweep | None = None
        self.fault: QuartetError | None = None
        """What is wrong with the file beside the checkpoints, if anything."""
        try:
            self.sweep = load_sweep(checkpoints, records)
        except QuartetError as error:
            self.fault = error

    def make(self) -> Sweep:
        """Makes it, once however many ask; may take a minute.

        Raises:
            QuartetError: it could not be made.
        """
        with self._making:
            if self.sweep is None:
                with tempfile.TemporaryDirectory(prefix="quartet-sweep-") as folder:
                    self._run(Path(folder) / FILE)
                    self.sweep = load_sweep(Path(folder), self._records)
            if self.sweep is None:
                raise QuartetError("sweep_failed")
            return self.sweep

    def _run(self, out: Path) -> None:
        checkpoints = str(self._checkpoints)
        try:
            run_trainer(
                *("sweep", "--sample", "--device", "cpu"),
                *("--checkpoints", checkpoints, "--out", str(out)),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise QuartetError("sweep_failed") from error
