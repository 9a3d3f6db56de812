"""Sentences on how training went: the size of its steps, and its learning rates."""

from collections.abc import Sequence
from decimal import Decimal

from demo.words.common import inline_label, inline_labels
from trainer.explain.sweep import OPTIMIZERS as SWEPT
from trainer.explain.sweep import RATES, Sweep, SweepCell
from trainer.record import Records
from trainer.significance import noise_of_count
from trainer.wording import percent, sentence

STEPS_HEADING = "## The size of a step"
STEPS_HINT = (
    "How far one step of the optimizer moves the weights, in percent of their size, in every part "
    "of the network. Each line of the scale is ten times the one below."
)
RATES_HEADING = "## A map of learning rates"
STEP_AXIS, EPOCH_AXIS = "a step, % of the weights", "epoch"
MAKE_RATES = "Make the map"
MAKING_RATES = "The last layer is being trained at every rate: the map comes when all are done."
RATE, OWN_RATE, NO_NUMBER = "learning rate", "the recipe's own", "no number"
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def describe_steps(records: Records) -> str:
    """How large steps were: who takes the larger ones, and how they change; and of whom nothing is
    known."""
    known = {
        name: {epoch.epoch: epoch.step_sizes for epoch in record.history if epoch.step_sizes}
        for name, record in records.items()
    }
    without = [name for name, sizes in known.items() if not sizes]
    told = []
    means = {}
    for name, sizes in known.items():
        if sizes:
            first, last = (_mean(list(sizes[at].values())) for at in (min(sizes), max(sizes)))
            means[name] = _mean([_mean(list(one.values())) for one in sizes.values()])
            told.append(
                sentence(
                    f"{inline_label(name)} begins with steps of {percent(first, 3)} of the weights "
                    f"and ends with {percent(last, 3)}"
                )
            )
    for one, two in (("sgd_full", "adam_full"), ("sgd_frozen", "adam_frozen")):
        if {one, two} <= means.keys() and min(means[one], means[two]) > 0:
            small, large = sorted((one, two), key=means.__getitem__)
            told.append(
                f"Over the run a step of {inline_label(large)} is "
                f"{means[large] / means[small]:.1f} times as large as one of "
                f"{inline_label(small)}."
            )
    if without:
        whose = "these models" if len(without) == len(records) else inline_labels(without)
        told.append(
            f"How large the steps of {whose} were is not known: they were trained before that was "
            f"recorded."
        )
    return " ".join(told)


def describe_rates_to_make() -> str:
    """What the button does."""
    return (
        f"Accuracy against optimizer and learning rate: the last layer is trained "
        f"{len(SWEPT) * len(RATES)} times on the images that are part of this app, at "
        f"{len(RATES)} rates with each optimizer, once for all visitors."
    )


def describe_rates(sweep: Sweep) -> str:
    """Each optimizer's best rate, how wide its good ones are, and how the recipe's own does."""
    told = [
        f"The last layer alone, trained on {sweep.train_count:,} images of {sweep.data} at every "
        f"rate; the percentages are of {sweep.validation_count:,} validation images."
    ]
    for optimizer, name in OPTIMIZERS.items():
        cells = [
            cell
            for cell in sweep.cells
            if cell.optimizer == optimizer and cell.validation_accuracy is not None
        ]
        if not cells:
            continue
        best = max(cells, key=_accuracy)
        noise = noise_of_count(
            round(_accuracy(best) * sweep.validation_count), sweep.validation_count
        )
        least = _accuracy(best) - noise / sweep.validation_count
        good = [cell.learning_rate for cell in cells if _accuracy(cell) >= least]
        low, high = tell_rate(min(good)), tell_rate(max(good))
        said = (
            f"{name} does best at {tell_rate(best.learning_rate)} ({percent(_accuracy(best))}), "
            f"and no worse than chance explains from {low} to {high}"
        )
        own = next((cell for cell in cells if cell.own), None)
        if own is not None:
            rate = tell_rate(own.learning_rate)
            said += f"; the recipe's {rate} reaches {percent(_accuracy(own))}"
        told.append(f"{said}.")
    return " ".join(told)


def tell_rate(rate: float) -> str:
    """A rate to two digits, without an exponent: `0.000032`."""
    return format(Decimal(f"{rate:.2g}"), "f")


def describe_rate_cell(cell: SweepCell) -> str:
    """A cell's text."""
    if cell.validation_accuracy is None:
        return NO_NUMBER
    return percent(cell.validation_accuracy)


def _accuracy(cell: SweepCell) -> float:
    return cell.validation_accuracy or 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
