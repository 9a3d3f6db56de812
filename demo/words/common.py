"""Words that all tabs share: the models' names, the tabs', and a sentence for every error."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.faults import explain
from trainer.backbones import Story, tell_backbone
from trainer.errors import QuartetError
from trainer.recipe import PLAIN_BACKBONE
from trainer.record import Record
from trainer.wording import join

TITLE = "Quartet"
TAGLINE = (
    "One ResNet-18, fine-tuned on CIFAR-10 in four ways: SGD or Adam, all layers or only the last. "
    "See what that choice does."
)
COMPARE_TAB, LESSONS_TAB, ACCURACY_TAB = "Compare", "Lessons", "Accuracy"
CHANGED_TAB, FINETUNE_TAB, ABOUT_TAB = "What training changed", "Fine-tune", "About"
TEACH_TAB = "Teach it"
"""A part of Fine-tune, with an address of its own."""
LABELS = {
    "sgd_full": "SGD, all layers",
    "adam_full": "Adam, all layers",
    "sgd_frozen": "SGD, last layer",
    "adam_frozen": "Adam, last layer",
}
"""Recipe name to the model's name on screen."""
OWN_MODEL = "Your job's model"
"""One that is none of the four."""
PLAIN = "the pre-trained backbone, with a new last layer"
RIGHT, WRONG = "right", "wrong"
TRAIN_LOSS, EPOCH = "Train loss", "Epoch"
NO_SUCH_EXPORT = "There is no such file."
CARD_ALT = "Four models' answers to one picture, side by side"


def describe_fault(name: str, fault: QuartetError) -> str:
    """That a model is missing or damaged."""
    reason = explain(fault)
    return f"{LABELS[name]}: {reason[0].lower()}{reason[1:]} The other models go on without it."


def describe_temporary_home(home: Path, reason: str | None, temporary: Path) -> str:
    """For the log."""
    return (
        f"{home} cannot be written ({reason}): jobs are kept in {temporary} until the app ends; "
        f"name another folder with QUARTET_HOME."
    )


def label_of(name: str) -> str:
    """A model's name on screen."""
    return LABELS.get(name, OWN_MODEL)


def inline_label(name: str) -> str:
    """A model's name inside a sentence: `SGD (all layers)`."""
    if name not in LABELS:
        return OWN_MODEL[0].lower() + OWN_MODEL[1:]
    return LABELS[name].replace(", ", " (") + ")"


def inline_labels(names: Sequence[str]) -> str:
    """Several models' names inside a sentence."""
    return join([inline_label(name) for name in names])


def tell_starts(records: Mapping[str, Record]) -> list[Story]:
    """What the models' backbones are, each once."""
    stories = (
        tell_backbone(record.backbone.name, record.backbone.sha256) for record in records.values()
    )
    return list(dict.fromkeys(stories))


def start_label(start: str) -> str:
    """What a job began with: one of the four, the backbone, or an earlier job."""
    if start == PLAIN_BACKBONE:
        return PLAIN
    return LABELS.get(start) or describe_job(start.rpartition(":")[2])


def describe_job(job_id: str) -> str:
    """A job's name for its owner."""
    return f"job {job_id[:6]}"
