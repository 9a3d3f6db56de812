"""What is asked in each lesson, which guess came true, and why: worded from the runs' own figures,
so that it is right when a run goes the other way than the recorded ones."""

from collections.abc import Callable, Mapping

from demo.lessons.figures import RunFigures, Runs, compare_ends
from demo.lessons.table import (
    ADAM,
    ALL,
    ALONE,
    GUESSING,
    HIGH,
    LAST,
    MIXED,
    RIGHT,
    SGD,
)
from demo.words.common import inline_label
from demo.words.outcome import describe_outcome
from trainer.recipe import JobSettings
from trainer.resnet import FEATURES, count_learned
from trainer.wording import count, percent, points

FAR = 3
"""Steps so many times as long are said to undo, where they end lower."""
SAME, KEPT, LESS, BOTH = "same", "kept", "less", "both"
"""Guesses that are no run's name."""
Judge = Callable[[Runs], str]
Settings = Mapping[str, JobSettings]
"""Name of a run to what it ran with."""


def signed(share: float) -> str:
    """A difference of accuracies with its sign."""
    return f"{100 * share:+.1f} points".replace("-", "\u2212")


def times(ratio: float) -> str:
    """How many times as large, from 1 on."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def judge_ends(first: str, second: str) -> Judge:
    """Which of two runs ends higher, or `SAME` where chance explains that one does."""
    return lambda runs: (SAME, first, second)[compare_ends(runs[first], runs[second]).verdict]


def _start(settings: JobSettings) -> str:
    """What a run trains, and on how much."""
    times_over = {1: "once", 2: "twice"}.get(settings.epochs, f"{settings.epochs} times")
    images = f"{count(settings.images, 'image')} of ten classes"
    return f"{images}, {settings.image_px} px wide, {times_over} over"


def ask_frozen(runs: Settings, _: str) -> str:
    return (
        f"A pre-trained network gets a new last layer, and {_start(runs[ALL])}. One run trains the "
        f"last layer alone and freezes the rest, the other trains all layers; nothing else "
        f"differs. Which is right more often on images that neither has seen?"
    )


def explain_frozen(runs: Runs, _: Settings) -> list[str]:
    last, every = runs[LAST], runs[ALL]
    gap = every.test_after - last.test_after
    learned = (
        f"Training the last layer, {count_learned(head=True):,} numbers, took the network from "
        f"{percent(last.test_before)} to {percent(last.test_after)} of the test images; training "
        f"all {count_learned() / 1e6:.1f} million took it to {percent(every.test_after)}."
    )
    features = (
        f"Frozen, a network can only weigh anew the {FEATURES} features that it was pre-trained to "
        f"find; unfrozen, the features change too, here by {percent(every.step_size, 2)} of the "
        f"last stage's weights a step."
    )
    came_true = judge_ends(LAST, ALL)(runs)
    if came_true == ALL:
        cost = (
            f"That is what freezing cost here: {points(gap, 1)} of accuracy; what it saves is "
            f"work, since every image passes the frozen layers once and not in every epoch."
        )
    elif came_true == LAST:
        cost = (
            f"Here that was no gain, all layers ended {points(gap, 1)} below the last layer alone: "
            f"in {count(every.steps, 'step')} it did not pay to move the features."
        )
    else:
        cost = (
            f"Here both ended as close as chance explains, {points(gap, 1)} apart: freezing cost "
            f"nothing that {count(every.tested, 'test image')} could show, and saved the work of "
            f"training the rest."
        )
    return [learned, features, cost]


def ask_optimizer(runs: Settings, _: str) -> str:
    return (
        f"SGD and Adam train all layers from the same start on the same {_start(runs[SGD])}, both "
        f"at a learning rate of {runs[SGD].learning_rate:g}. Which is right more often afterwards?"
    )


def explain_optimizer(runs: Runs, settings: Settings) -> list[str]:
    sgd, adam = runs[SGD], runs[ADAM]
    rate = f"{settings[SGD].learning_rate:g}"
    moved = (
        f"At the same rate of {rate}, a step of Adam's moved the last stage by "
        f"{percent(adam.step_size, 2)} of its weights, a step of SGD's by "
        f"{percent(sgd.step_size, 2)}"
    )
    small, large = sorted((sgd.step_size, adam.step_size))
    if small > 0 and large > small:
        moved += f": {times(large / small)} times as far"
    unit = (
        "SGD's step is the rate times the gradient, so a small gradient makes a small step; Adam "
        "first divides each gradient by its own recent size, so that every weight moves by about "
        "the rate itself."
    )
    came_true = judge_ends(SGD, ADAM)(runs)
    ends = f"Adam ended at {percent(adam.test_after)}, SGD at {percent(sgd.test_after)}"
    own_rate = "each optimizer needs a rate of its own"
    if came_true == SAME:
        meant = f"Here that made no difference beyond chance, {ends}; at another rate it may."
    elif small == large:
        meant = f"Here the length of the steps does not tell them apart, {ends}."
    else:
        longer_better = (came_true == ADAM) == (adam.step_size > sgd.step_size)
        if not longer_better and large / small >= FAR:
            meant = f"Steps as long as that undid what the network knew, {ends}: {own_rate}."
        else:
            which = "longer" if longer_better else "shorter"
            meant = f"Here the {which} steps were the better ones, {ends}: {own_rate}."
    return [f"{moved}.", unit, meant]


def ask_rate(runs: Settings, _: str) -> str:
    right, high = runs[RIGHT], runs[HIGH]
    return (
        f"Both runs train all layers from the same start, on {_start(right)}: one at a learning "
        f"rate of {right.learning_rate:g}, one at {high.learning_rate:g}. Where does the one with "
        f"ten times the rate end?"
    )


def diverged(run: RunFigures) -> bool:
    """True where the loss was at some time above that of guessing, and above where it began."""
    return run.worst_loss > max(GUESSING, run.first_loss) or run.last_loss > GUESSING


def explain_rate(runs: Runs, settings: Settings) -> list[str]:
    right, high = runs[RIGHT], runs[HIGH]
    low_rate, high_rate = (f"{settings[name].learning_rate:g}" for name in (RIGHT, HIGH))
    losses = (
        f"At {low_rate} the train loss went from {right.first_loss:.2f} to {right.last_loss:.2f}; "
        f"at {high_rate} it was {high.worst_loss:.2f} at its worst and {high.last_loss:.2f} in the "
        f"end, where guessing among ten classes costs {GUESSING:.2f}."
    )
    if diverged(high):
        slope = (
            "A step follows the slope at the place where it begins: one that is too long lands on "
            "the far side of the valley, higher than before, where it is steeper and the next step "
            "longer still; that is divergence."
        )
    else:
        slope = (
            f"Divergence would be steps that land higher than they began, again and again; at "
            f"{high_rate} the loss stayed below that of guessing."
        )
    ends = f"{percent(high.test_after)} of the test images instead of {percent(right.test_after)}"
    came_true = judge_ends(HIGH, RIGHT)(runs)
    if came_true == RIGHT and diverged(high):
        meaning = f"It ended at {ends}: a loss that jumps or rises asks for a tenth of the rate."
    elif came_true == RIGHT:
        meaning = f"It still ended lower, at {ends}: its steps were too coarse to settle."
    elif came_true == HIGH:
        meaning = f"It ended higher, at {ends}: here the lower rate was the one that was not right."
    else:
        meaning = f"It ended as high as chance explains, {ends}: these runs bear both rates."
    return [losses, slope, meaning]


def ask_forgetting(runs: Settings, taught: str) -> str:
    mixed = runs[MIXED]
    return (
        f"The model {inline_label(mixed.start)} is shown {taught}, again and again: in one run "
        f"nothing else, in the other {count(mixed.images, 'other image')} as well. What becomes of "
        f"everything else that it knows?"
    )


def judge_forgetting(runs: Runs) -> str:
    """Whether what was taught alone made the model forget, and whether the others helped."""
    alone, mixed = runs[ALONE], runs[MIXED]
    if alone.overlap.verdict < 1:
        return KEPT
    return LESS if compare_ends(mixed, alone).verdict > 0 else BOTH


def explain_forgetting(runs: Runs, settings: Settings) -> list[str]:
    alone, mixed = runs[ALONE], runs[MIXED]
    others = count(settings[MIXED].images, "other image")
    went = (
        f"The model had {percent(alone.test_before)} of the test images right, none of which it "
        f"was taught; after the pictures alone {percent(alone.test_after)} "
        f"({signed(alone.change)}), after the same pictures among {others} "
        f"{percent(mixed.test_after)} ({signed(mixed.change)})."
    )
    came_true = judge_forgetting(runs)
    why = {
        LESS: (
            "Every step makes the model say what it is shown, and moves weights that all classes "
            "share: with nothing else to look at, nothing holds the rest in place, and other "
            "images do just that."
        ),
        BOTH: (
            "Every step makes the model say what it is shown, and moves weights that all classes "
            "share: here the other images were too few, or the steps too many, to hold the rest "
            "in place."
        ),
        KEPT: (
            "Every step makes the model say what it is shown, and moves weights that all classes "
            "share: here the steps were too few, or too short, to cost the rest much."
        ),
    }[came_true]
    outcome = describe_outcome(alone.overlap, alone.shifts)
    return [went, f"After the pictures alone: {outcome[0].lower()}{outcome[1:]}", why]


def plural(name: str) -> str:
    """Of a class: `cats`, `deer`."""
    return name if name == "deer" else f"{name}s"
