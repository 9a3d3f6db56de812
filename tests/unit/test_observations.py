"""The words follow the figures and the records."""

import pytest

from tests.records import TEST_COUNT, build_record
from trainer.declared import tell_choice
from trainer.metrics import Overlap
from trainer.recipe import PAIRS, PRESETS
from trainer.record import Record, Records
from trainer.report.observations import (
    FREEZING,
    conclude,
    converged_epoch,
    list_differences,
    observe,
)

REFERENCE = {
    "recipes": {
        name: {"best_test_accuracy_percent": 50.0, "final_accuracy_percent": 49.0}
        for name in ("sgd_full", "adam_full", "sgd_frozen", "adam_frozen")
    }
}


@pytest.fixture
def records() -> Records:
    return {
        "sgd_full": build_record("sgd_full", [0.5, 0.7, 0.80]),
        "adam_full": build_record("adam_full", [0.78, 0.79, 0.79]),
        "sgd_frozen": build_record("sgd_frozen", [0.60, 0.61]),
        "adam_frozen": build_record("adam_frozen", [0.60, 0.612]),
    }


def overlap(first: Record, second: Record, one_sided: int = 2000) -> Overlap:
    """Two models of these accuracies that each get `one_sided` images right which the other does
    not, and the better one the rest of the difference too."""
    gap = round((first.test.accuracy - second.test.accuracy) * TEST_COUNT)
    alone = one_sided + max(gap, 0), one_sided + max(-gap, 0)
    return Overlap(0, *alone, TEST_COUNT - sum(alone))


def overlaps(records: Records) -> dict[tuple[str, str], Overlap]:
    return {
        (first, second): overlap(records[first], records[second])
        for first, second in PAIRS + FREEZING
        if first in records and second in records
    }


def observed(records: Records) -> str:
    return " ".join(observe(records, overlaps(records)))


def concluded(records: Records) -> str:
    return " ".join(conclude(records, overlaps(records), REFERENCE))


def test_faster_optimizer_is_named(records: Records) -> None:
    assert "`adam_full` converged in fewer epochs than `sgd_full`" in observed(records)
    records["sgd_full"] = build_record("sgd_full", [0.79, 0.8])
    records["adam_full"] = build_record("adam_full", [0.5, 0.8])
    assert "`sgd_full` converged in fewer epochs than `adam_full`" in observed(records)
    records["adam_full"] = build_record("adam_full", [0.79, 0.8])
    assert "`sgd_full` and `adam_full` both came within one point" in observed(records)


def test_flattening_and_rising_are_told_apart(records: Records) -> None:
    assert converged_epoch(records["adam_full"]) == 1
    text = observed(records)
    assert "`adam_full` after epoch 1 of 3" in text
    assert "Still gaining in the last epoch: `sgd_full` and `adam_frozen`" in text


def test_price_of_freezing_has_a_sign_and_may_be_chance(records: Records) -> None:
    assert "Freezing the backbone cost 19.00 points" in observed(records)
    records["sgd_frozen"] = build_record("sgd_frozen", [0.9])
    assert "Freezing the backbone gained 10.00 points" in observed(records)
    records["sgd_frozen"] = build_record("sgd_frozen", [0.799])
    assert "changed test accuracy by 0.10 points, maybe by chance" in observed(records)


def test_overfitting_is_said_only_when_seen(records: Records) -> None:
    assert "none overfitted" in observed(records)
    records["sgd_full"] = build_record("sgd_full", [0.7, 0.8], [0.5, 0.6])
    text = observed(records)
    assert "`sgd_full`'s test loss was lowest after epoch 1 (0.500) and ended 20 % higher" in text
    assert "none overfitted" not in text


def test_confusions_name_the_pair(records: Records) -> None:
    assert "cat taken for dog (40 images)" in observed(records)


def test_the_paired_test_alone_says_who_is_better(records: Records) -> None:
    """0.62 points are more than chance or not, depending on how many images tell the two apart."""
    records["sgd_full"] = build_record("sgd_full", [0.8469])
    records["adam_full"] = build_record("adam_full", [0.8531])
    said = {}
    for one_sided in (388, 2000):
        measured = overlaps(records)
        pair = overlap(records["sgd_full"], records["adam_full"], one_sided)
        measured["sgd_full", "adam_full"] = pair
        said[pair.verdict] = " ".join(conclude(records, measured, REFERENCE))
    assert (
        "With all layers trained, `adam_full` (Adam) beats `sgd_full` (SGD) by 0.62 points, more "
        "than chance explains (p = 0.035 in the paired exact test on 10,000 test images)."
    ) in said[-1]
    assert "`sgd_full` (SGD) and `adam_full` (Adam) are too close to call: 0.62 points" in said[0]


def test_no_p_is_zero_and_no_difference_has_words(records: Records) -> None:
    records["adam_full"] = build_record("adam_full", [0.30])
    assert "p < 0.001" in concluded(records)
    assert "p = 0.000" not in concluded(records) + observed(records)
    measured = overlaps(records) | {("sgd_full", "adam_full"): Overlap(8000, 0, 0, 2000)}
    text = " ".join(conclude(records, measured, REFERENCE))
    assert "`sgd_full` (SGD) and `adam_full` (Adam) get the very same test images right." in text


def test_what_differs_within_a_pair_is_read_from_the_records(records: Records) -> None:
    recipe = PRESETS["default"]["adam_full"].changed(batch_size=48, schedule="cosine")
    records["adam_full"] = build_record("adam_full", recipe=recipe)
    text = concluded(records)
    assert "They differ in batch size and schedule too." in text
    assert "Nothing else differs." in text  # the frozen pair
    records["adam_frozen"] = build_record(
        "adam_frozen", recipe=PRESETS["default"]["adam_frozen"].changed(optimizer="sgd", seed=1)
    )
    assert "Their optimizer is the same; they differ in seed." in concluded(records)


def test_pairs_that_train_other_layers_are_not_said_to_train_the_same(records: Records) -> None:
    recipe = PRESETS["default"]["adam_full"].changed(trained="last_block", batch_size=48)
    records["adam_full"] = build_record("adam_full", [0.79], recipe=recipe)
    text = concluded(records)
    assert "With all layers trained" not in text
    assert "They differ in what is trained and batch size" in text
    assert "(`adam_full` against `adam_frozen`" not in observed(records)


def test_an_optimizer_outside_the_four_has_its_name(records: Records) -> None:
    recipe = PRESETS["default"]["sgd_full"].changed(optimizer="adamw", weight_decay=0.01)
    records["sgd_full"] = build_record("sgd_full", [0.9], recipe=recipe)
    assert tell_choice(recipe, "optimizer") == "AdamW"
    assert "`sgd_full` (AdamW) beats `adam_full` (Adam)" in concluded(records)
    assert list_differences(recipe, PRESETS["default"]["sgd_full"]) == ["optimizer", "weight decay"]


def test_models_measured_on_other_images_are_not_compared(records: Records) -> None:
    text = " ".join(observe(records, {}) + conclude(records, {}, REFERENCE))
    assert "`sgd_full` and `adam_full` were measured on different test images" in text
    assert "beats" not in text
    assert "Freezing" not in text


def test_what_matters_more_follows_the_gaps(records: Records) -> None:
    assert "What is trained matters more than all else" in concluded(records)
    records["adam_full"] = build_record("adam_full", [0.30])
    assert "matter on a like scale" in concluded(records)


def test_reference_comparison_tells_both_sides(records: Records) -> None:
    records["sgd_frozen"] = build_record("sgd_frozen", [0.40])
    text = concluded(records)
    assert "Above the reference experiment's best: `sgd_full` by 30.00 points" in text
    assert "Not above the reference experiment's best: `sgd_frozen` by 10.00 points." in text


def test_fewer_models_say_less_but_do_not_fail(records: Records) -> None:
    alone = {"sgd_full": records["sgd_full"]}
    assert "adam" not in observed(alone)
    assert conclude(alone, {}, REFERENCE) == [
        "Above the reference experiment's best: `sgd_full` by 30.00 points."
    ]
