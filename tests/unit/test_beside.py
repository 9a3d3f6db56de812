"""Models beside each other: on which images they are compared, and how they are told apart."""

import torch

from demo.beside import align
from demo.comparison import NOT_SHOWN, Comparison
from demo.words import beside as words
from tests.records import build_origin, build_record
from trainer.recipe import PLAIN_BACKBONE


def comparison(rows: list[int]) -> Comparison:
    """Answers that are the rows themselves."""
    told = torch.tensor(rows)
    return Comparison(told, told, told, told)


def test_models_are_compared_on_the_images_that_all_answered() -> None:
    answers, common = align([comparison([4, 0, 2, 9]), comparison(list(range(5)))])
    assert common == 3
    for one in answers:
        assert one.rows.tolist() == one.labels.tolist() == one.after.tolist() == [0, 2, 4]


def test_models_that_answered_other_images_stay_as_they_are() -> None:
    one, two = comparison([1, 2]), comparison([3])
    assert align([one, two]) == ([one, two], 0)
    nowhere = comparison([NOT_SHOWN, NOT_SHOWN])
    assert align([nowhere, nowhere])[1] == 0
    assert "cannot be compared" in words.describe_images(0)
    assert words.describe_images(500).startswith("Measured on the 500 test images")


def test_only_what_differs_is_listed() -> None:
    record = build_record("sgd_full")
    same = words.list_differing([(record, PLAIN_BACKBONE)] * 2)
    assert same == []
    assert words.describe_differing([]) == "They were trained with the same settings."
    other = record.model_copy(update={"recipe": record.recipe.changed(optimizer="adam")})
    differing = words.list_differing([(record, PLAIN_BACKBONE), (other, PLAIN_BACKBONE)])
    assert differing == [("Optimizer", ["SGD", "Adam"])]
    said = words.describe_differing([label for label, _ in differing])
    assert said == "They differ in the optimizer alone."
    job = record.model_copy(update={"origin": build_origin(emphasised=("cat",))})
    differing = words.list_differing([(record, PLAIN_BACKBONE), (job, "sgd_full")])
    labels = [label for label, _ in differing]
    assert words.describe_differing(labels) == (
        "They differ in what they start from, training images, own pictures and classes to "
        "emphasise."
    )
    taught = record.data.train_count
    assert dict(differing)["Training images"] == [f"{taught:,}", f"{taught - 2 * 20:,}"]
    assert dict(differing)["Own pictures"] == ["0", "2"]


def test_more_than_can_be_told_apart_is_said() -> None:
    assert words.describe_most(6, 6) == ""
    assert "the first 6 are shown" in words.describe_most(7, 6)
