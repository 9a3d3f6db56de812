"""The four models as the app uses them: loaded once, read-only, answering in batches."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from typing_extensions import TypedDict

from demo.batching import Batcher
from demo.gallery import name_pixels
from demo.recent import Recent
from demo.words.compare import describe_agreement
from trainer.checkpoint import Predictions, load_predictions
from trainer.errors import CheckpointError, QuartetError
from trainer.metrics import Overlap, measure_overlap
from trainer.predict import Answers, Quartet
from trainer.recipe import NATIVE_PX
from trainer.record import FamiliarityFacts, Records
from trainer.seeds import Evidence, Runs, load_runs, weigh

LARGEST_BATCH = 32
"""Pictures computed together at most; bounds the memory of a batch."""
OWN_MODELS_KEPT = 8
"""Some 16 MB each."""
LOOKS_KEPT = 64
"""Pictures whose passes explanations can go on from, some 200 kB each."""


class ModelAnswer(TypedDict):
    """What one model says of a picture."""

    answer: str
    """The most probable class."""
    probabilities: dict[str, float]
    """Class to probability, 0..1, all ten, of outputs divided by the model's temperature."""
    seconds: float
    """Time of the model's pass over its batch; the frozen pair shares one pass."""


class Classification(TypedDict):
    """What the models say of a picture."""

    agreement: str
    """One sentence: all agree, or who disagrees with whom."""
    familiar: bool | None
    """False where it looks like none of the ten classes; null where no model at hand can tell."""
    models: dict[str, ModelAnswer]
    """Recipe name to answer, for every model at hand."""
    left_out: dict[str, str]
    """Recipe name to the reason its model is missing."""


@dataclass(frozen=True)
class Look:
    """A picture, and what came of the one pass that the models made over it."""

    key: str
    """Names the pixels."""
    pixels: np.ndarray
    """`(3, S, S)` uint8."""
    said: Classification
    answers: Answers
    """To this picture alone."""


class Models:
    """The models of a folder of checkpoints."""

    def __init__(self, folder: Path) -> None:
        """Loads and verifies all that is there.

        Raises:
            CheckpointError: not one model is usable.
        """
        self.quartet = quartet = Quartet(folder)
        self.records: Records = quartet.records
        """Of every usable model."""
        self.faults: dict[str, QuartetError] = dict(quartet.faults)
        """Recipe name to what is missing or damaged."""
        self.decider: FamiliarityFacts | None = None
        """Of the detector that says whether a picture is of the ten classes."""
        if quartet.decider is not None:
            self.decider = self.records[quartet.decider].familiarity
        self.predictions: dict[str, Predictions] = {}
        """Recipe name to its recorded answers on the test images."""
        for name, record in self.records.items():
            try:
                self.predictions[name] = load_predictions(folder, record)
            except CheckpointError as error:
                self.faults[name] = error
        self.runs, self.runs_fault = _load_runs(folder, self.records)
        """Runs under other seeds, where there are any, and what is wrong with their file."""
        self._batcher: Batcher[np.ndarray, tuple[Classification, Answers, int]] = Batcher(
            self._classify_batch, LARGEST_BATCH
        )
        self._looks: Recent[Look] = Recent(LOOKS_KEPT)
        # torch sets itself up in the first pass, which takes ten times as long as the next.
        self.classify(np.zeros((3, NATIVE_PX, NATIVE_PX), np.uint8))

    def classify(self, pixels: np.ndarray) -> Classification:
        """Asks every model about `pixels (3, S, S)` uint8. Safe to call from any thread."""
        return self._batcher.ask(pixels)[0]

    def look(self, pixels: np.ndarray) -> Look:
        """The same, to be explained: what is left of the pass is kept for a while."""
        key = name_pixels(pixels)
        look = self._looks.get(key)
        if look is None:
            said, answers, row = self._batcher.ask(pixels)
            look = self._looks.keep(key, Look(key, pixels, said, answers.alone(row)))
        return look

    def recall(self, key: str) -> Look | None:
        """A look of a while ago, or None where it is not kept any more."""
        return self._looks.get(key)

    def compare(self, first: str, second: str) -> tuple[Overlap, Evidence]:
        """What two models get right of the test images, and what decides which is better."""
        one, two = (self.predictions[name] for name in (first, second))
        answers = (one.probabilities.argmax(dim=1), two.probabilities.argmax(dim=1))
        overlap = measure_overlap(one.labels, *answers)
        return overlap, weigh(self.records[first], self.records[second], self.runs, overlap)

    def _classify_batch(
        self, pictures: Sequence[np.ndarray]
    ) -> list[tuple[Classification, Answers, int]]:
        """For each picture what is said of it, and its row in the answers of all like it."""
        results: dict[int, tuple[Classification, Answers, int]] = {}
        for side in {picture.shape[-1] for picture in pictures}:
            places = [i for i, picture in enumerate(pictures) if picture.shape[-1] == side]
            images = torch.from_numpy(np.stack([pictures[i] for i in places]))
            answers = self.quartet.classify(images)
            verdicts: list[bool | None] = [None] * len(places)
            if answers.familiar is not None:
                verdicts = answers.familiar.tolist()
            for row, place in enumerate(places):
                said = self._summarise(list_answer(answers, row), verdicts[row])
                results[place] = said, answers, row
        return [results[i] for i in range(len(pictures))]

    def _summarise(self, models: dict[str, ModelAnswer], familiar: bool | None) -> Classification:
        return Classification(
            agreement=describe_agreement({name: model["answer"] for name, model in models.items()}),
            familiar=familiar,
            models=models,
            left_out={name: str(error) for name, error in self.faults.items()},
        )


def _load_runs(folder: Path, records: Records) -> tuple[Runs, QuartetError | None]:
    try:
        return load_runs(folder, records), None
    except CheckpointError as error:
        return Runs(), error


class OwnModel:
    """The model of a visitor's job."""

    def __init__(self, folder: Path, name: str) -> None:
        """Loads and verifies it.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        self.name, self.quartet = name, Quartet(folder, (name,))
        self._looks: Recent[Answers] = Recent(LOOKS_KEPT)

    def look(self, pixels: np.ndarray) -> Answers:
        """Asks it about `pixels (3, S, S)` uint8, once."""
        key = name_pixels(pixels)
        answers = self._looks.get(key)
        if answers is None:
            answers = self.quartet.classify(torch.from_numpy(pixels)[None])
            self._looks.keep(key, answers)
        return answers


@functools.lru_cache(maxsize=OWN_MODELS_KEPT)
def load_own_model(folder: Path, name: str) -> OwnModel:
    """The model of a job; the last few asked for are kept."""
    return OwnModel(folder, name)


def list_answer(answers: Answers, row: int) -> dict[str, ModelAnswer]:
    """What each model says of one picture of a batch."""
    return {
        name: ModelAnswer(
            answer=max(shares, key=lambda label: shares[label]),
            probabilities=shares,
            seconds=answers.seconds[name],
        )
        for name, shares in answers.of_picture(row).items()
    }


def recorded_answers(models: Models) -> dict[str, Tensor]:
    """Recipe name to the recorded predicted class `(N,)` int64 of every test image."""
    return {name: p.probabilities.argmax(dim=1) for name, p in models.predictions.items()}
