"""Explanations as files: figures, and the numbers they were drawn from as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data import Dataset, split_validation
from trainer.explain import drawing
from trainer.explain.analysed import Analysis
from trainer.explain.explanation import Explanation, explain_answer
from trainer.explain.perturbations import PERTURBATIONS, Curve, Kind, trace_confidence
from trainer.files import write_file
from trainer.predict import Quartet
from trainer.recipe import CLASSES
from trainer.record import Records


def write_picture(
    pixels: np.ndarray,
    folder: Path,
    stem: str,
    quartet: Quartet,
    analysis: Analysis,
    sample: Dataset,
) -> dict[str, str]:
    """Writes `<stem>.json`, `<stem>-reasons.svg`, `<stem>-mind.svg` and `<stem>-map.svg`.

    Args:
        pixels: `(3, S, S)` uint8, a square as the models are handed it.
        sample: what the analysis was made on.

    Returns:
        Model to its sentence, for every model of the analysis.

    Raises:
        OSError: the folder cannot be written.
    """
    image = torch.from_numpy(pixels)
    answers = quartet.classify(image[None])
    familiar = answers.familiar is None or bool(answers.familiar[0])
    explanations = {
        name: explain_answer(quartet, name, answers, analysis.banks[name], familiar)
        for name in answers.features
        if name in analysis.banks
    }
    points = {
        name: analysis.projections[name].place(answers.features[name])[0] for name in explanations
    }

    def classify(images: Tensor) -> dict[str, Tensor]:
        return quartet.classify(images).probabilities

    curves = {kind: trace_confidence(classify, image, kind) for kind in PERTURBATIONS}
    numbers = json.dumps(_list_numbers(explanations, points, curves), indent=1) + "\n"
    training = split_validation(sample)[0].images.numpy()
    for name, content in (
        (f"{stem}.json", numbers.encode()),
        (f"{stem}-reasons.svg", drawing.draw_reasons(pixels, explanations, training)),
        (f"{stem}-mind.svg", drawing.draw_curves(curves)),
        (f"{stem}-map.svg", drawing.draw_map(analysis, sample.test.labels, points)),
    ):
        write_file(folder / name, content)
    return {name: each.sentence for name, each in explanations.items()}


def write_changes(folder: Path, records: Records, analysis: Analysis) -> None:
    """Writes `changes.svg`, `paths.svg` and, where the records hold any, `step-sizes.svg`.

    Raises:
        OSError: the folder cannot be written.
    """
    write_file(folder / "changes.svg", drawing.draw_changes(analysis))
    write_file(folder / "paths.svg", drawing.draw_paths(analysis))
    steps = drawing.draw_step_sizes(records)
    if steps is not None:
        write_file(folder / "step-sizes.svg", steps)


def _list_numbers(
    explanations: Mapping[str, Explanation],
    points: Mapping[str, Tensor],
    curves: Mapping[Kind, Curve],
) -> dict[str, Any]:
    """Everything drawn, as JSON values."""
    return {
        "models": {
            name: {
                "answer": CLASSES[each.reason.answer],
                "sentence": each.sentence,
                "reason": asdict(each.reason),
                "heat": each.heat.tolist(),
                "neighbours": each.neighbours.rows[0].tolist() if each.neighbours else [],
                "point": points[name].tolist(),
            }
            for name, each in explanations.items()
        },
        "curves": {
            kind: {
                "amounts": curve.perturbation.amounts,
                "confidence": {name: c.tolist() for name, c in curve.confidence.items()},
                "breaks": curve.breaks,
                "first": curve.first,
            }
            for kind, curve in curves.items()
        },
    }
