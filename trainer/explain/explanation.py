"""Everything about one model's answer to one picture, from the pass that gave it."""

from dataclasses import dataclass

from torch import Tensor

from trainer.explain.analysed import Analysis
from trainer.explain.heat import measure_heat
from trainer.explain.neighbours import Neighbours
from trainer.explain.reason import Reason, describe_reason, find_reason
from trainer.predict import Answers, Quartet


@dataclass(frozen=True)
class Explanation:
    """Why one model answered so."""

    heat: Tensor
    """`(h, w)` float32 of mean 1, for the class asked about (`heat.measure_heat`)."""
    neighbours: Neighbours
    """One row."""
    reason: Reason
    """Always about the answer, whatever class the heat is for."""
    sentence: str
    point: Tensor
    """`(2,)` float32, the picture on the map of features."""


def explain_answer(
    quartet: Quartet,
    name: str,
    answers: Answers,
    probabilities: Tensor,
    familiar: bool,
    analysis: Analysis,
    asked: int | None = None,
    row: int = 0,
) -> Explanation:
    """Explains a model's answer to one picture of a batch. No pass is repeated: what is left of it
    after `Answers.maps` is, with gradients.

    Args:
        probabilities: `(10,)`, as they are shown.
        familiar: False where the picture looks like none of the ten classes (`Answers.familiar`).
        analysis: one that the model is part of.
        asked: the class whose heat is wanted; None for the model's answer.
        row: of the picture in the batch.
    """
    maps, features = answers.maps[name][row, None], answers.features[name][row, None]
    answer = probabilities.argmax().reshape(1)
    body = quartet.body_of(name)
    heat = measure_heat(body, name, maps, answer)
    neighbours = analysis.banks[name].find(features)
    reason = find_reason(
        probabilities, neighbours.labels[0], neighbours.similarity[0], heat[0], familiar
    )
    if asked is not None and asked != reason.answer:
        heat = measure_heat(body, name, maps, answer.new_full((1,), asked))
    point = analysis.projections[name].place(features)[0]
    return Explanation(heat[0], neighbours, reason, describe_reason(reason), point)
