"""Puts a job's model on Hugging Face, in the account of who is signed in."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from demo.accounts.sessions import Account
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.limits import DAY_S
from demo.jobs.refusal import Refused
from demo.jobs.store import Job
from demo.rates import Rate
from demo.words import finetune as words
from trainer.checkpoint import load_record
from trainer.hub import push_new
from trainer.publication.models import write_model
from trainer.record import Record

MOST_CHARS = 96
"""Of a repository's name at the Hub, its owner's included."""
NAME_SHAPE = re.compile(r"(?!.*(--|\.\.|\.git$))[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What the Hub takes, by `huggingface_hub.utils.validate_repo_id`."""


class Publisher:
    """Publishes what jobs left. Takes as long as the network does."""

    def __init__(self, jobs: Jobs, shipped: Mapping[str, Record]) -> None:
        """
        Args:
            shipped: records of the models on screen.
        """
        self._jobs, self._shipped = jobs, shipped
        self._published = Rate(jobs.limits.published_of_sender, DAY_S)

    def publish(
        self, job: Job | None, account: Account | None, name: str, private: bool, sender: str = ""
    ) -> str:
        """Makes a repository of the account's with the job's weights, figures and card.

        Args:
            job: one that is the visitor's, or None.
            name: of the repository, without its owner.
            sender: where the wish comes from, as the limits count.

        Returns:
            Its address.

        Raises:
            QuartetError: there is no such job or account, the name is none or taken, the account
                does not allow it, or the Hub cannot be reached.
        """
        if job is None or account is None or not account.publishes or not self._jobs.has_model(job):
            raise Refused("publish_not")
        repo = _name_repo(account, name)
        if sender and not self._published.take(sender):
            raise Refused("published_day", models=self._jobs.limits.published_of_sender)
        source = self._jobs.folder(job)
        card = write_card(source, job, self._shipped, name)
        with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
            write_model(source, NAME, Path(folder), card)
            return push_new(Path(folder), repo, account.token, private)


def write_card(
    folder: Path, job: Job, shipped: Mapping[str, Record], name: str | None = None
) -> str:
    """The card of a job's model.

    Args:
        folder: the job's.
        shipped: records of the models on screen.
        name: of the model; default: as the job's files are called.

    Raises:
        CheckpointError: the job has no model, or was deleted in this moment.
    """
    record = load_record(folder, NAME)
    start = job.settings.start if job.settings else record.name
    named = record if name is None else record.model_copy(update={"name": name})
    return words.describe_model_card(named, start, shipped)


def _name_repo(account: Account, name: str) -> str:
    most = MOST_CHARS - len(account.name) - 1
    if len(name) > most or not NAME_SHAPE.fullmatch(name):
        raise Refused("publish_name", most=most)
    return f"{account.name}/{name}"
