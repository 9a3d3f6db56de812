"""What the figures say, in sentences that change when the figures change.

Every function takes records (`checkpoint.load_record`) by recipe name and returns sentences;
one that lacks a model it compares returns none.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch

from trainer.metrics import most_confused
from trainer.recipe import CLASSES

Records = dict[str, dict[str, Any]]

REFERENCE_FILE = Path(__file__).parent / "reference_report.json"
"""The reference experiment's published figures."""
CONVERGED_WITHIN = 0.01
"""A run has converged once its test accuracy is within one point of its own best."""
PAIRS = (("sgd_full", "adam_full"), ("sgd_frozen", "adam_frozen"))
FREEZING = (("sgd_full", "sgd_frozen"), ("adam_full", "adam_frozen"))


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, `1.25 points`."""
    return f"{abs(fraction) * 100:.2f} points"


def test_count(record: dict[str, Any]) -> int:
    """Number of test images."""
    return int(record["data"]["test_count"])


def best_epoch(record: dict[str, Any]) -> dict[str, Any]:
    """The history entry of the highest test accuracy, the earliest of equals."""
    best: dict[str, Any] = max(record["history"], key=lambda epoch: epoch["test_accuracy"])
    return best


def converged_epoch(record: dict[str, Any]) -> int:
    """First epoch whose test accuracy is within `CONVERGED_WITHIN` of the best."""
    target = best_epoch(record)["test_accuracy"] - CONVERGED_WITHIN
    reached = (e["epoch"] for e in record["history"] if e["test_accuracy"] >= target)
    return int(next(reached))


def margin(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Half-width of the 95 % interval of a difference between two test accuracies.

    The normal approximation of two independent proportions, 1.96 standard errors. Both
    models see the same images, which makes the true interval narrower, so this errs
    towards calling a difference too close.
    """
    return 1.96 * math.sqrt(
        sum(
            record["test"]["accuracy"] * (1 - record["test"]["accuracy"]) / test_count(record)
            for record in (first, second)
        )
    )


def observe(records: Records) -> list[str]:
    """Observations: convergence, flattening, the price of freezing, overfitting, confusions."""
    return [
        *_observe_convergence(records),
        *_observe_flattening(records),
        *_observe_freezing(records),
        *_observe_overfitting(records),
        *_observe_confusions(records),
    ]


def conclude(records: Records, reference: dict[str, Any]) -> list[str]:
    """Conclusions: optimizers, freezing, and the reference experiment."""
    return [
        *_conclude_optimizers(records),
        *_conclude_freezing(records),
        *_conclude_reference(records, reference),
    ]


def _observe_convergence(records: Records) -> list[str]:
    sentences = []
    for sgd, adam in _present(PAIRS, records):
        epochs = {name: converged_epoch(records[name]) for name in (sgd, adam)}
        if epochs[sgd] == epochs[adam]:
            sentences.append(
                f"`{sgd}` and `{adam}` both came within one point of their best after "
                f"{_epochs(epochs[sgd])}."
            )
        else:
            fast, slow = sorted((sgd, adam), key=lambda name: epochs[name])
            sentences.append(
                f"`{fast}` converged in fewer epochs than `{slow}`: within one point of its best "
                f"after {_epochs(epochs[fast])}, against {_epochs(epochs[slow])}."
            )
    return sentences


def _observe_flattening(records: Records) -> list[str]:
    still_rising, flat = [], []
    for name, record in records.items():
        epoch, last = converged_epoch(record), len(record["history"])
        if epoch == last:
            still_rising.append(f"`{name}`")
        else:
            flat.append(f"`{name}` after epoch {epoch} of {last}")
    sentences = []
    if flat:
        sentences.append(
            f"Test accuracy flattened (gained under a point afterwards): {_join(flat)}."
        )
    if still_rising:
        sentences.append(
            f"Still gaining in the last epoch: {_join(still_rising)}; more epochs could help."
        )
    return sentences


def _observe_freezing(records: Records) -> list[str]:
    sentences = []
    for full, frozen in _present(FREEZING, records):
        lost = records[full]["test"]["accuracy"] - records[frozen]["test"]["accuracy"]
        faster = records[full]["train_s"] / max(records[frozen]["train_s"], 1e-9)
        verb = "cost" if lost > 0 else "gained"
        sentences.append(
            f"Freezing the backbone {verb} {points(lost)} of test accuracy (`{full}` against "
            f"`{frozen}`); once the backbone's features were computed, the frozen run's steps took "
            + (f"{faster:,.0f} times less time." if faster >= 2 else "about as long.")
        )
    return sentences


def _observe_overfitting(records: Records) -> list[str]:
    sentences = []
    for name, record in records.items():
        history = record["history"]
        lowest = min(history, key=lambda epoch: epoch["test_loss"])
        rise = history[-1]["test_loss"] - lowest["test_loss"]
        if rise > 0.02 * lowest["test_loss"]:
            sentences.append(
                f"`{name}`'s test loss was lowest after epoch {lowest['epoch']} "
                f"({lowest['test_loss']:.3f}) and ended {rise / lowest['test_loss']:.0%} higher, "
                f"while its train loss ended at {history[-1]['train_loss']:.3f}: it overfitted."
            )
    if not sentences:
        sentences.append(
            "No run's test loss ended more than 2 % above its lowest: none overfitted."
        )
    return sentences


def _observe_confusions(records: Records) -> list[str]:
    return [
        f"`{name}` confuses most often: "
        + _join(
            [
                f"{CLASSES[true]} taken for {CLASSES[predicted]} ({count:,} images)"
                for true, predicted, count in most_confused(
                    torch.tensor(record["test"]["confusion"]), 3
                )
                if count
            ]
        )
        + "."
        for name, record in records.items()
    ]


def _conclude_optimizers(records: Records) -> list[str]:
    sentences = []
    for sgd, adam in _present(PAIRS, records):
        what = "all layers trained" if sgd == "sgd_full" else "only the last layer trained"
        gap = records[sgd]["test"]["accuracy"] - records[adam]["test"]["accuracy"]
        if abs(gap) <= margin(records[sgd], records[adam]):
            sentences.append(
                f"With {what}, SGD and Adam are too close to call: {points(gap)} apart on "
                f"{test_count(records[sgd]):,} test images."
            )
        else:
            winner, loser = ("SGD", "Adam") if gap > 0 else ("Adam", "SGD")
            sentences.append(
                f"With {what}, {winner} beats {loser} by {points(gap)}, more than chance explains "
                f"on {test_count(records[sgd]):,} test images."
            )
    return sentences


def _conclude_freezing(records: Records) -> list[str]:
    losses = [
        records[full]["test"]["accuracy"] - records[frozen]["test"]["accuracy"]
        for full, frozen in _present(FREEZING, records)
    ]
    gaps = [
        abs(records[sgd]["test"]["accuracy"] - records[adam]["test"]["accuracy"])
        for sgd, adam in _present(PAIRS, records)
    ]
    if not losses or not gaps:
        return []
    if min(losses) > max(gaps):
        return [
            f"What is trained matters more than the optimizer: freezing costs at least "
            f"{points(min(losses))}, the choice of optimizer at most {points(max(gaps))}."
        ]
    return [
        f"What is trained and the optimizer matter on a like scale here: freezing changes "
        f"accuracy by {points(min(losses, key=abs))} or more, the optimizer by up to "
        f"{points(max(gaps))}."
    ]


def _conclude_reference(records: Records, reference: dict[str, Any]) -> list[str]:
    above: list[str] = []
    below: list[str] = []
    for name, record in records.items():
        gap = record["test"]["accuracy"] - reference_accuracy(reference, name)
        (above if gap > 0 else below).append(f"`{name}` by {points(gap)}")
    sentences = []
    if above:
        sentences.append(f"Above the reference experiment's best: {_join(above)}.")
    if below:
        sentences.append(f"Not above the reference experiment's best: {_join(below)}.")
    return sentences


def load_reference() -> dict[str, Any]:
    """The reference experiment's figures: per recipe best and final accuracy in percent."""
    reference: dict[str, Any] = json.loads(REFERENCE_FILE.read_text())
    return reference


def reference_accuracy(reference: dict[str, Any], name: str) -> float:
    """The reference's best test accuracy, its best or final figure whichever is higher, 0..1."""
    row = reference["recipes"][name]
    percent: float = max(row["best_test_accuracy_percent"], row["final_accuracy_percent"])
    return percent / 100


def _present(pairs: tuple[tuple[str, str], ...], records: Records) -> list[tuple[str, str]]:
    return [pair for pair in pairs if all(name in records for name in pair)]


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"


def _join(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts) or "nothing"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
