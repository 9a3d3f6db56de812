"""What the report tells of runs under other seeds, and of the plain recipe from the same start."""

from typing import Any

from trainer.record import Records
from trainer.reference import load_reference, reference_accuracy
from trainer.seeds import PLAIN_PRESET, Runs, Spread, mean
from trainer.wording import count, join, percent


def tell_seeds(runs: Runs, records: Records) -> dict[str, Any] | None:
    """What the template tells; None where there are no such runs."""
    if not runs:
        return None
    spreads = [spread for group in runs.grouped() for spread in group]
    return {
        "shipped": join([f"{seed}" for seed in sorted({r.recipe.seed for r in records.values()})]),
        "spreads": [_spread_row(spread) for spread in spreads],
        "plain": [row for spread in spreads if (row := _plain_row(spread, runs, records))],
        "machines": join(list(dict.fromkeys(run.hardware for run in runs.runs))),
    }


def _spread_row(spread: Spread) -> tuple[str, ...]:
    values = spread.accuracies
    return (
        f"`{spread.preset}`",
        f"`{spread.recipe}`",
        percent(spread.mean, 2),
        f"{percent(min(values), 2)} to {percent(max(values), 2)}" if len(values) > 1 else "one run",
        ", ".join(f"{100 * value:.2f}" for value in values),
        ", ".join(f"{run.seed}" for run in spread.runs),
        percent(mean([run.validation_accuracy for run in spread.runs]), 2),
    )


def _plain_row(spread: Spread, runs: Runs, records: Records) -> tuple[str, ...] | None:
    """The plain recipe's mean beside the shipped recipe's and the reference; None of another."""
    record = records.get(spread.recipe)
    if spread.preset != PLAIN_PRESET or record is None or record.recipe.preset == PLAIN_PRESET:
        return None
    own = [run.test_accuracy for run in runs.of(record.recipe.preset, spread.recipe)]
    return (
        f"`{spread.recipe}`",
        f"{percent(spread.mean, 2)} ({count(len(spread.runs), 'seed')})",
        f"{percent(mean(own), 2)} ({count(len(own), 'seed')})",
        percent(reference_accuracy(load_reference(), spread.recipe), 2),
        spread.runs[0].length,
    )
