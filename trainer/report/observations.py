"""What the figures say, in sentences that change when the figures change.

Every function takes records by recipe name and returns sentences; one that lacks a model it
compares returns none. What two runs have in common and in what they differ is read from their
records, not from their names.
"""

from collections.abc import Mapping
from typing import Any

import torch

from trainer.declared import describe_setting, tell_choice
from trainer.metrics import most_confused
from trainer.recipe import CLASSES, PAIRS, Recipe
from trainer.record import Epoch, Record, Records
from trainer.reference import reference_accuracy
from trainer.seeds import Evidence
from trainer.significance import SeedTest
from trainer.wording import (
    count,
    describe_seed_test,
    join,
    p_value,
    percent,
    points,
    tell_seed_counts,
)

CONVERGED_WITHIN = 0.01
"""A run has converged once its test accuracy is within one point of its own best."""
OVERFITTED_FROM = 0.02
"""Rise of the test loss above its lowest that is called overfitting."""
FREEZING = (("sgd_full", "sgd_frozen"), ("adam_full", "adam_frozen"))

Verdicts = Mapping[tuple[str, str], Evidence]
"""A pair of recipe names to what decides between the two; only where both were measured on the same
test images."""


def tell_label(name: str) -> str:
    """A setting's label within a sentence: `batch size`, `BatchNorm momentum`."""
    label = describe_setting(Recipe, name).label.removeprefix("Or ")
    word = label.split()[0].replace("-", "")
    # Names, such as Adam's and BatchNorm, stay as they are.
    return label[0].lower() + label[1:] if word.isalpha() and word[1:].islower() else label


def list_differences(first: Recipe, second: Recipe) -> list[str]:
    """Labels of the settings that two recipes differ in, in the order of their declaration."""
    return [
        tell_label(name)
        for name in Recipe.model_fields
        if name not in ("name", "preset") and getattr(first, name) != getattr(second, name)
    ]


def best_epoch(record: Record) -> Epoch:
    """The epoch of the highest test accuracy, the earliest of equals."""
    return max(record.history, key=lambda epoch: epoch.test_accuracy)


def converged_epoch(record: Record) -> int:
    """First epoch whose test accuracy is within `CONVERGED_WITHIN` of the best."""
    target = best_epoch(record).test_accuracy - CONVERGED_WITHIN
    return next(epoch.epoch for epoch in record.history if epoch.test_accuracy >= target)


def observe(records: Records, verdicts: Verdicts) -> list[str]:
    """Observations: convergence, flattening, the price of freezing, overfitting, confusions."""
    return [
        *_observe_convergence(records),
        *_observe_flattening(records),
        *_observe_freezing(records, verdicts),
        *_observe_overfitting(records),
        *_observe_confusions(records),
    ]


def conclude(records: Records, verdicts: Verdicts, reference: dict[str, Any]) -> list[str]:
    """Conclusions: optimizers, freezing, and the reference experiment."""
    return [
        *_conclude_pairs(records, verdicts),
        *_conclude_freezing(records, verdicts),
        *_conclude_reference(records, reference),
    ]


def _observe_convergence(records: Records) -> list[str]:
    sentences = []
    for pair in _present(PAIRS, records):
        epochs = {name: converged_epoch(records[name]) for name in pair}
        fast, slow = sorted(pair, key=lambda name: epochs[name])
        if epochs[fast] == epochs[slow]:
            sentences.append(
                f"`{pair[0]}` and `{pair[1]}` both came within one point of their best after "
                f"{count(epochs[fast], 'epoch')}."
            )
        else:
            sentences.append(
                f"`{fast}` converged in fewer epochs than `{slow}`: within one point of its best "
                f"after {count(epochs[fast], 'epoch')}, against {count(epochs[slow], 'epoch')}."
            )
    return sentences


def _observe_flattening(records: Records) -> list[str]:
    still_rising, flat = [], []
    for name, record in records.items():
        epoch, last = converged_epoch(record), len(record.history)
        if epoch == last:
            still_rising.append(f"`{name}`")
        else:
            flat.append(f"`{name}` after epoch {epoch} of {last}")
    sentences = []
    if flat:
        sentences.append(
            f"Test accuracy flattened (gained under a point afterwards): {join(flat)}."
        )
    if still_rising:
        sentences.append(
            f"Still gaining in the last epoch: {join(still_rising)}; more epochs could help."
        )
    return sentences


def _observe_freezing(records: Records, verdicts: Verdicts) -> list[str]:
    sentences = []
    for full, frozen in _freezing(records, verdicts):
        evidence = verdicts[full, frozen]
        lost = evidence.gap
        if evidence.verdict:
            verb = "cost" if lost > 0 else "gained"
            price = f"Freezing the backbone {verb} {points(lost)} of test accuracy"
        else:
            price = (
                f"Freezing the backbone changed test accuracy by {points(lost)}, maybe by chance"
            )
        faster = records[full].train_s / max(records[frozen].train_s, 1e-9)
        sentences.append(
            f"{price} (`{full}` against `{frozen}`, {_tell_basis(evidence)}); once the backbone's "
            f"features were computed, the frozen run's steps took "
            + (f"{faster:,.0f} times less time." if faster >= 2 else "about as long.")
            + _caution(records[full].recipe, records[frozen].recipe, "trained")
        )
    return sentences


def _observe_overfitting(records: Records) -> list[str]:
    sentences = []
    for name, record in records.items():
        last = record.history[-1]
        lowest = min(record.history, key=lambda epoch: epoch.test_loss)
        rise = last.test_loss - lowest.test_loss
        if rise > OVERFITTED_FROM * lowest.test_loss:
            sentences.append(
                f"`{name}`'s test loss was lowest after epoch {lowest.epoch} "
                f"({lowest.test_loss:.3f}) and ended {percent(rise / lowest.test_loss, 0)} higher, "
                f"while its train loss ended at {last.train_loss:.3f}: it overfitted."
            )
    if not sentences:
        sentences.append(
            f"No run's test loss ended more than {percent(OVERFITTED_FROM, 0)} above its lowest: "
            f"none overfitted."
        )
    return sentences


def _observe_confusions(records: Records) -> list[str]:
    sentences = []
    for name, record in records.items():
        confused = [
            f"{CLASSES[true]} taken for {CLASSES[predicted]} ({count(images, 'image')})"
            for true, predicted, images in most_confused(torch.tensor(record.test.confusion), 3)
            if images
        ]
        sentences.append(f"`{name}` confuses most often: {join(confused)}.")
    return sentences


def _conclude_pairs(records: Records, verdicts: Verdicts) -> list[str]:
    sentences = []
    for pair in _present(PAIRS, records):
        evidence = verdicts.get(pair)
        if evidence is None:
            sentences.append(
                f"`{pair[0]}` and `{pair[1]}` were measured on different test images, so neither "
                f"is called better."
            )
        else:
            first, second = (records[name] for name in pair)
            sentences.append(
                _compare(first, second, evidence)
                + _caution(first.recipe, second.recipe, "optimizer")
            )
    return sentences


def _compare(first: Record, second: Record, evidence: Evidence) -> str:
    """Which of two models is better, as the app says it too."""
    trained = {tell_choice(record.recipe, "trained") for record in (first, second)}
    where = f"With {trained.pop()} trained, " if len(trained) == 1 else ""
    if isinstance(evidence, SeedTest):
        return where + describe_seed_test(_tell_run(first), _tell_run(second), evidence)
    gap = evidence.gap
    test = (
        f"({p_value(evidence.p_value)} in the paired exact test on "
        f"{count(first.data.test_count, 'test image')})"
    )
    if evidence.verdict:
        better, other = (first, second) if evidence.verdict > 0 else (second, first)
        return (
            f"{where}{_tell_run(better)} beats {_tell_run(other)} by {points(gap)}, more than "
            f"chance explains {test}."
        )
    both = f"{where}{_tell_run(first)} and {_tell_run(second)}"
    if not evidence.only_first + evidence.only_second:
        return f"{both} get the very same test images right."
    return f"{both} are too close to call: {points(gap)} apart {test}."


def _tell_basis(evidence: Evidence) -> str:
    """What a difference rests on, within brackets: `means over 5 seeds each, p = 0.008`."""
    seeds = f"means over {tell_seed_counts(evidence)}, " if isinstance(evidence, SeedTest) else ""
    return seeds + p_value(evidence.p_value)


def _caution(first: Recipe, second: Recipe, compared: str) -> str:
    """A sentence on what else two runs differ in, or that what is compared is the same."""
    differences = list_differences(first, second)
    label = tell_label(compared)
    if label not in differences:
        differing = f"they differ in {join(differences)}" if differences else "so is all else"
        return f" Their {label} is the same; {differing}."
    others = [other for other in differences if other != label]
    if not others:
        return " Nothing else differs."
    return f" They differ in {join(others)} too."


def _tell_run(record: Record) -> str:
    return f"`{record.name}` ({tell_choice(record.recipe, 'optimizer')})"


def _conclude_freezing(records: Records, verdicts: Verdicts) -> list[str]:
    losses = [verdicts[full, frozen].gap for full, frozen in _freezing(records, verdicts)]
    gaps = [
        abs(verdicts[first, second].gap)
        for first, second in _present(PAIRS, records)
        if (first, second) in verdicts
        and records[first].recipe.trained == records[second].recipe.trained
    ]
    if not losses or not gaps:
        return []
    if min(losses) > max(gaps):
        return [
            f"What is trained matters more than all else that differs here: freezing costs at "
            f"least {points(min(losses))}, runs that train the same layers lie at most "
            f"{points(max(gaps))} apart."
        ]
    return [
        f"What is trained and all else that differs matter on a like scale here: freezing changes "
        f"accuracy by {points(min(losses, key=abs))} or more, runs that train the same layers lie "
        f"up to {points(max(gaps))} apart."
    ]


def _conclude_reference(records: Records, reference: dict[str, Any]) -> list[str]:
    above: list[str] = []
    below: list[str] = []
    for name, record in records.items():
        gap = record.test.accuracy - reference_accuracy(reference, name)
        (above if gap > 0 else below).append(f"`{name}` by {points(gap)}")
    sentences = []
    if above:
        sentences.append(f"Above the reference experiment's best: {join(above)}.")
    if below:
        sentences.append(f"Not above the reference experiment's best: {join(below)}.")
    return sentences


def _present(pairs: tuple[tuple[str, str], ...], records: Records) -> list[tuple[str, str]]:
    return [pair for pair in pairs if all(name in records for name in pair)]


def _freezing(records: Records, verdicts: Verdicts) -> list[tuple[str, str]]:
    """Pairs of a run of all layers and one of the last layer, measured on the same images."""
    return [
        (full, frozen)
        for full, frozen in _present(FREEZING, records)
        if (full, frozen) in verdicts
        and records[full].recipe.trained == "all"
        and records[frozen].recipe.frozen
    ]
