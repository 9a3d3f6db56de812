"""Figures and events in words: one wording for each, in the terminal, the report and the app."""

from collections.abc import Sequence

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
from trainer.record import FamiliarityFacts


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
