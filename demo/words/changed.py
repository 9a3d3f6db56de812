"""Sentences of the tab "What training changed": each is worded from the numbers it tells."""

from collections.abc import Mapping, Sequence

from demo.words.common import (
    ACCURACY_TAB,
    COMPARE_TAB,
    LABELS,
    OWN_MODEL,
    inline_label,
    inline_labels,
    label_of,
)
from trainer.explain.analysed import ModelFacts, PathFacts
from trainer.explain.paths import list_places
from trainer.recipe import CLASSES, PLAIN_BACKBONE
from trainer.significance import noise_of_count
from trainer.wording import count, join, percent, sentence

LAYERS_HEADING = "## How far the layers moved"
LAYERS_HINT = (
    "First, how far each layer's weights are from the shared backbone that all four began with, in "
    "percent of its size; then, how alike each stage's features still are to the backbone's, where "
    "1 is the same."
)
MAP_HEADING = "## A map of features"
MAP_HINT = (
    "A dot is a test image, where the model hands it to its last layer; its colour is its true "
    "class. All maps have the same axes. Choose a place on one to see the images there, ringed in "
    "every map; by keyboard, arrow keys move the cross and Enter chooses."
)
PATH_HEADING = "## A path between models"
PATH_HINT = (
    "The weights of two networks, mixed: the slider goes in a straight line from one to the other. "
    "The curve is how many test images the mixture gets right; beside it is what the mixture says "
    f"of the picture under {COMPARE_TAB}."
)
CANNOT = "What it cannot tell:"
CANNOT_TELL = {
    "layers": (
        "Which change mattered. BatchNorm makes the scale of many weights irrelevant, so a long "
        "way can change little; and weight that moves in step with the layer before it is counted "
        "as moved."
    ),
    "map": (
        "What lies in the other 510 directions: two axes show a small part of the variation (the "
        "share is in the file), and classes that overlap here can be far apart there."
    ),
    "path": (
        "The way training took, which is no straight line. A dip between two models does not say "
        "that no curved path around it exists."
    ),
    "steps": "How far an epoch went: steps that point to and fro add up to little.",
    "rates": "Anything about training all layers, where other rates are right.",
}
"""Part of the tab to what docs/explained.md says that its figure cannot tell, word for word."""
MOVED, ALIKE = "distance moved, %", "similarity (CKA)"
LAYER, STAGE = "layers, from the input on", "after"
COMPUTE_OWN = "Compute the rest for my model"
COMPUTING_OWN = "Being computed: it comes here when it is done"
PATH, PLACE = "Path", "How far along the path, %"
RIGHT_AXIS = "test images right, %"
WAY_AXIS = "share of the way, %"
SHOW, EVERY = "Classes shown", "all ten classes"
STAGES = {
    "stem": "stem",
    "layer1": "stage 1",
    "layer2": "stage 2",
    "layer3": "stage 3",
    "layer4": "stage 4",
    "features": "features",
    "fc": "last layer",
}
"""A part of the network to its name on screen, in the order it is passed."""
NO_IMAGES = "Choose a place on one of the maps."
STAR = f"the picture under {COMPARE_TAB}"
RING = "the images below"
NO_PICTURE = f"Choose a picture under {COMPARE_TAB} to see where it lies and what is said of it"
NO_CELL = f"Choose a cell under {ACCURACY_TAB}, and its images light up here"
OTHER_IMAGES = "The models were measured on other images, so their answers to these are not known."
EXPORTS: dict[str, tuple[tuple[str, str], ...]] = {
    "layers": (
        ("changes.svg", "both figures as SVG"),
        ("movement.csv", "the distances as CSV"),
        ("similarity.csv", "the similarities as CSV"),
    ),
    "map": (("map.svg", "the maps as SVG"), ("map.csv", "the maps as CSV")),
    "path": (("paths.svg", "all paths as SVG"), ("paths.csv", "all paths as CSV")),
    "steps": (("step-sizes.svg", "the steps as SVG"), ("step-sizes.csv", "the steps as CSV")),
    "rates": (("rates.csv", "this table as CSV"),),
}
"""Part of the tab to its files, each with what it holds."""


def describe_missing(code: str) -> str:
    """That most of the tab is missing, and what its owner does.

    Args:
        code: of the error.
    """
    reasons = {
        "analysis_missing": "nothing was computed of these models yet",
        "analysis_outdated": "what was computed is of other models",
    }
    return (
        f"How far the layers moved, the map of features and the paths between models are missing "
        f"here, for {reasons.get(code, 'what was computed is damaged')}: whoever runs this app "
        f"computes it once, in some minutes, as its README says under \u201cTrain your own\u201d."
    )


def name_shared(names: Sequence[str]) -> str:
    """The models with one backbone: `SGD, all layers`, `SGD and Adam, last layer`."""
    parts = [label_of(name).partition(", ") for name in names]
    heads = {head for _, _, head in parts}
    if len(names) > 1 and len(heads) == 1:
        return f"{join([optimizer for optimizer, _, _ in parts])}, {heads.pop()}"
    return join([inline_label(name) for name in names]) if len(names) > 1 else label_of(names[0])


def describe_movement(models: Mapping[str, ModelFacts]) -> str:
    """Who moved farther, and who lies flat: one sentence."""
    flat = [name for name, model in models.items() if not any(model.movement.values())]
    moved = {name: model.stage_movement for name, model in models.items() if name not in flat}
    told = []
    if len(moved) == 2:
        told.append(_compare_movement(*moved.items()))
    else:
        for name, stages in moved.items():
            most = max(stages, key=stages.__getitem__)
            told.append(f"{inline_label(name)} moved most in {_name_stage(most)}")
    if flat:
        verb = "lies" if len(flat) == 1 else "lie"
        layers = len(models[flat[0]].movement)
        told.append(f"{inline_labels(flat)} {verb} flat at zero, not one of {layers} layers moved")
    return f"{'; '.join(told)}."


def _compare_movement(one: tuple[str, dict[str, float]], two: tuple[str, dict[str, float]]) -> str:
    ratios = {stage: two[1][stage] / one[1][stage] for stage in one[1]}
    behind, ahead = inline_label(one[0]), inline_label(two[0])
    if max(ratios.values()) <= 1:
        ratios = {stage: 1 / ratio for stage, ratio in ratios.items()}
        behind, ahead = ahead, behind
    low, high = (f"{end(ratios.values()):.1f}" for end in (min, max))
    if min(ratios.values()) >= 1:
        times = low if low == high else f"{low} to {high}"
        return f"{ahead} moved every part of the network {times} times as far as {behind}"
    farther = [_name_stage(stage) for stage, ratio in ratios.items() if ratio > 1]
    rest = [_name_stage(stage) for stage, ratio in ratios.items() if ratio <= 1]
    return f"{ahead} moved farther than {behind} in {join(farther)}, and less far in {join(rest)}"


def describe_own(
    job: str, start: str, whole: bool, similarity: Mapping[str, float], placed: bool
) -> str:
    """Whose the fifth model is, what it is measured from, and what has yet to be computed.

    Args:
        job, start: as their owner knows them.
        whole: nothing has.
        similarity: empty where it has to be.
        placed: its place on the map is known.
    """
    told = (
        f"{OWN_MODEL}, of {job}, stands beside the four in these figures, and nobody but you sees "
        f"it there; it is measured from {start}, its start."
    )
    if whole:
        return told
    parts = [
        *([] if similarity else ["how alike its features are to its start's"]),
        *([] if placed else ["its map"]),
        "the path from its start",
    ]
    verb = "is" if len(parts) == 1 else "are"
    return (
        f"{told} {sentence(join(parts))[:-1]} {verb} computed when you ask for it, in some seconds "
        f"or minutes, by how large its inputs are and how much was trained."
    )


def describe_own_movement(model: ModelFacts, start: str) -> str:
    """How far a job's model moved from its start."""
    if not any(model.movement.values()):
        return f"{OWN_MODEL}: not one of its {len(model.movement)} layers moved from {start}."
    most = max(model.stage_movement, key=model.stage_movement.__getitem__)
    moved = percent(model.stage_movement[most], 2)
    return f"{OWN_MODEL}: it moved most in {_name_stage(most)}, {moved} from {start}."


def describe_own_similarity(model: ModelFacts) -> str:
    """How alike the features of a job's model still are to its start's; "" where that is not
    known."""
    alike = model.similarity
    if not alike:
        return ""
    if min(alike.values()) == 1:
        return f"{OWN_MODEL}: its features are those of its start, exactly 1 everywhere."
    least = min(alike, key=alike.__getitem__)
    where = _name_after(least)
    return f"{OWN_MODEL}: its features are least like its start's {where} ({alike[least]:.2f})."


def describe_similarity(models: Mapping[str, ModelFacts]) -> str:
    """Where features are most unlike the backbone's, and whose are its own: one sentence."""
    told, same = [], []
    for name, model in models.items():
        alike = model.similarity
        if min(alike.values()) == 1:
            same.append(name)
            continue
        least = min(alike, key=alike.__getitem__)
        told.append(f"those of {inline_label(name)} {_name_after(least)} ({alike[least]:.2f})")
    whose = f"those of {inline_labels(same)} are its own, exactly 1 everywhere"
    if not told:
        return sentence(whose.replace("its", "the backbone's"))
    rest = f"; {whose}" if same else ""
    return f"Least like the backbone's features are {join(told)}{rest}."


def describe_separation(shares: Mapping[tuple[str, ...], float], images: int) -> str:
    """How far each map tells the classes apart: one sentence.

    Args:
        shares: models with one map to the share of images nearest to the centre of their class.
    """
    ordered = sorted(shares.items(), key=lambda one: -one[1])
    told = [f"{percent(share, 0)} with {inline_labels(names)}" for names, share in ordered]
    return (
        f"Of {images:,} test images so many lie nearest to the centre of their own class: "
        f"{join(told)}; by chance it would be one in ten."
    )


def describe_share(explained: Sequence[float]) -> str:
    """How much two axes show.

    Args:
        explained: share of the variation of all features that each axis shows, 0..1.
    """
    return f"Here the two axes show {percent(sum(explained), 0)} of how the features differ."


def describe_lit(name: str, true: int, said: int, lit: int) -> str:
    """The cell chosen under Accuracy, on the maps."""
    images = count(lit, "image") if lit else "no image here is"
    return (
        f"{images} in the cell chosen under {ACCURACY_TAB}: true {CLASSES[true]}, predicted "
        f"{CLASSES[said]} by {inline_label(name)}"
    )


def describe_map(names: Sequence[str]) -> str:
    """A map, for who cannot see it."""
    return (
        f"Map of features of {inline_labels(names)}: arrow keys move the cross, Enter shows images"
    )


def describe_near(names: Sequence[str], images: int) -> str:
    return f"The {images:,} test images nearest to the cross on the map of {inline_labels(names)}"


def describe_classes(counts: Sequence[tuple[int, int]]) -> str:
    """How many of some images are of which class: (class, images), the most first."""
    return sentence(join([f"{images} x {CLASSES[label]}" for label, images in counts]))


def name_path(start: str, end: str) -> str:
    """`from the backbone to SGD, all layers`."""
    return f"from {_name_start(start)} to {inline_label(end)}"


def describe_path(path: PathFacts, images: int) -> str:
    """How right the models along a path are: whether there is a dip, and where the gain is."""
    right, places = path.right, list_places(len(path.right))
    first, last = right[0], right[-1]
    told = [
        f"At the ends {first:,} and {last:,} of {images:,} test images are right."
        if path.start != PLAIN_BACKBONE
        else f"It {'rises' if last > first else 'goes'} from {first:,} of {images:,} test images, "
        f"which is what a last layer that has learned nothing guesses, to {last:,}."
    ]
    inner = right[1:-1]
    if not inner:
        return told[0]
    worst = min(inner)
    where = percent(places[right.index(worst, 1)], 0)
    lower = min(first, last)
    if lower - worst > noise_of_count(lower, images):
        told.append(
            f"On the way it falls to {worst:,}, at {where}: mixing these two in a straight line "
            f"breaks what both have learned."
            if path.start != PLAIN_BACKBONE
            else f"On the way it first falls to {worst:,}, at {where}."
        )
    elif path.start != PLAIN_BACKBONE:
        told.append(
            f"On the way it is never fewer than {worst:,}, no less than chance explains: the two "
            f"lie in one valley, as far as these images tell."
        )
    if path.start == PLAIN_BACKBONE and last > first:
        half = next(i for i, number in enumerate(right) if 2 * number >= first + last)
        told.append(f"Half of the gain is there {percent(places[half], 0)} of the way.")
    return " ".join(told)


def describe_place(path: PathFacts, images: int, place: float) -> str:
    """How right the mixture at a place is; of a place that was not measured, those beside it."""
    at = place * (len(path.right) - 1)
    before = int(at + 1e-9)
    if abs(at - before) < 1e-9:
        right = path.right[before]
        return (
            f"{percent(place, 0)} of the way: {right:,} of {images:,} test images are right "
            f"({percent(right / images)})."
        )
    low, high = (percent(i / (len(path.right) - 1), 0) for i in (before, before + 1))
    return (
        f"{percent(place, 0)} of the way: measured are {low} ({path.right[before]:,} of {images:,} "
        f"test images right) and {high} ({path.right[before + 1]:,})."
    )


def describe_answer(path: PathFacts, place: float, label: int, sure: float) -> str:
    """What the mixture says of the picture at hand."""
    ends = {0.0: _name_start(path.start), 1.0: inline_label(path.end)}
    who = ends.get(place, "the mixture")
    return f"Here {who} says {CLASSES[label]} ({percent(sure)})."


def _name_stage(stage: str) -> str:
    return f"the {STAGES[stage]}" if stage in ("stem", "fc") else STAGES[stage]


def _name_after(stage: str) -> str:
    """`after stage 4`, `in the 512 features`."""
    return "in the 512 features" if stage == "features" else f"after {_name_stage(stage)}"


def _name_start(name: str) -> str:
    if name == PLAIN_BACKBONE:
        return "the backbone"
    return inline_label(name) if name in LABELS else "your earlier job's model"
