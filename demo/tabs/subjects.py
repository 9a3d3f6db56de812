"""The models on screen: the four, and that of a job of the visitor's."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from demo.banks import Banks
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.store import Job
from demo.models import Look, ModelAnswer, Models, list_answer, load_own_model
from demo.words import compare as words
from demo.words.common import LABELS, OWN_MODEL, inline_label, start_label
from trainer.errors import CheckpointError
from trainer.explain.neighbours import Bank
from trainer.palette import COLOURS, OWN_COLOUR
from trainer.predict import Answers, Quartet


@dataclass(frozen=True)
class Subject:
    """A model, and its one pass over the picture on screen."""

    name: str
    title: str
    colour: str
    quartet: Quartet
    answers: Answers
    """To that picture alone."""
    find_bank: Callable[[], Bank | None]
    """Asked only for an explanation: an answer waits for no bank."""
    note: str = ""
    """What it began as, for the visitor's own."""

    @property
    def inline(self) -> str:
        """Its name inside a sentence."""
        return inline_label(self.name)

    @property
    def said(self) -> ModelAnswer:
        """Its answer."""
        return list_answer(self.answers, 0)[self.name]

    @property
    def answer(self) -> int:
        """Its class."""
        return int(self.answers.probabilities[self.name].argmax())


@dataclass(frozen=True)
class Sitting:
    """A picture, and all models on screen."""

    look: Look
    subjects: tuple[Subject, ...]
    mark: str
    """The same for the same picture and models: what is drawn of another never stands beside it."""

    @property
    def familiar(self) -> bool:
        """False where the picture looks like none of the ten classes."""
        return self.look.said["familiar"] is not False


class Sitter:
    """Asks the models on screen."""

    def __init__(self, models: Models, jobs: Jobs, banks: Banks) -> None:
        self._models, self._jobs, self._banks = models, jobs, banks

    def sit(self, look: Look, *tokens: str) -> Sitting:
        """The models that a visitor sees, and what they make of a picture.

        Args:
            tokens: of which each opens jobs of theirs.
        """
        return self.sit_with(look, self._jobs.newest_with_model(*tokens))

    def sit_with(self, look: Look, job: Job | None) -> Sitting:
        """The four, the model of a job, and what they make of a picture: no pass is made twice for
        the same one."""
        subjects = [
            Subject(
                name,
                LABELS[name],
                COLOURS[name],
                self._models.quartet,
                look.answers,
                functools.partial(self._banks.find, name),
            )
            for name in look.said["models"]
        ]
        mark = look.key
        if job is not None:
            try:
                own = load_own_model(self._jobs.folder(job), NAME)
            except CheckpointError:
                pass  # swept in this moment
            else:
                start = job.settings and start_label(job.settings.start)
                note = words.describe_own_start(start) if start else ""
                find_bank = functools.partial(self._banks.find_own, own)
                said = own.look(look.pixels)
                mark = f"{mark}.{job.id}"
                subjects.append(
                    Subject(NAME, OWN_MODEL, OWN_COLOUR, own.quartet, said, find_bank, note)
                )
        return Sitting(look, tuple(subjects), mark)
