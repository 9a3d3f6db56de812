"""`explain`, `analyse` and `sweep`: why models answer as they do, and what training changed."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trainer.commands.flags import Checkpoints, File, Images, Source
from trainer.errors import PictureError
from trainer.recipe import BACKBONE_OF, CLASSES
from trainer.wording import percent

if TYPE_CHECKING:
    import numpy as np

    from trainer.data import Dataset
    from trainer.explain.analysed import Analysis
    from trainer.predict import Quartet

Out = Annotated[Path, tyro.conf.arg(metavar="DIR")]


def explain(
    images: Images,
    checkpoints: Checkpoints = Path("checkpoints"),
    crop: Literal["centre", "fit"] = "centre",
    out: Out = Path("runs/explain"),
) -> int:
    """Say why the models answer as they do about pictures; write figures and their numbers.

    For each picture: where each model looked and what it takes the picture for, what would change
    its mind, and the picture on the map of features; once: what training changed.

    Example: python -m trainer explain cat.jpg --out runs/cat

    Args:
        crop: The largest centred square, or the whole picture on white.
        out: Where the figures go.
    """
    from trainer.data import load_dataset
    from trainer.decoding import shared_decoder
    from trainer.explain import drawing
    from trainer.explain.analysed import FILE, load_analysis
    from trainer.files import write_file
    from trainer.predict import Quartet

    quartet = Quartet(checkpoints)
    for name, fault in quartet.faults.items():
        print(f"{name} is left out: {fault}", file=sys.stderr)
    sample = load_dataset(sample=True)
    analysis = load_analysis(checkpoints / FILE, quartet.records, sample.digest)
    status = 0
    for path in images:
        try:
            pixels = shared_decoder().decode(path.read_bytes(), crop)
        except (PictureError, OSError) as error:
            print(f"error: {path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            status = 1
            continue
        print(path)
        _explain_picture(pixels, out / path.stem, quartet, analysis, sample)
    write_file(out / "changes.svg", drawing.draw_changes(analysis))
    write_file(out / "paths.svg", drawing.draw_paths(analysis))
    steps = drawing.draw_step_sizes(quartet.records)
    if steps is not None:
        write_file(out / "step-sizes.svg", steps)
    print(f"the figures are in {out}")
    return status


def analyse(checkpoints: Checkpoints = Path("checkpoints"), own: File = None) -> int:
    """Compute what explanations need of a folder of checkpoints, and write it beside them.

    Some minutes on two cores, on the embedded sample; needs no data set.

    Example: python -m trainer analyse --checkpoints runs/train

    Args:
        own: A short run's .safetensors file, to be explained beside the analysed set; the result
            goes beside it.
    """
    from trainer.data import load_dataset
    from trainer.explain.analysed import FILE, load_analysis, save_analysis
    from trainer.explain.analysis import analyse_own, analyse_set

    sample = load_dataset(sample=True)
    if own is None:
        path, analysis = checkpoints / FILE, analyse_set(checkpoints, sample, _tell)
    else:
        plane = load_analysis(checkpoints / FILE, {}, sample.digest).plane
        path = own.with_name(f"{own.stem}.{FILE}")
        analysis = analyse_own(own, checkpoints, sample, plane, _tell)
    size = save_analysis(path, analysis)
    print(f"{path} is written: {size / 1e6:.1f} MB")
    return 0


def sweep(
    source: Source,
    checkpoints: Checkpoints = Path("checkpoints"),
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("runs/sweep.json"),
) -> int:
    """Map accuracy against optimizer and learning rate, for the last layer.

    Everything else is as in the checkpoints' sgd_frozen. With --sample it takes seconds.

    Example: python -m trainer sweep --sample

    Args:
        out: Where the figures go, as JSON.
    """
    from trainer.checkpoint import load_record
    from trainer.explain.sweep import SweepCell, sweep_rates
    from trainer.files import write_file
    from trainer.finetune import load_start
    from trainer.recipe import PLAIN_BACKBONE

    recipe = load_record(checkpoints, BACKBONE_OF).recipe
    backbone = load_start(PLAIN_BACKBONE, checkpoints)

    def tell(cell: SweepCell) -> None:
        found = "diverged"
        if cell.validation_accuracy is not None:
            found = f"validation accuracy {percent(cell.validation_accuracy)}"
        mark = ", the recipe's own rate" if cell.own else ""
        print(f"{cell.optimizer} at {cell.learning_rate:.1e}: {found}{mark}", flush=True)

    result = sweep_rates(recipe, backbone, source.load(), source.find_device(), tell)
    write_file(out, (result.model_dump_json(indent=1) + "\n").encode())
    print(f"{out} is written")
    return 0


def _explain_picture(
    pixels: "np.ndarray",
    stem: Path,
    quartet: "Quartet",
    analysis: "Analysis",
    sample: "Dataset",
) -> None:
    """Writes one picture's figures and numbers, and prints the sentences."""
    import torch
    from torch import Tensor

    from trainer.data import split_validation
    from trainer.explain import drawing
    from trainer.explain.explanation import explain_answer
    from trainer.explain.perturbations import PERTURBATIONS, trace_confidence
    from trainer.files import write_file
    from trainer.metrics import energy

    def classify(images: Tensor) -> dict[str, Tensor]:
        return {n: each.softmax(dim=1) for n, each in quartet.classify(images).logits.items()}

    answers = quartet.classify(torch.from_numpy(pixels)[None])
    explanations = {
        name: explain_answer(
            quartet,
            name,
            answers,
            logits[0].softmax(dim=0),
            bool(energy(logits)[0] <= quartet.records[name].energy_threshold),
            analysis,
        )
        for name, logits in answers.logits.items()
        if name in analysis.banks
    }
    curves = {
        kind: trace_confidence(classify, torch.from_numpy(pixels), kind) for kind in PERTURBATIONS
    }
    for name, explanation in explanations.items():
        print(f"  {name:<12}{explanation.sentence}")
    numbers: dict[str, Any] = {
        "models": {
            name: {
                "answer": CLASSES[each.reason.answer],
                "sentence": each.sentence,
                "reason": asdict(each.reason),
                "heat": each.heat.tolist(),
                "neighbours": each.neighbours.rows[0].tolist(),
                "point": each.point.tolist(),
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
    training = split_validation(sample)[0].images.numpy()
    points = {name: each.point for name, each in explanations.items()}
    for suffix, content in (
        (".json", (json.dumps(numbers, indent=1) + "\n").encode()),
        ("-reasons.svg", drawing.draw_reasons(pixels, explanations, training)),
        ("-mind.svg", drawing.draw_curves(curves)),
        ("-map.svg", drawing.draw_map(analysis, sample.test.labels, points)),
    ):
        write_file(stem.with_name(stem.name + suffix), content)


def _tell(line: str) -> None:
    print(line, flush=True)
