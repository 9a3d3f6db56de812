"""Figures and events in words: one wording for each, in the terminal, the report and the app."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.events import (
    EpochFinished,
    Event,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    StartEvaluated,
    StepSummary,
)
from trainer.recipe import Recipe
from trainer.record import FamiliarityFacts
from trainer.significance import SIGNIFICANCE, SeedTest

if TYPE_CHECKING:
    from trainer.calibration import Confidence  # which imports torch

AS_TRAINED, AS_SHOWN = "as trained", "as shown"
"""A model's confidence before its temperature, and after it, as people are told it."""
CURVES = {
    "test-accuracy": ("test_accuracy", "test accuracy, %", True),
    "train-loss": ("train_loss", "train loss, nats", False),
    "test-loss": ("test_loss", "test loss, nats", False),
}
"""A curve's file to the figure of an `Epoch`, its label, and whether it is told in percent."""
BELIEVED_WITHIN = 0.02
"""Calibration error up to which percentages are said to be true to their word."""
CHANGED_FROM = 0.001
"""Difference of two calibration errors that is told, a tenth of a point."""


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction 0..1 for people: `97.3 %`; what rounds to nothing but is not, `<0.1 %`."""
    least = 10**-digits
    if 0 < 100 * fraction < least / 2:
        return f"<{least:g} %"
    return f"{100 * fraction:.{digits}f} %"


def points(fraction: float, digits: int = 2) -> str:
    """A difference of fractions in percentage points, without its sign: `1.25 points`."""
    return f"{100 * abs(fraction):.{digits}f} points"


def p_value(p: float) -> str:
    """A test's p: `p = 0.035`; never zero, which no test can give: `p < 0.001`."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def join(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; of nothing, `nothing`."""
    if len(items) < 2:
        return items[0] if items else "nothing"
    return f"{', '.join(items[:-1])} and {items[-1]}"


def count(number: int, noun: str) -> str:
    """`1 epoch`, `2,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_hundred(share: float) -> str:
    """A share 0..1 as a count: `66 in 100`, `fewer than 1 in 100`, `more than 99 in 100`."""
    hundredths = round(100 * share)
    if hundredths < 1:
        return "fewer than 1 in 100"
    return f"{hundredths} in 100" if hundredths < 100 else "more than 99 in 100"


def describe_foreign(facts: FamiliarityFacts, side_px: int, known: bool = False) -> str:
    """That a picture looks like none of the ten classes, and how often that is right.

    Args:
        facts: of the detector that says so.
        side_px: of the square that it saw.
        known: True for one of CIFAR-10's own images, where it must be wrong.
    """
    own = in_hundred(facts.test_false_alarms)
    measured = facts.on_photographs(side_px)
    if known:
        return f"It looks like none of the ten, by mistake: so do {own} of the test images."
    if measured is None:
        return (
            f"This looks like none of the ten: so do, by mistake, {own} of the test images, which "
            "all are of the ten."
        )
    return (
        f"This looks like none of the ten: of photographs of other things "
        f"{in_hundred(measured.caught)} are noticed like this, and of photographs of the ten "
        f"{in_hundred(measured.false_alarms)}, by mistake."
    )


def describe_sizes(recipes: Mapping[str, Recipe]) -> str:
    """Which runs saw smaller images first, and so what their curves are measured on; empty where
    none did.

    Args:
        recipes: how a run is called to its recipe.
    """
    told: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        if recipe.begins_smaller:
            sizes = (
                f"saw images of {recipe.early_px} px for the first "
                f"{round(recipe.early_fraction * recipe.epochs)} of "
                f"{count(recipe.epochs, 'epoch')}, "
                f"then, from the full learning rate again, of {recipe.image_px} px."
            )
            told.setdefault(sizes, []).append(name)
    if not told:
        return ""
    sentences = [f"{join(names)} {sizes}" for sizes, names in told.items()]
    return " ".join([*sentences, "What an epoch reached is measured at the size that it saw."])


def article(noun: str) -> str:
    """`a cat`, `an airplane`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def duration(seconds: float) -> str:
    """`9 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def sentence(text: str) -> str:
    """Text as a sentence: a capital first, a full stop last."""
    capital = text[:1].upper() + text[1:]
    return capital if capital.endswith((".", "!", "?")) else f"{capital}."


def describe_seed_test(first: str, second: str, test: SeedTest) -> str:
    """Which of two recipes is better by their seeds, in one sentence.

    Args:
        first: the first recipe's name, as this reader knows it; the other's is `second`.
    """
    seeds = tell_seed_counts(test)
    p = p_value(test.p_value)
    apart = f"their means lie {points(test.gap)} apart"
    ahead, behind = (first, second) if test.gap > 0 else (second, first)
    if test.verdict:
        return (
            f"{ahead} beats {behind} by {points(test.gap)} in the mean over {seeds}, more than "
            f"chance explains ({p} in the exact permutation test on the seeds' test accuracies)."
        )
    if test.separated:
        apart += f", and every seed of {ahead} is above every seed of {behind}"
    if test.too_few:
        return (
            f"{seeds} are too few to tell {first} and {second} apart from chance: {apart} ({p} in "
            f"the exact permutation test on their test accuracies, which with so few never falls "
            f"below {SIGNIFICANCE:g})."
        )
    return (
        f"{first} and {second} are too close to call: over {seeds}, {apart} ({p} in the exact "
        f"permutation test on the seeds' test accuracies)."
    )


def tell_seed_counts(test: SeedTest) -> str:
    """`5 seeds each`, `3 and 5 seeds`."""
    one, two = len(test.first), len(test.second)
    return f"{one} seeds each" if one == two else f"{one} and {two} seeds"


def describe_confidence(measured: Mapping[str, "Confidence"]) -> list[str]:
    """Whether the models' percentages can be believed, and what their temperatures did to them.

    Args:
        measured: a model's name, as the sentences shall call it, to its confidence.
    """
    return [
        sentence
        for tell in (_tell_trust, _tell_lean, _tell_temperatures)
        for sentence in tell(measured)
    ]


def _tell_trust(measured: Mapping[str, "Confidence"]) -> list[str]:
    """What to make of the percentages shown."""
    errors = {name: one.shown.error for name, one in measured.items()}
    true = [name for name, error in errors.items() if error <= BELIEVED_WITHIN]
    sentences = []
    if true:
        whose = "" if len(true) == len(measured) else f" for {join(true)}"
        worst = max(errors[name] for name in true)
        sentences.append(
            f"The percentages shown{whose} can be taken at their word on pictures like the test "
            f"images: of 100 answers at 90 %, expect about 90 to be right; on average they are off "
            f"by {points(worst)} at most."
        )
    faults = {
        1: "promise too much: fewer answers are right than they say",
        -1: "promise too little: more answers are right than they say",
        0: "are too high for some answers and too low for others",
    }
    for lean, fault in faults.items():
        those = [
            f"{name} (off by {points(errors[name])} on average)"
            for name, one in measured.items()
            if name not in true and one.shown.lean == lean
        ]
        if those:
            sentences.append(f"The percentages shown for {join(those)} {fault}.")
    return sentences


def _tell_lean(measured: Mapping[str, "Confidence"]) -> list[str]:
    """Who is too sure before any temperature, and who too cautious."""
    names: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for name, one in measured.items():
        names[one.trained.lean].append(name)
    neither = "neither" if names[1] or names[-1] else "neither too sure nor too cautious"
    kinds = {
        1: "too sure",
        -1: "too cautious",
        0: f"{neither}, as far as the test images tell",
    }
    told = [
        f"{join(those)} {'is' if len(those) == 1 else 'are'} {kinds[lean]}"
        for lean, those in names.items()
        if those
    ]
    return [f"{AS_TRAINED.capitalize()}, {join(told)}."] if told else []


def _tell_temperatures(measured: Mapping[str, "Confidence"]) -> list[str]:
    """Whose calibration error its temperature made less, and whose more."""
    fates: dict[str, list[str]] = {"falls": [], "rises": [], "hardly changes": []}
    for name, one in measured.items():
        change = one.shown.error - one.trained.error
        if one.fitted:
            kind = "hardly changes" if abs(change) < CHANGED_FROM else "falls"
            fates["rises" if change >= CHANGED_FROM else kind].append(name)
    told = join([f"that of {join(names)} {fate}" for fate, names in fates.items() if names])
    without = [name for name, one in measured.items() if not one.fitted]
    sentences = []
    if len(without) < len(measured):
        told = told.replace("that", "the calibration error", 1)
        sentences.append(f"Divided by the temperature, {told}.")
    if without:
        sentences.append(
            f"No temperature was fitted for {join(without)}: the percentages shown are those "
            f"{AS_TRAINED}."
        )
    return sentences


def describe_event(event: Event) -> str:
    """An event in one sentence, without its recipe."""
    match event:
        case RunStarted(step=0):
            return (
                f"Started: {count(event.train_count, 'image')}, {count(event.total_steps, 'step')}."
            )
        case RunStarted():
            newer = event.damaged_states and count(event.damaged_states, "newer state")
            passed = f"; {newer}, damaged, passed over" if newer else ""
            return f"Continues after step {event.step:,} of {event.total_steps:,}{passed}."
        case StartEvaluated():
            return (
                f"Before: validation accuracy {percent(event.validation_accuracy)}, "
                f"loss {event.validation_loss:.3f}."
            )
        case StepSummary():
            return f"Step {event.step:,}: train loss {event.train_loss:.3f}."
        case EpochFinished():
            return (
                f"Epoch {event.epoch} of {event.epochs}: train loss {event.train_loss:.3f}, "
                f"validation accuracy {percent(event.validation_accuracy)}, "
                f"loss {event.validation_loss:.3f}, {duration(event.seconds)}."
            )
        case RunFinished():
            return (
                f"Saved: test accuracy {percent(event.test_accuracy, 2)}, "
                f"{duration(event.seconds)}."
            )
        case RunFailed():
            return sentence(f"Ended early: {event.reason}")
        case ResourceSample():
            return (
                f"Memory {event.memory_bytes / 1e6:,.0f} MB, processor {event.cpu_percent:.0f} %."
            )
        case _:
            raise TypeError(f"no words for {type(event).__name__}")
