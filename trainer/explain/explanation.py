"""Everything about one model's answer to one picture, from the pass that gave it."""

from dataclasses import dataclass

from torch import Tensor

from trainer.explain.heat import measure_heat
from trainer.explain.neighbours import Bank, Neighbours
from trainer.explain.reason import Reason, describe_reason, find_reason
from trainer.predict import Answers, Quartet


@dataclass(frozen=True)
class Explanation:
    """Why one model answered so."""

    heat: Tensor
    """`(h, w)` float32 of mean 1, for the answer (`heat.measure_heat`)."""
    neighbours: Neighbours | None
    """One row; None where there is no bank."""
    reason: Reason
    sentence: str


def explain_answer(
    quartet: Quartet, name: str, answers: Answers, bank: Bank | None, familiar: bool
) -> Explanation:
    """Explains a model's answer. No pass is repeated: what is left of it after `Answers.maps` is,
    with gradients.

    Args:
        answers: to one picture (`Answers.alone`).
        bank: of the model's features; without one nothing is said of neighbours.
        familiar: False where the picture looks like none of the ten classes.
    """
    probabilities = answers.probabilities[name]
    answer = probabilities.argmax(dim=1)
    heat = measure_heat(quartet.body_of(name), name, answers.maps[name], answer)[0]
    neighbours = None if bank is None else bank.find(answers.features[name])
    reason = find_reason(probabilities[0], neighbours, heat, familiar)
    return Explanation(heat, neighbours, reason, describe_reason(reason))
