"""How well pictures of none of the ten classes are told:
`QUARTET_PHOTOS=DIR python -m bench.familiarity --checkpoints DIR`, some minutes on two cores.

Writes into the records of these checkpoints what their detectors do on the photographs, and
docs/familiarity.md. A checkpoint of an earlier version is given its detector first, as a run now
fits it. Nothing is fitted to the photographs but what is chosen by the page: the kind of detector,
`familiarity.DIMENSIONS` and `ACCEPTED`, and which model decides (`predict.choose_decider`).
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.detectors import build_bank, measure_energy, measure_strangeness
from bench.photographs import Photographs, load_photographs
from trainer import checkpoint
from trainer.data import Dataset, load_dataset, split_validation
from trainer.familiarity import (
    ACCEPTED,
    ALLOWED_FALSE_ALARMS,
    Familiarity,
    draw_rows,
    measure_auroc,
)
from trainer.figures import Outputs, fit_stored, stored_outputs
from trainer.picture import NATIVE_PX, SQUARE_PX
from trainer.predict import choose_decider
from trainer.record import OnPhotographs, Record

PAGE = Path("docs/familiarity.md")
QUANTILES = (0.93, 0.94, 0.95, 0.96, 0.97, 0.98)
"""Of the validation scores, between which `ACCEPTED` was chosen."""
BANK, NEIGHBOUR = 1500, 50
"""Vectors of 512 dimensions, 1.5 MB, and the neighbour measured to: the best of those tried."""
TIMED = 200

Scores = dict[str, Tensor]
"""`validation` and each size of square, `32 px`, to strangeness `(N,)`."""


@dataclass(frozen=True)
class Measured:
    """A checkpoint, its detector, and what it makes of everything."""

    record: Record
    detector: Familiarity
    outputs: dict[str, Outputs]

    @property
    def threshold(self) -> float:
        """Of its own detector."""
        assert self.record.familiarity is not None
        return self.record.familiarity.threshold

    def score(self) -> Scores:
        """By its own detector."""
        return {
            part: self.detector.measure(one.features, one.logits)
            for part, one in self.outputs.items()
        }


def main() -> None:
    """Measures every checkpoint of the folder, rewrites its record, and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR")
    options = parser.parse_args()
    photographs = load_photographs()
    if photographs is None:
        raise SystemExit("name the folder of photographs in QUARTET_PHOTOS")
    data, folder = load_dataset(options.data), options.checkpoints
    models = {
        name: _measure(folder, name, data, photographs) for name in checkpoint.list_names(folder)
    }
    PAGE.write_text("\n".join(_write_page(models, data, photographs)) + "\n")


def _measure(folder: Path, name: str, data: Dataset, photographs: Photographs) -> Measured:
    """Measures a checkpoint and rewrites its record."""
    loaded = checkpoint.load_checkpoint(folder, name)
    training, validation = split_validation(data)
    images = {
        "training": training.images[draw_rows(len(training))],
        "validation": validation.images,
        "test": data.test.images,
        **dict(_list_sizes(photographs)),
    }
    device, image_px = torch.device("cpu"), loaded.record.recipe.image_px
    outputs = {
        part: stored_outputs(loaded.weights, some, image_px, device, keep=True)
        for part, some in images.items()
    }
    detector, facts = checkpoint.load_familiarity(folder, loaded.record), loaded.record.familiarity
    if detector is None or facts is None:
        fitted = fit_stored(
            loaded.weights, outputs["training"].features, outputs["validation"], outputs["test"]
        )
        if fitted is None:
            raise SystemExit(f"{name} cannot have a detector: see trainer.figures.fit_stored")
        detector, facts = fitted.detector, fitted.facts
    figures = []
    for size, some in _list_sizes(photographs):
        scores = detector.measure(outputs[size].features, outputs[size].logits)
        figures.append(_describe(scores, photographs.familiar, facts.threshold, some.shape[-1]))
        print(name, figures[-1].model_dump_json(), flush=True)
    facts = facts.model_copy(update={"photographs": tuple(figures)})
    record = loaded.record.model_copy(update={"familiarity": facts})
    checkpoint.save_familiarity(folder, record, detector)
    return Measured(record, detector, outputs)


def _list_sizes(photographs: Photographs) -> list[tuple[str, Tensor]]:
    """The sizes that the app hands to the models."""
    return [(f"{side} px", photographs.squares[side]) for side in (NATIVE_PX, SQUARE_PX)]


def _describe(scores: Tensor, familiar: Tensor, threshold: float, side_px: int) -> OnPhotographs:
    usual, foreign = scores[familiar], scores[~familiar]
    return OnPhotographs(
        side_px=side_px,
        familiar_count=len(usual),
        foreign_count=len(foreign),
        auroc=measure_auroc(usual, foreign),
        false_alarms=(usual > threshold).double().mean().item(),
        caught=(foreign > threshold).double().mean().item(),
    )


def _list_detectors(models: dict[str, Measured], labels: Tensor) -> Iterator[tuple[str, Scores]]:
    """Every detector's name and scores: each model's energy, neighbours and virtual logit, and
    means of the latter above their thresholds."""
    for name, model in models.items():
        outputs = model.outputs
        yield (
            f"`{name}`: energy",
            {part: measure_energy(one.logits) for part, one in outputs.items()},
        )
        bank = build_bank(outputs["training"].features, labels, BANK, 512)
        yield (
            f"`{name}`: {NEIGHBOUR}th of {BANK:,} neighbours, {bank.nbytes / 1e6:.1f} MB",
            {
                part: measure_strangeness(bank, one.features, NEIGHBOUR)
                for part, one in outputs.items()
            },
        )
        yield f"`{name}`: virtual logit, {model.detector.nbytes / 1e6:.2f} MB", model.score()
    frozen = [model for model in models.values() if model.record.recipe.frozen]
    for title, some in (("frozen models", frozen), ("all models", list(models.values()))):
        if len(some) > 1:
            above = [
                {part: scores - model.threshold for part, scores in model.score().items()}
                for model in some
            ]
            parts = above[0]
            yield (
                f"{title}: mean of virtual logits",
                {part: torch.stack([one[part] for one in above]).mean(dim=0) for part in parts},
            )


def _time_one(model: Measured) -> float:
    """Median seconds of asking a detector about one picture."""
    one = model.outputs["validation"]
    features, logits = one.features[:1], one.logits[:1]
    seconds = []
    for _ in range(TIMED):
        started_s = time.perf_counter()
        model.detector.measure(features, logits)
        seconds.append(time.perf_counter() - started_s)
    return statistics.median(seconds)


def _write_page(
    models: dict[str, Measured], data: Dataset, photographs: Photographs
) -> Iterator[str]:
    familiar = photographs.familiar
    sizes = [size for size, _ in _list_sizes(photographs)]
    training, _ = split_validation(data)
    labels = training.labels[draw_rows(len(training))]
    yield from (
        "# Pictures of none of the ten classes",
        "",
        f"Written by `python -m bench.familiarity` on {int(familiar.sum())} photographs of the ten "
        f"classes and {int((~familiar).sum()):,} of other things, which are not in the repository, "
        f"in squares of {' and of '.join(sizes)}. They chose; nothing was trained on them.",
        "",
        "## Which detector",
        "",
        "AUROC: how often a photograph of something else seems stranger than one of the ten. "
        f"Noticed: share of those of other things where {ALLOWED_FALSE_ALARMS:.0%} of those of the "
        "ten are false alarms.",
        "",
        "| detector | " + " | ".join(f"AUROC, {size} | noticed" for size in sizes) + " |",
        "| --- |" + " --- | --- |" * len(sizes),
    )
    for title, scores in _list_detectors(models, labels):
        cells = []
        for size in sizes:
            threshold = scores[size][familiar].quantile(1 - ALLOWED_FALSE_ALARMS).item()
            one = _describe(scores[size], familiar, threshold, 0)
            cells.append(f"{one.auroc:.1%} | {one.caught:.1%}")
        yield f"| {title} | {' | '.join(cells)} |"
    stored = sum(len(model.detector.to_bytes()) for model in models.values())
    slowest_s = max(_time_one(model) for model in models.values())
    yield from (
        "",
        f"The virtual logits of the {len(models)} models take {stored / 1e6:.2f} MB, and one "
        f"{1e6 * slowest_s:.0f} microseconds a picture.",
        "",
    )
    yield from _write_decision(models, familiar, sizes)


def _write_decision(
    models: dict[str, Measured], familiar: Tensor, sizes: list[str]
) -> Iterator[str]:
    columns = [f"{size}: false | noticed" for size in sizes]
    yield from (
        "## Which model decides, and where the threshold lies",
        "",
        f"The threshold of a model's virtual logit is the score that {1 - ACCEPTED:.0%} of its "
        "validation images exceed. False alarms, and photographs of other things that are noticed:",
        "",
        f"| model | test images: false | {' | '.join(columns)} |",
        "| --- | --- |" + " --- | --- |" * len(sizes),
    )
    for name, model in models.items():
        facts = model.record.familiarity
        assert facts is not None
        cells = [f"{one.false_alarms:.1%} | {one.caught:.1%}" for one in facts.photographs]
        yield f"| `{name}` | {facts.test_false_alarms:.1%} | {' | '.join(cells)} |"
    decider = choose_decider({name: model.record for name, model in models.items()})
    if decider is None:
        yield from ("", "None of them decides: none notices more than it alarms falsely.")
        return
    yield from (
        "",
        f"**`{decider}` decides**: of those measured, the fewest false alarms beyond "
        f"{ALLOWED_FALSE_ALARMS:.0%} in the largest squares, then the most noticed. At other "
        "thresholds it would do this:",
        "",
        f"| validation images above | {' | '.join(columns)} |",
        "| --- |" + " --- | --- |" * len(sizes),
    )
    scores = models[decider].score()
    for quantile in QUANTILES:
        threshold = scores["validation"].double().quantile(quantile).item()
        measured = [_describe(scores[size], familiar, threshold, 0) for size in sizes]
        cells = [f"{one.false_alarms:.1%} | {one.caught:.1%}" for one in measured]
        yield f"| {1 - quantile:.0%} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
