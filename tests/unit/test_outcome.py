"""What became of a job's model is worded from its figures, also where the opposite is true."""

from collections.abc import Mapping

import torch
from torch import Tensor

from demo.words.outcome import describe_outcome
from trainer.metrics import measure_overlap, measure_shifts
from trainer.recipe import CLASSES

OF_EACH = 50
LABELS = torch.arange(len(CLASSES)).repeat_interleave(OF_EACH)


def answers(wrong: Mapping[tuple[str, str], int]) -> Tensor:
    """The right answer to all images, but for so many of a class that are taken for another;
    `elsewhere` is each of the other classes in turn."""
    said = LABELS.clone()
    used: dict[str, int] = dict.fromkeys(CLASSES, 0)
    for (true, taken), count in wrong.items():
        label = CLASSES.index(true)
        first = label * OF_EACH + used[true]
        used[true] += count
        others = [other for other in range(len(CLASSES)) if other != label]
        for place in range(count):
            elsewhere = taken == "elsewhere"
            chosen = others[place % len(others)] if elsewhere else CLASSES.index(taken)
            said[first + place] = chosen
    return said


def outcome(before: Tensor, after: Tensor, labels: Tensor = LABELS) -> str:
    overlap = measure_overlap(labels, before, after)
    return describe_outcome(overlap, measure_shifts(labels, before, after))


def test_a_class_that_is_seen_everywhere_is_told_and_what_it_cost() -> None:
    before = answers({("cat", "elsewhere"): 20, ("dog", "elsewhere"): 4})
    after = answers({("cat", "elsewhere"): 7, ("dog", "elsewhere"): 4, ("dog", "cat"): 16})
    assert outcome(before, after) == (
        "It became cat-happy: cat +26, dog -32 points; it takes 16 more images for a cat that "
        "show none."
    )
    back = outcome(after, before)
    assert back == "On the whole it is as good as before: dog +32, cat -26 points."


def test_what_answers_as_before_or_changes_by_chance_is_said_to() -> None:
    model = answers({("cat", "dog"): 9})
    assert outcome(model, model) == "It answers all 500 test images as it did before."
    other = answers({("cat", "dog"): 12, ("ship", "truck"): 1})
    for before, after in ((model, other), (other, model)):
        assert outcome(before, after) == "No class changed by more than chance explains."
    # Other mistakes on the same images are a change of answers, though none of what is right.
    moved = answers({("cat", "frog"): 9})
    assert outcome(model, moved) != outcome(model, model)


def test_better_and_worse_are_told_by_the_classes_that_changed() -> None:
    weak = answers({(name, "elsewhere"): 25 for name in CLASSES})
    strong = answers({(name, "elsewhere"): index for index, name in enumerate(CLASSES)})
    assert outcome(weak, strong) == (
        "It got better: airplane +50, automobile +48, bird +46 points, and 7 more changed."
    )
    assert outcome(strong, weak) == (
        "It got worse: airplane -50, automobile -48, bird -46 points, and 7 more changed."
    )


def test_a_change_on_the_whole_that_no_class_shows_alone_is_said_so() -> None:
    one, two = answers({}), answers({(name, "elsewhere"): 3 for name in CLASSES})
    alone = "on the whole, in no class alone by more than chance explains."
    assert outcome(one, two) == f"It got worse {alone}"
    assert outcome(two, one) == f"It got better {alone}"


def test_a_model_that_says_one_class_to_everything_has_collapsed() -> None:
    fine, frogs = answers({}), torch.full_like(LABELS, CLASSES.index("frog"))
    assert outcome(fine, frogs) == (
        "It collapsed: it calls 100.0 % of the test images a frog, and 10.0 % are."
    )
    assert outcome(frogs, fine).startswith("It got better: ")
    ships = torch.full_like(LABELS, CLASSES.index("ship"))
    assert "collapsed" not in outcome(frogs, ships)  # it was no better before


def test_classes_without_images_are_left_out() -> None:
    labels = LABELS[: 2 * OF_EACH]
    said = labels.clone()
    said[:20] = CLASSES.index("truck")
    assert [shift.name for shift in measure_shifts(labels, labels, said)] == [
        "airplane",
        "automobile",
    ]
    assert outcome(labels, said, labels) == "It got worse: airplane -40 points."
