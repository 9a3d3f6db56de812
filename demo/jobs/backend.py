"""What jobs run on. `demo.jobs.local` is this machine, `demo.jobs.hub` is Hugging Face Jobs,
`demo.jobs.zero` is this machine with a borrowed GPU."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trainer.recipe import JobSettings

ROOT = Path(__file__).parents[2]
"""The repository."""
SHIPPED = ROOT / "checkpoints"
"""The four models that it comes with."""
NAME = "finetuned"
"""Of the checkpoint a job writes."""
EVENTS, LOG = "events.jsonl", "log.txt"
OWN = "own"
"""Folder of the visitor's pictures, `<class>/*.png`, inside a job's folder."""
START = "start"
"""Folder of the earlier job's checkpoint that a job starts from, inside its folder."""
GPU = "gpu"
"""File in the folder of a job that asked for a GPU: for how many seconds."""
PAID = "paid"
"""File in the folder of a job that its visitor pays for: nothing in it."""
PAYERS_REPO = "quartet-jobs"
"""Of who pays for a job: their private repository for its inputs and results."""


@dataclass(frozen=True)
class Payer:
    """A visitor who pays for a job. It is kept in memory alone, until the job has ended."""

    name: str
    """Their namespace on Hugging Face."""
    token: str = field(repr=False)


@dataclass(frozen=True)
class Order:
    """A job to run. Everything it writes goes into its folder: events, log and checkpoint."""

    settings: JobSettings
    folder: Path
    """Absolute, and there."""

    @property
    def own(self) -> Path | None:
        """The visitor's pictures, if there are any."""
        own = self.folder / OWN
        return own if own.is_dir() else None

    @property
    def start(self) -> Path | None:
        """Weights to start from, where the settings name none of the four nor the backbone."""
        start = self.folder / START / f"{NAME}.safetensors"
        return start if start.exists() else None

    @property
    def gpu_s(self) -> float | None:
        """How long it may have a GPU, where it asked for one."""
        return read_gpu_s(self.folder)

    @property
    def paid(self) -> bool:
        """Whether its visitor pays for it."""
        return is_paid(self.folder)


def read_gpu_s(folder: Path) -> float | None:
    """For how many seconds a job asked for a GPU, or None."""
    path = folder / GPU
    return float(path.read_text()) if path.exists() else None


def is_paid(folder: Path) -> bool:
    """Whether a job's visitor pays for it."""
    return (folder / PAID).exists()


class Process(Protocol):
    """A job that was started."""

    identity: str
    """Enough to end it after a restart of the app."""

    @property
    def status(self) -> int:
        """Exit status once it has ended: 0 for success, negative for a signal."""

    def wait(self, timeout_s: float) -> bool:
        """True when it ends within the time; its files are then whole."""

    def memory_bytes(self) -> int:
        """What it takes of this machine's memory."""

    def ask_to_end(self) -> None:
        """Asks it to write its model as it is, and end well."""

    def end(self) -> None:
        """Ends it, if it has not, and everything it started."""


class Backend(Protocol):
    """Starts jobs."""

    place: str
    """Where jobs run, in words: `on this server`."""
    leaves: str
    """What of a deleted job stays there, in a sentence, or nothing."""
    full_data: bool
    """True where jobs train on the full data set, False where on the embedded sample."""
    threads: int | None
    """Of a job; None where that is the other machine's affair."""
    waiting_s: float
    """How long a job may wait for a machine, on top of its own time."""
    saving_s: float
    """How long a job may take from being asked to end until its model is here."""
    offers_gpu: bool
    """True where a job may ask for a GPU that others do without."""
    takes_payers: bool
    """True where a visitor may pay for a job."""
    leaves_with_payer: str
    """As `leaves`, of a job that its visitor pays for."""

    @property
    def seconds_a_day(self) -> float:
        """Of all jobs together, in any 24 hours. May take as long as an answer from the network.

        Raises:
            OSError: it cannot be known now.
        """

    @property
    def usd_a_second(self) -> float:
        """Of a job. May take as long as an answer from the network.

        Raises:
            OSError: it cannot be known now.
        """

    def admit(self, folder: Path, payer: Payer | None) -> None:
        """Called in the visitor's own request when a job is queued that asks for a GPU or is paid
        for.

        Args:
            folder: the job's.
        """

    def release(self, folder: Path) -> None:
        """Called when a job has ended, or was deleted: forgets what it was admitted with."""

    def start(self, order: Order) -> Process:
        """Starts a job.

        Raises:
            OSError: it could not be started.
        """

    def end_orphan(self, identity: str) -> None:
        """Ends a process that an earlier app left, if it is still that very one."""

    def prepare(self) -> None:
        """Makes the next start quick."""

    def close(self) -> None:
        """Ends whatever waits for jobs."""
