"""Words of the Fine-tune tab."""

from collections.abc import Mapping

from demo.words.common import LESSONS_TAB, describe_job, start_label, tell_starts
from trainer.declared import describe_setting
from trainer.events import StepSummary
from trainer.metrics import Overlap
from trainer.publication.card import build_card_data
from trainer.recipe import Settings
from trainer.record import Record
from trainer.wording import count, duration, join, p_value, percent

START_JOB, STOP_JOB, DELETE_JOB = "Start", "Stop and keep its model", "Delete this job"
DELETE_NOW, KEEP_JOB = "Yes, delete it", "No, keep it"
USE_GPU = "Use a GPU"
USE_GPU_INFO = "Takes so much of your time on Hugging Face's shared GPUs as is said below."
STOPPING = "Stopping: its model is being saved."
MORE_SETTINGS = "More settings"
NOT_KEPT = (
    "Here your browser keeps nothing for this page, so that a reload loses your jobs and pictures."
)
OPEN_ALONE = "Open it in a window of its own"
NO_JOB = "Choose settings and press Start: the job's progress shows here."
INFOS = {
    "start": "Whose weights the job begins with.",
    "steps": "Batches instead of epochs; 0 for epochs.",
}
"""Setting to what its control says, where that is not what a command line needs to say."""
STEP, LOSS, VALIDATION_ACCURACY = "Step", "Loss", "Validation accuracy, %"
IMAGES_OF, TRAINING, VALIDATION = "Images", "training", "validation"
PROGRESS, LOG, YOUR_JOBS = "Progress", "Log", "Your jobs"
JOB_COLUMNS = {
    "state": "state",
    "accuracy": "test accuracy",
    "start": "started from",
    "trained": "trained",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
    "length": "length",
    "images": "images",
}
JOB_LINK = "Link to this job, for another device"
CHANGE_COLUMNS = (
    ("class", ""),
    ("before, %", ".1f"),
    ("after, %", ".1f"),
    ("change, points", "+.1f"),
)
"""Header and format of each column."""
BY_CLASS = "Accuracy by class, before and after"
CHANGE_HINT = (
    "After minus before, in percentage points of the true class. Blue: said more often than "
    "before; orange: less often."
)
COMMAND = "The same offline"
DOWNLOAD, DOWNLOAD_CARD = "Download the model", "Its model card"
AGAIN, GO_ON = "Run it again", "Go on from here"
NOT_SHOWN = "That job is no longer here: choose another."
FORM_TAB, OPEN_TEACH = "Set up a job", "Teach it your own pictures"


def describe_finetuning(whole: bool, at_hand: int, place: str) -> str:
    """What the tab does, and on which images."""
    source = "CIFAR-10's" if whole else "the"
    images = f"{source} {at_hand:,} training images"
    images += "" if whole else " of the embedded CIFAR-10 sample"
    return (
        f"Train one of the models a little further on {images}, and see what changes on images it "
        f"has not seen. The job runs {place} and goes on when you leave; it is yours alone. "
        f"What freezing, the optimizer and the rate do, the [lessons](?tab={LESSONS_TAB.lower()}) "
        f"show in a minute each."
    )


def describe_length(epochs: int, steps: int | None) -> str:
    """`3 epochs`, or `200 steps`."""
    return count(epochs, "epoch") if steps is None else count(steps, "step")


def describe_estimate(seen: int, seconds: float | None) -> str:
    """About how long a job takes that trains on `seen` images, repeats counted."""
    said = f"Trains on {count(seen, 'image')}, each counted as often as it is shown"
    if seconds is None:
        return f"{said}. How long that takes is not known: no such job has run here yet."
    return f"{said}: about {duration(max(1, seconds))}, measuring included."


def describe_gpu(seconds: float) -> str:
    """For how long a GPU is asked for."""
    return f"Asks for a GPU for {duration(seconds)}; the model is kept as it is by then."


def describe_too_long(wall_s: float, fitting: int | None) -> str:
    """What becomes of a job that cannot end in time, and what to do."""
    ended = f"A job is ended after {duration(wall_s)}, and keeps what it has learned by then"
    if fitting is None:
        return f"{ended}: choose fewer epochs, or train less of it."
    return f"{ended}: choose fewer epochs, or take the {count(fitting, 'image')} that fit."


def fit_label(fitting: int) -> str:
    return f"Take {count(fitting, 'image')}"


def describe_state(state: str, ahead: int) -> str:
    """A job's state in a sentence.

    Args:
        ahead: jobs before a queued one.
    """
    if state == "queued":
        return "Waiting: next in turn." if not ahead else f"Waiting: {ahead} ahead of you."
    return f"{state[0].upper()}{state[1:]}."


def describe_progress(step: int, steps: int, images_per_s: float, remaining_s: float) -> str:
    return (
        f"Step {step:,} of {steps:,}, {images_per_s:,.0f} images/s, about "
        f"{duration(max(0, remaining_s))} of training left."
    )


def describe_kept(last: StepSummary | None) -> str:
    """What is left of a job that ended before its last step."""
    if last is None:
        return "Its model is kept as it was then."
    return f"Its model is kept as it was after step {last.step:,} of {last.total_steps:,}."


def ask_delete(job_id: str, leaves: str) -> str:
    """Whether a job is to be deleted.

    Args:
        leaves: what of it stays elsewhere, in a sentence, or nothing.
    """
    asked = f"Delete {describe_job(job_id)} with its model, its figures and its log, for good?"
    return f"{asked} {leaves}".strip()


def describe_confusions(epochs: int, shown: int) -> str:
    """What the small matrix runs through.

    Args:
        shown: epochs among them, evenly, that it shows.
    """
    if epochs == 1:
        return "Validation confusion after epoch 1"
    some = "" if shown == epochs else f"{shown} of "
    return f"Validation confusion after {some}epochs 1 to {epochs:,}, one a second"


def describe_after(after: float, images: int) -> str:
    return f"Accuracy on {images:,} test images: {percent(after)}."


def describe_change(before: float, after: float, images: int) -> str:
    return (
        f"Accuracy on {images:,} test images: {percent(before)} before, {percent(after)} after "
        f"({100 * (after - before):+.1f} points)."
    )


def describe_change_overlap(overlap: Overlap) -> str:
    """How many images changed sides, and what chance makes of it.

    Args:
        overlap: before is the first model, after the second.
    """
    gained, lost = overlap.only_second, overlap.only_first
    if not gained and not lost:
        return "No image changed sides: what was right stayed right, what was wrong stayed wrong."
    chance = "more than chance explains" if overlap.verdict else "which chance alone may explain"
    return (
        f"From wrong to right: {gained:,}; from right to wrong: {lost:,}; {chance} "
        f"(McNemar's exact test, {p_value(overlap.p_value)})."
    )


def describe_changed(images: int, shown: int, to_right: bool) -> str:
    change = "From wrong to right" if to_right else "From right to wrong"
    if shown == images:
        return f"{change}: {images:,}."
    return f"{change}: {images:,}, of which {shown:,} shown."


def word_setting(settings: Settings, name: str) -> tuple[str, str]:
    """A setting's label and its value as people read it."""
    declared, value = describe_setting(type(settings), name), getattr(settings, name)
    if name == "start":
        return declared.label, start_label(value)
    if isinstance(value, tuple):
        return declared.label, join(value) if value else "none"
    if isinstance(value, bool):
        return declared.label, "yes" if value else "no"
    return declared.label, dict(declared.choices).get(
        value, "none" if value is None else str(value)
    )


def describe_model_card(record: Record, start: str, shipped: Mapping[str, Record]) -> str:
    """A job's model card, in Markdown with the Hub's front-matter.

    Args:
        start: what the job began with, as its visitor chose it; of an earlier job the record knows
            only its checkpoint's name, which all jobs share.
        shipped: records of the models on screen, from which every job descends.
    """
    assert record.origin is not None
    settings, own = record.origin.settings.changed(start=start), record.origin.own_pictures
    trained, tested = record.data.train_count, record.data.test_count
    taught = ""
    if own is not None:
        trained -= own.count * settings.own_repeats
        taught = f" and {count(own.count, 'picture')} of its owner's"
    divided = ""
    if record.temperature != 1:
        divided = (
            f"\nThe probabilities that Quartet shows are of the outputs divided by "
            f"{record.temperature:.4g}, a temperature fitted on the validation images."
        )
    backbone = " ".join(map(str, tell_starts(shipped)))
    rows = (word_setting(settings, name) for name in type(settings).model_fields)
    table = "\n".join(f"| {label} | {value} |" for label, value in rows)
    return f"""---
{build_card_data([record]).to_yaml()}
---

# {record.name}

A torchvision ResNet-18 with ten outputs ({", ".join(record.classes)}),
fine-tuned by Quartet on {count(trained, "image")} of {record.data.name}{taught}.
Input: RGB, {record.recipe.image_px} pixels a side, mean {record.mean}, standard deviation
{record.std}.
Accuracy on {tested:,} test images: {percent(record.test.accuracy)}.{divided}

| setting | value |
| --- | --- |
{table}

## The backbone

{backbone}
"""
