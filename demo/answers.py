"""The models' recorded answers on the test images: which images a figure counts, and in what order
they are worth looking at."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from demo.models import Models, recorded_answers
from trainer.calibration import Confidence, measure_confidence, temper
from trainer.metrics import (
    confusion_matrix,
    confusion_shares,
    find_only_right,
    measure_dispute,
)

SURE, DISPUTED = "sure", "disputed"
ORDERS = (SURE, DISPUTED)
"""How images are sorted: the surest mistakes first, or those the models differ on most."""
BOTH, FIRST, SECOND, NEITHER = "both", "first", "second", "neither"
PARTS = (BOTH, FIRST, SECOND, NEITHER)
"""Of the test images, by which of two models gets them right."""


class RecordedAnswers:
    """Of all models whose answers are at hand, on `N` test images; all rows are of these."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.predicted = recorded_answers(models)
        """Recipe name to the predicted classes `(N,)` int64."""
        self.labels = next(
            (one.labels for one in models.predictions.values()), torch.empty(0, dtype=torch.int64)
        )
        """`(N,)` int64."""

    @functools.cached_property
    def shares(self) -> dict[str, Tensor]:
        """Recipe name to the probabilities `(N, 10)` that the app states."""
        return {
            name: temper(one.probabilities.log(), self._models.records[name].temperature)
            for name, one in self._models.predictions.items()
        }

    @functools.cached_property
    def measured(self) -> dict[str, Confidence]:
        """Recipe name to how far the model's percentages can be believed."""
        return {
            name: measure_confidence(
                one.probabilities, one.labels, self._models.records[name].temperature
            )
            for name, one in self._models.predictions.items()
        }

    @functools.cached_property
    def confusion_shares(self) -> dict[str, np.ndarray]:
        """Recipe name to the confusion matrix `(10, 10)` float64 in shares of the true class."""
        return {
            name: confusion_shares(confusion_matrix(self.labels, classes)).numpy()
            for name, classes in self.predicted.items()
        }

    @functools.cached_property
    def confidence(self) -> dict[str, Tensor]:
        """Recipe name to the probability `(N,)` of its answer."""
        return {name: shares.amax(dim=1) for name, shares in self.shares.items()}

    def in_cell(self, name: str, true: int, said: int) -> Tensor:
        """Rows `(M,)` of one cell of a model's matrix."""
        return ((self.labels == true) & (self.predicted[name] == said)).nonzero().flatten()

    def in_difference(self, first: str, second: str, true: int, said: int) -> Tensor:
        """Rows `(M,)` of a class of which one of two models says `said` and the other does not."""
        one, two = self.predicted[first] == said, self.predicted[second] == said
        return ((self.labels == true) & (one ^ two)).nonzero().flatten()

    def in_part(self, first: str, second: str, part: str) -> Tensor:
        """Rows `(M,)` of one of `PARTS`."""
        one, two = (self.predicted[name] == self.labels for name in (first, second))
        chosen = {BOTH: one & two, FIRST: one & ~two, SECOND: two & ~one, NEITHER: ~one & ~two}
        return chosen[part].nonzero().flatten()

    def alone(self, name: str) -> Tensor:
        """Rows `(M,)` that one model alone gets right."""
        return find_only_right(self.labels, self.predicted, name)

    def sort(self, rows: Tensor, order: str, names: Sequence[str]) -> Tensor:
        """The rows `(M,)` in one of `ORDERS`.

        Args:
            names: the models in question. Sure is how sure the surest of their mistakes is; where
                none is mistaken, how sure the surest of them is.
        """
        if order == DISPUTED:
            among = names if len(names) > 1 else list(self.shares)
            value = measure_dispute(torch.stack([self.shares[name][rows] for name in among]))
        else:
            sure = torch.stack([self.confidence[name][rows] for name in names])
            wrong = torch.stack([self.predicted[name][rows] for name in names]) != self.labels[rows]
            mistaken = torch.where(wrong, sure, 0).amax(dim=0)
            value = torch.where(wrong.any(dim=0), mistaken, sure.amax(dim=0))
        return rows[value.argsort(descending=True, stable=True)]
