"""Makes records as runs leave them, without a run."""

from collections.abc import Sequence
from typing import Any

from trainer.recipe import CLASSES, PRESETS, JobSettings
from trainer.record import (
    BackboneFacts,
    DataFacts,
    Epoch,
    FamiliarityFacts,
    Figures,
    Hardware,
    OnPhotographs,
    Origin,
    OwnPictures,
    Record,
)

TEST_COUNT = 10_000


def build_record(
    name: str = "sgd_full",
    accuracies: Sequence[float] = (0.5, 0.8),
    losses: Sequence[float] | None = None,
    **changes: Any,
) -> Record:
    """A record of the recipe `name`.

    Args:
        accuracies: test accuracy after each epoch; the last is the model's.
        losses: test loss after each epoch; default: 1 throughout.
        changes: fields of the record that are otherwise.
    """
    recipe = PRESETS["default"][name]
    losses = losses or [1.0] * len(accuracies)
    history = tuple(
        Epoch(
            epoch=number + 1,
            train_loss=0.1,
            train_accuracy=0.9,
            validation_loss=1.0,
            validation_accuracy=accuracy,
            test_loss=loss,
            test_accuracy=accuracy,
            learning_rate=recipe.learning_rate,
            train_s=5.0,
            seconds=6.0,
        )
        for number, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
    )
    values: dict[str, Any] = {
        "name": name,
        "recipe": recipe,
        "data": DataFacts(
            name="CIFAR-10",
            digest="ab" * 32,
            train_count=45_000,
            validation_count=5_000,
            test_count=TEST_COUNT,
        ),
        "backbone": BackboneFacts(name="resnet18", sha256="cd" * 32),
        "history": history,
        "validation": build_figures(accuracies[-1]),
        "test": build_figures(accuracies[-1]),
        "precision": "fp32",
        "hardware": Hardware(device="cpu", cpu="a processor", cores=2, threads=1, memory_bytes=1),
        "versions": {"quartet": "0.1.0"},
        "date": "2026-11-24T00:00:00+00:00",
        "train_s": 10.0 if recipe.frozen else 1000.0,
    }
    return Record(**{**values, **changes})


def build_figures(accuracy: float) -> Figures:
    """Figures of a model that takes 40 cats for dogs and is otherwise right."""
    confusion = [[100 if true == predicted else 0 for predicted in range(10)] for true in range(10)]
    confusion[3][5] = 40
    return Figures(
        accuracy=accuracy,
        loss=1.0,
        confusion=tuple(map(tuple, confusion)),
        per_class_accuracy=(1.0, 1.0, 1.0, 5 / 7, *[1.0] * 6),
        best_class=CLASSES[0],
        worst_class="cat",
        calibration_error=0.02,
    )


def build_facts(
    *photographs: tuple[int, float, float], test_false_alarms: float = 0.044
) -> FamiliarityFacts:
    """What a record tells of a detector.

    Args:
        photographs: side, false alarms and caught.
    """
    return FamiliarityFacts(
        threshold=3.5,
        validation_false_alarms=0.04,
        test_false_alarms=test_false_alarms,
        photographs=tuple(
            OnPhotographs(
                side_px=side_px,
                familiar_count=547,
                foreign_count=1000,
                auroc=0.9,
                false_alarms=false_alarms,
                caught=caught,
            )
            for side_px, false_alarms, caught in photographs
        ),
    )


def build_origin(**changes: Any) -> Origin:
    """What decided a short run with two pictures of the visitor's own."""
    settings = JobSettings.like(PRESETS["default"]["sgd_full"], "sgd_full", **changes)
    own = OwnPictures(count=2, sha256="ef" * 32)
    return Origin(
        start="sgd_full", start_sha256="01" * 32, settings=settings, own_pictures=own, threads=1
    )
