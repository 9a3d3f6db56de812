"""Sentences about runs under several seeds, and about which of two models is better."""

from collections.abc import Sequence

from demo.words.accuracy import describe_overlap
from demo.words.common import LABELS, inline_label
from trainer.record import Record
from trainer.seeds import PLAIN_PRESET, Evidence, Spread
from trainer.significance import SeedTest
from trainer.wording import count, describe_seed_test, join, percent

HEADING = "## The same under other seeds"
HINT = (
    "A seed decides the new last layer and the order of the images. Each point is one run; the "
    "line is their mean. Every group has a scale of its own."
)


def describe_evidence(first: str, second: str, evidence: Evidence) -> str:
    """Which of two models is better: by the seeds where there are enough, else by the images."""
    if isinstance(evidence, SeedTest):
        return describe_seed_test(inline_label(first), inline_label(second), evidence)
    return describe_overlap(first, second, evidence)


def describe_shipped(records: Sequence[Record]) -> str:
    """Which of the points are the models on screen."""
    seeds = join([f"{seed}" for seed in sorted({record.recipe.seed for record in records})])
    return (
        f"The shipped models, shown everywhere else, are seed {seeds}: ringed, whatever their rank."
    )


def describe_group(group: Sequence[Spread]) -> str:
    """A heading: what is trained, and how.

    Args:
        group: recipes that train the same layers under the same preset.
    """
    layers = LABELS[group[0].recipe].rpartition(", ")[2]
    trained = f"{layers[0].upper()}{layers[1:]}, {group[0].runs[0].length}"
    if group[0].preset == PLAIN_PRESET:
        return f"{trained}: what the reference experiment's plain recipe gives from this backbone"
    return trained


def describe_spread(spread: Spread) -> str:
    """The figures beside a strip."""
    values = spread.accuracies
    if len(values) == 1:
        return f"{percent(values[0], 2)}, one seed"
    return (
        f"mean {percent(spread.mean, 2)}, {100 * min(values):.2f} to {percent(max(values), 2)}, "
        f"{count(len(values), 'seed')}"
    )


def describe_run(seed: int, accuracy: float) -> str:
    """One point."""
    return f"seed {seed}: {percent(accuracy, 2)}"
