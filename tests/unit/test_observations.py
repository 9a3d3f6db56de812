"""The words follow the figures."""

from typing import Any

import pytest

from trainer.observations import Records, conclude, converged_epoch, observe

REFERENCE = {
    "recipes": {
        name: {"best_test_accuracy_percent": 50.0, "final_accuracy_percent": 49.0}
        for name in ("sgd_full", "adam_full", "sgd_frozen", "adam_frozen")
    }
}


def record(name: str, accuracies: list[float], losses: list[float] | None = None) -> dict[str, Any]:
    losses = losses or [1.0] * len(accuracies)
    confusion = [[100 if i == j else 0 for j in range(10)] for i in range(10)]
    confusion[3][5] = 40
    return {
        "name": name,
        "data": {"test_count": 10_000},
        "history": [
            {"epoch": i + 1, "test_accuracy": a, "test_loss": b, "train_loss": 0.1}
            for i, (a, b) in enumerate(zip(accuracies, losses, strict=True))
        ],
        "test": {"accuracy": accuracies[-1], "confusion": confusion},
        "train_s": 10.0 if "frozen" in name else 1000.0,
    }


@pytest.fixture
def records() -> Records:
    return {
        "sgd_full": record("sgd_full", [0.5, 0.7, 0.80]),
        "adam_full": record("adam_full", [0.78, 0.79, 0.79]),
        "sgd_frozen": record("sgd_frozen", [0.60, 0.61]),
        "adam_frozen": record("adam_frozen", [0.60, 0.612]),
    }


def test_faster_optimizer_is_named(records: Records) -> None:
    text = " ".join(observe(records))
    assert "`adam_full` converged in fewer epochs than `sgd_full`" in text
    records["sgd_full"], records["adam_full"] = (
        record("sgd_full", [0.79, 0.8]),
        record("adam_full", [0.5, 0.8]),
    )
    assert "`sgd_full` converged in fewer epochs than `adam_full`" in " ".join(observe(records))
    records["adam_full"] = record("adam_full", [0.79, 0.8])
    assert "`sgd_full` and `adam_full` both came within one point" in " ".join(observe(records))


def test_flattening_and_rising_are_told_apart(records: Records) -> None:
    assert converged_epoch(records["adam_full"]) == 1
    text = " ".join(observe(records))
    assert "`adam_full` after epoch 1 of 3" in text
    assert "Still gaining in the last epoch: `sgd_full` and `adam_frozen`" in text


def test_price_of_freezing_has_a_sign(records: Records) -> None:
    assert "Freezing the backbone cost 19.00 points" in " ".join(observe(records))
    records["sgd_frozen"] = record("sgd_frozen", [0.9])
    assert "Freezing the backbone gained 10.00 points" in " ".join(observe(records))


def test_overfitting_is_said_only_when_seen(records: Records) -> None:
    assert "none overfitted" in " ".join(observe(records))
    records["sgd_full"] = record("sgd_full", [0.7, 0.8], [0.5, 0.6])
    text = " ".join(observe(records))
    assert "`sgd_full`'s test loss was lowest after epoch 1 (0.500) and ended 20% higher" in text
    assert "none overfitted" not in text


def test_confusions_name_the_pair(records: Records) -> None:
    assert "cat taken for dog (40 images)" in " ".join(observe(records))


def test_close_differences_are_not_called(records: Records) -> None:
    text = " ".join(conclude(records, REFERENCE))
    assert "With all layers trained, SGD and Adam are too close to call: 1.00 points" in text
    records["adam_full"] = record("adam_full", [0.75])
    text = " ".join(conclude(records, REFERENCE))
    assert "With all layers trained, SGD beats Adam by 5.00 points" in text
    records["adam_full"] = record("adam_full", [0.85])
    assert "Adam beats SGD by 5.00 points" in " ".join(conclude(records, REFERENCE))


def test_what_matters_more_follows_the_gaps(records: Records) -> None:
    assert "What is trained matters more" in " ".join(conclude(records, REFERENCE))
    records["adam_full"] = record("adam_full", [0.30])
    assert "matter on a like scale" in " ".join(conclude(records, REFERENCE))


def test_reference_comparison_tells_both_sides(records: Records) -> None:
    records["sgd_frozen"] = record("sgd_frozen", [0.40])
    text = " ".join(conclude(records, REFERENCE))
    assert "Above the reference experiment's best: `sgd_full` by 30.00 points" in text
    assert "Not above the reference experiment's best: `sgd_frozen` by 10.00 points." in text


def test_fewer_models_say_less_but_do_not_fail(records: Records) -> None:
    alone = {"sgd_full": records["sgd_full"]}
    assert not [s for s in observe(alone) if "adam" in s]
    assert conclude(alone, REFERENCE) == [
        "Above the reference experiment's best: `sgd_full` by 30.00 points."
    ]
