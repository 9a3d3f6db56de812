"""How long each model takes to train, told alike where several shared a pass over the images."""

from collections import defaultdict
from dataclasses import dataclass

from trainer.record import Record, Records


@dataclass(frozen=True)
class TrainingTime:
    """Wall seconds of one model's training, evaluation included."""

    alone_s: float
    """As if it had been trained alone."""
    shared_s: float
    """What of it served other models too: a frozen backbone's features; 0 where nothing did."""


def time_alone(records: Records) -> dict[str, TrainingTime]:
    """Every model's training time, with the features it needs counted in.

    A frozen backbone's features are computed once for all recipes that need the same. Newer
    records hold how long that took (`Record.features_s`). In older ones it hides in the epochs of
    whichever run came first: in what they took beyond their steps. A run whose own remainder is
    less than half of the longest among those that could share has not paid for them itself.
    """
    groups: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records.values():
        if record.recipe.frozen:
            key = record.recipe.image_px, record.backbone.sha256, record.data.digest
            groups[key].append(record)
    times = {name: TrainingTime(record.seconds, 0.0) for name, record in records.items()}
    for group in groups.values():
        hidden = [record for record in group if record.features_s is None]
        longest = max(map(_remainder, hidden), default=0.0)
        free = [record for record in hidden if _remainder(record) < longest / 2]
        shared_s = longest - max(map(_remainder, free), default=longest)
        for record in group:
            if record.features_s is not None:
                alone_s = record.seconds + record.features_s
                one_pass = [one for one in group if one.features_s == record.features_s]
                shared = record.features_s if len(one_pass) > 1 else 0.0
                times[record.name] = TrainingTime(alone_s, shared)
            elif record in free:
                times[record.name] = TrainingTime(record.seconds + shared_s, shared_s)
            elif _remainder(record) == longest:
                times[record.name] = TrainingTime(record.seconds, shared_s)
    return times


def _remainder(record: Record) -> float:
    """Seconds of a run's epochs beyond their steps."""
    return sum(epoch.seconds - epoch.train_s for epoch in record.history)
