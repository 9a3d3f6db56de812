"""What a job did to the model it started from, in one sentence that its figures decide."""

from collections.abc import Sequence

from trainer.metrics import Overlap, Shift
from trainer.wording import article, count, percent

TOLD = 3
"""Classes that are named as better, and as worse, at most."""
COLLAPSED_FROM = 0.5
"""Share of all images called one class from which a model is said to have collapsed: where the ten
are equally frequent it is then right about 60 % of them at most."""


def describe_outcome(overlap: Overlap, shifts: Sequence[Shift]) -> str:
    """What became of the model. What chance alone may explain is not called a change.

    Args:
        overlap: right answers on all images: the start is the first model, the job's the second.
        shifts: the same by class.
    """
    if not any(_count_changes(shift) for shift in shifts):
        return f"It answers all {overlap.images:,} test images as it did before."
    if collapsed := _tell_collapse(shifts):
        return collapsed
    better = -overlap.verdict
    happy = None if better > 0 else _find_happy(shifts)
    if happy is not None:
        return _tell_happy(happy, shifts)
    changed = [shift for shift in shifts if shift.certain]
    whole = {1: "It got better", -1: "It got worse", 0: "On the whole it is as good as before"}
    if changed:
        return f"{whole[better]}: {_list_points(changed)}."
    if better:
        return f"{whole[better]} on the whole, in no class alone by more than chance explains."
    return "No class changed by more than chance explains."


def _count_changes(shift: Shift) -> int:
    """Images that only one of the two calls this class."""
    both = (shift.right, shift.taken)
    return sum(overlap.only_first + overlap.only_second for overlap in both)


def _share_called(shift: Shift, after: bool) -> float:
    """Share of all images that are called this class."""
    both = (shift.right, shift.taken)
    called = sum(
        overlap.both_right + (overlap.only_second if after else overlap.only_first)
        for overlap in both
    )
    return called / sum(overlap.images for overlap in both)


def _tell_collapse(shifts: Sequence[Shift]) -> str:
    """That one class is said to most images, where none was before; else nothing."""
    most = max(shifts, key=lambda shift: _share_called(shift, after=True))
    now = _share_called(most, after=True)
    before = max(_share_called(shift, after=False) for shift in shifts)
    if now < COLLAPSED_FROM or before >= COLLAPSED_FROM:
        return ""
    there = most.right.images / (most.right.images + most.taken.images)
    return (
        f"It collapsed: it calls {percent(now)} of the test images {article(most.name)}, and "
        f"{percent(there)} are."
    )


def _find_happy(shifts: Sequence[Shift]) -> Shift | None:
    """The class that the model now sees more often where it is not, and oftener than it is there,
    if there is one."""
    happy = [
        shift
        for shift in shifts
        if shift.taken_more > 0
        and shift.points >= 0
        and shift.taken.both_right + shift.taken.only_second
        > shift.right.only_first + shift.right.both_wrong
    ]
    return max(happy, key=lambda shift: shift.taken.only_second, default=None)


def _tell_happy(happy: Shift, shifts: Sequence[Shift]) -> str:
    losses = [shift for shift in shifts if shift.certain < 0]
    more = happy.taken.only_second - happy.taken.only_first
    return (
        f"It became {happy.name}-happy: {_list_points([happy, *losses])}; it takes "
        f"{count(more, 'more image')} for {article(happy.name)} that {_show(more)} none."
    )


def _show(images: int) -> str:
    return "shows" if images == 1 else "show"


def _list_points(shifts: Sequence[Shift]) -> str:
    """`ship +12, cat +10, dog -9 points`: the largest gains and losses first."""
    ranked = sorted(shifts, key=lambda shift: -shift.points)
    gains = [shift for shift in ranked if shift.points >= 0][:TOLD]
    losses = [shift for shift in reversed(ranked) if shift.points < 0][:TOLD]
    told = ", ".join(f"{shift.name} {100 * shift.points:+.0f}" for shift in (*gains, *losses))
    rest = len(shifts) - len(gains) - len(losses)
    return f"{told} points" + (f", and {rest} more changed" if rest else "")
