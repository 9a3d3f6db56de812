"""What other programs import, through `trainer` itself: `load_quartet` and `finetune`."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trainer.checkpoint import load_predictions, load_record
from trainer.data import load_dataset
from trainer.device import find_device, find_precision
from trainer.engine import Trainer
from trainer.errors import TrainingError
from trainer.events import EventLog, RunFailed
from trainer.picture import Crop
from trainer.placement import Placement
from trainer.predict import Quartet
from trainer.progress import listening
from trainer.recipe import JobSettings
from trainer.record import Record
from trainer.short_run import (
    choose_splits,
    describe_origin,
    load_start,
    read_own_pictures,
    settings_like_start,
)
from trainer.stop import StopRequest

AnyPath = str | os.PathLike[str]


def load_quartet(source: AnyPath, revision: str | None = None) -> Quartet:
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
    folder = Path(source)
    if not folder.is_dir():
        from trainer.hub import fetch_models  # a second of importing, of use here alone

        folder = fetch_models(str(source), revision)
    return Quartet(folder)


@dataclass(frozen=True)
class Finetuned:
    """What a short run left behind."""

    weights: Path
    """The model's .safetensors file, from which a further run can start."""
    record: Record
    """Its settings, its `history` epoch by epoch, its figures on validation and test images."""
    before: float
    """Share of the test images it measured on that the start got right, 0..1."""

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """A run that has ended in this folder."""
        record = load_record(folder, name)
        answers = load_predictions(folder, record)
        assert answers.start_probabilities is not None, "it is no short run"
        right = answers.start_probabilities.argmax(dim=1) == answers.labels
        return cls(folder / f"{name}.safetensors", record, right.double().mean().item())

    @property
    def after(self) -> float:
        """The share, of the same images, that its model gets right."""
        return self.record.test.accuracy

    def ask(self, picture: AnyPath | bytes, crop: Crop = "centre") -> dict[str, float]:
        """What its model says of one picture: class to probability, 0..1.

        Args, Raises: as of `Quartet.ask`.
        """
        name = self.record.name
        return Quartet(self.weights.parent, [name]).ask(picture, crop)[name]


def finetune(
    *,
    checkpoints: AnyPath = "checkpoints",
    data: AnyPath | None = None,
    sample: bool = False,
    device: str = "auto",
    own: AnyPath | None = None,
    out: AnyPath | None = None,
    name: str = "finetuned",
    summary_every_s: float = 5.0,
    stop: StopRequest | None = None,
    **settings: Any,
) -> Finetuned:
    """Trains one model a little further, and tells how it goes on the standard output.

    It is what `python -m trainer finetune` does, and its arguments are that command's flags.

    Example: `finetune(start="sgd_full", sample=True, images=500, epochs=1).after`

    Args:
        checkpoints: folder of the four.
        data: a local CIFAR-10, as Parquet files or class folders; default: the folder in
            `QUARTET_DATA`, else the Hub's.
        sample: take the 2,500 embedded images instead: no network, and quick.
        device: `auto`, `cpu`, `cuda` or `mps`.
        own: folder of pictures to mix in, `own/<class>/*`.
        out: where checkpoint and `events.jsonl` go; default: a new temporary folder.
        name: of the files written.
        summary_every_s: seconds between the summaries of steps in `events.jsonl`.
        stop: once its `signal` is set, the run ends after the step it is in, and keeps what it has
            learned.
        settings: of `JobSettings`, `start` among them; what is not given is as in the start's own
            training, or the setting's default.

    Raises:
        SettingError: a setting is unknown or out of range.
        CheckpointError: the start is missing or damaged.
        DataError: the data set or a picture is missing or damaged.
        TrainingError: `out` holds such a model already, the device is missing, or the loss is not
            finite.
        OSError: `out` cannot be written.
    """
    four = Path(checkpoints)
    settings = {key: _to_text(value) for key, value in settings.items()}
    given = JobSettings(**settings)
    given.recipe(name)  # refuses a name that is none
    folder = Path(tempfile.mkdtemp(prefix="quartet-") if out is None else out)
    if (folder / f"{name}.json").exists():
        raise TrainingError("finetuned_exists", folder=folder, name=name)
    with _telling_failure(folder, name):
        job = settings_like_start(checkpoints=four, **{**settings, "start": given.start})
        start = load_start(job.start, four)
        images = load_dataset(None if data is None else Path(data), sample)
        pictures = None if own is None else read_own_pictures(Path(own))
        splits = choose_splits(images, job, pictures)
        recipe = job.recipe(name)
        if 2 <= len(splits["train"]) < recipe.batch_size:
            recipe = recipe.changed(batch_size=len(splits["train"]))
        computed_on = find_device(device)
        placement = Placement(
            folder,
            computed_on,
            find_precision(computed_on),
            summary_every_s=summary_every_s,
            keep_features=True,
            measure_start=True,
            keep_stopped=True,
        )
        origin = describe_origin(job.changed(start=start.name), start.sha256, pictures)
    trainer = Trainer(images, start, placement, splits, origin)
    with listening(folder, "a fine-tuning run", [name]) as (on_event, _):
        trainer.fit(recipe, on_event, stop or StopRequest())
    return Finetuned.read(folder, name)


@contextlib.contextmanager
def _telling_failure(folder: Path, name: str) -> Iterator[None]:
    """Says in a folder that is there why its run did not begin, as the engine does of one that has;
    whoever made the folder waits for that."""
    try:
        yield
    except Exception as error:
        if folder.is_dir():
            with contextlib.closing(EventLog(folder / "events.jsonl")) as log:
                log(RunFailed.tell(name, error, step=0))
        raise


def _to_text(value: Any) -> Any:
    """A start may be given as a path; settings are text and numbers."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
