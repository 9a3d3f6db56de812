"""Words of the Lessons tab. Whatever is said of a run is worded from its own figures, so that it is
right when a run goes the other way than the recorded ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from demo.jobs.store import RUNNING, Job
from demo.lessons.figures import Runs
from demo.lessons.recorded import Spread
from demo.lessons.table import (
    ADAM,
    ALL,
    ALONE,
    FORGETTING,
    FROZEN,
    HIGH,
    LAST,
    MIXED,
    OPTIMIZER,
    RATE,
    RIGHT,
    SGD,
    Taught,
)
from demo.words import reasons
from demo.words.finetune import describe_state
from trainer.events import StepSummary
from trainer.recipe import JobSettings
from trainer.wording import count, duration, join

INTRODUCTION = (
    "Four questions, a minute each: **guess**, **run it**, and read why it came out as it did."
)
LESSONS = "Lessons"
GUESS = "Your guess"
RUN, SHOW = "Run it", "Show what was recorded"
GUESS_FIRST = "Guess first: being wrong teaches more than not having guessed."
RUN_COLUMNS = ("run", "right on test images before", "after")
OPEN = "Open it in Fine-tune"
WHY = "Why"
RECORDED = "recorded"
OWN_TAKEN = "Pictures that you teach, under Fine-tune or Compare, are taken instead."
CURVE = "Run"
Claim = tuple[str, Callable[[float, float], str]]
"""What an effect is called over the seeds, with a place for its least and largest value, and how
these are worded."""
Explain = Callable[[Runs, Mapping[str, JobSettings]], list[str]]


@dataclass(frozen=True)
class Told:
    """What is said of one lesson."""

    title: str
    question: Callable[[Mapping[str, JobSettings], str], str]
    """By the runs' settings, and what the pictures are that are taught."""
    guesses: Mapping[str, str]
    """What can be guessed, and how it is worded."""
    judge: reasons.Judge
    """Which guess came true."""
    explain: Explain
    """Why it came out so: three sentences."""
    claims: Mapping[str, Claim]
    """By the name of the effect."""


def label_run(name: str, settings: JobSettings) -> str:
    """A run's name on screen."""
    labels = {
        LAST: "last layer alone",
        ALL: "all layers",
        SGD: "SGD",
        ADAM: "Adam",
        ALONE: "the pictures alone",
        MIXED: f"among {settings.images:,} others",
    }
    return labels.get(name) or f"rate {settings.learning_rate:g}"


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def points_range(low: float, high: float) -> str:
    return f"{_span(f'{100 * low:.1f}', f'{100 * high:.1f}')} points"


def times_range(low: float, high: float) -> str:
    return f"{_span(reasons.times(1 + low), reasons.times(1 + high))} times"


def nats_range(low: float, high: float) -> str:
    return _span(f"{low:.2f}", f"{high:.2f}")


TOLD: dict[str, Told] = {
    FROZEN: Told(
        "Freeze it, or train it all?",
        reasons.ask_frozen,
        {
            LAST: "the one that trains the last layer alone",
            ALL: "the one that trains all layers",
            reasons.SAME: "neither: they end about the same",
        },
        reasons.judge_ends(LAST, ALL),
        reasons.explain_frozen,
        {"unfrozen": ("all layers ended {} above the last layer alone", points_range)},
    ),
    OPTIMIZER: Told(
        "The same rate for SGD and Adam?",
        reasons.ask_optimizer,
        {
            SGD: "SGD",
            ADAM: "Adam",
            reasons.SAME: "neither: the rate is the same, so they end about the same",
        },
        reasons.judge_ends(SGD, ADAM),
        reasons.explain_optimizer,
        {
            "sgd": ("SGD ended {} above Adam", points_range),
            "steps": ("a step of Adam's moved the weights {} as far as one of SGD's", times_range),
        },
    ),
    RATE: Told(
        "Ten times the rate?",
        reasons.ask_rate,
        {
            HIGH: "higher",
            reasons.SAME: "about the same",
            RIGHT: "lower",
        },
        reasons.judge_ends(HIGH, RIGHT),
        reasons.explain_rate,
        {
            "lower": ("the lower rate ended {} above the one ten times as high", points_range),
            "diverged": ("the loss of the higher rate rose {} above guessing", nats_range),
        },
    ),
    FORGETTING: Told(
        "Teach it, and what does it forget?",
        reasons.ask_forgetting,
        {
            reasons.KEPT: "nothing to speak of",
            reasons.LESS: "it forgets, but less with other images among them",
            reasons.BOTH: "it forgets, and other images do not help",
        },
        reasons.judge_forgetting,
        reasons.explain_forgetting,
        {
            "forgot": ("the pictures alone cost {} of accuracy", points_range),
            "held": ("other images among them left the accuracy {} higher", points_range),
        },
    ),
}
"""Name of a lesson to what is said of it."""


def describe_outcome(name: str, runs: Runs) -> str:
    """Which guess came true."""
    return f"The answer: {TOLD[name].guesses[TOLD[name].judge(runs)]}."


def describe_measured(runs: Runs) -> str:
    """What the runs were measured on."""
    tested = next(iter(runs.values())).tested
    return f"Measured on {count(tested, 'test image')} that no run was trained on."


def describe_guess(name: str, runs: Runs, guess: str) -> str:
    """What became of a guess."""
    told = TOLD[name]
    if told.judge(runs) == guess:
        return "As you guessed."
    return f"You guessed otherwise: {told.guesses[guess]}."


def describe_seeds(name: str, spreads: Mapping[str, Spread]) -> str:
    """How the effects came out over the recorded seeds; of none, nothing."""
    if not spreads:
        return ""
    number = len(next(iter(spreads.values())).values)
    told = [_tell_spread(*TOLD[name].claims[effect], spread) for effect, spread in spreads.items()]
    whole = all(spread.held == number for spread in spreads.values())
    every = "in every one, " if whole else ""
    return f"Recorded over {count(number, 'seed')}: {every}{join(told)}."


def _tell_spread(claim: str, show: Callable[[float, float], str], spread: Spread) -> str:
    """A claim with its figures, and in how many seeds it held where that is not all."""
    holding = [value for value in spread.values if value > 0]
    if not holding:
        return f"in none {claim.format('at all')}"
    said = claim.format(show(min(holding), max(holding)))
    return said if len(holding) == len(spread.values) else f"in {len(holding)} {said}"


def describe_length(seconds: float | None, own: bool) -> str:
    """How long a lesson takes, and whose pictures it can take.

    Args:
        seconds: that its runs took where they were recorded; None where they were not.
        own: it teaches pictures.
    """
    said = "" if seconds is None else f"Two runs, {duration(seconds)} where they were recorded."
    if own:
        said += f" {OWN_TAKEN}"
    return said.strip()


def describe_run_state(job: Job, ahead: int, last: StepSummary | None) -> str:
    """How far a run is.

    Args:
        ahead: jobs before one that waits.
    """
    if job.state == RUNNING and last is not None:
        return f"Step {last.step:,} of {last.total_steps:,}."
    return f"{describe_state(job.state, ahead)} {job.reason}".strip()


def describe_pictures(labels: Sequence[str]) -> str:
    """A visitor's own pictures, by what they show: `your 3 pictures (2 frogs and 1 ship)`."""
    counts = {name: labels.count(name) for name in dict.fromkeys(labels)}
    kinds = [f"{n} {name if n == 1 else reasons.plural(name)}" for name, n in counts.items()]
    return f"your {count(len(labels), 'picture')} ({join(kinds)})"


def describe_mistaken(number: int, taught: Taught) -> str:
    """Pictures that come with the app: `5 cats that it takes for dogs`."""
    shown, said = reasons.plural(taught.label), reasons.plural(taught.said)
    return f"{number} {shown} that it takes for {said}"
