"""Sentences of the About tab. What the four recipes have in common and what not is read from their
records."""

from collections.abc import Mapping, Sequence
from typing import Any

from demo.jobs.limits import Limits
from demo.words.common import LABELS, tell_starts
from trainer.declared import describe_setting
from trainer.picture import SQUARE_PX
from trainer.recipe import Recipe
from trainer.record import Record
from trainer.wording import count, join

RECIPES = "The recipes"
MODEL = "model"
YES, NO = "yes", "no"
_ALWAYS = ("optimizer", "momentum", "learning_rate", "trained", "epochs", "batch_size")
"""Settings that the table shows even where no two recipes differ in them."""
_NO_SETTINGS = ("name", "preset")
_PAIRS = (
    ("sgd_full", "adam_full", "With all layers trained, SGD and Adam"),
    ("sgd_frozen", "adam_frozen", "With only the last layer trained, SGD and Adam"),
    ("sgd_full", "sgd_frozen", "With SGD, all layers and the last layer"),
    ("adam_full", "adam_frozen", "With Adam, all layers and the last layer"),
)


def describe_experiment(records: Mapping[str, Record]) -> str:
    """What was done, and in what the recipes differ, in Markdown."""
    ways = {1: "one way", 2: "two ways", 3: "three ways", 4: "four ways"}[len(records)]
    first = next(iter(records.values()))
    backbones = list(dict.fromkeys(record.backbone.name for record in records.values()))
    one = f"One pre-trained ResNet-18 (`{backbones[0]}`) learns"
    if len(backbones) > 1:
        names = join([f"`{name}`" for name in backbones])
        one = f"Pre-trained ResNet-18s ({names}) learn"
    same = {(record.data.digest, record.data.train_count) for record in records.values()}
    images = ""
    if len(same) == 1 and len(records) > 1:
        images = f" All see the same {first.data.train_count:,} training images."
    started = " ".join(story.made for story in tell_starts(records))
    differences = "\n".join(f"- {sentence}" for sentence in describe_differences(records))
    return (
        f"## The experiment\n\n{one} CIFAR-10's ten classes in {ways}.{images}\n\n"
        f"**The backbone.** {started}\n\n{differences}"
    )


def describe_differences(records: Mapping[str, Record]) -> list[str]:
    """A sentence for each two recipes that make a pair: in which settings they differ."""
    sentences = []
    for one, other, who in _PAIRS:
        if one in records and other in records:
            names = find_differing([records[one].recipe, records[other].recipe])
            labels = [inline_setting(_label(name)) for name in names]
            if len(labels) == 1:
                sentences.append(f"{who} differ in the {labels[0]} alone.")
            else:
                sentences.append(f"{who} differ in {join(labels) if labels else 'nothing'}.")
    return sentences


def find_differing(recipes: Sequence[Recipe]) -> list[str]:
    """Names of the settings in which recipes differ, in the order of their declaration."""
    return [
        name
        for name in Recipe.model_fields
        if name not in _NO_SETTINGS and len({getattr(recipe, name) for recipe in recipes}) > 1
    ]


def list_recipes(
    records: Mapping[str, Record],
) -> tuple[list[tuple[str, str]], list[list[Any]]]:
    """The recipes as a table: what each has, in every setting in which two of them differ.

    Returns:
        The columns' labels and formats, and a row a recipe.
    """
    differing = find_differing([record.recipe for record in records.values()])
    names = [name for name in Recipe.model_fields if name in _ALWAYS or name in differing]
    rows = [
        [LABELS[name], *(_show(record.recipe, setting) for setting in names)]
        for name, record in records.items()
    ]
    numbers = [isinstance(cell, int | float) for cell in rows[0]]
    labels = [MODEL, *(inline_setting(_label(name)) for name in names)]
    return [(one, "g" if number else "") for one, number in zip(labels, numbers, strict=True)], rows


def _show(recipe: Recipe, name: str) -> Any:
    """A setting's value as people read it."""
    value = getattr(recipe, name)
    labels = dict(describe_setting(Recipe, name).choices)
    if isinstance(value, bool):
        return YES if value else NO
    return labels.get(value, value) if isinstance(value, str) else value


def _label(name: str) -> str:
    return describe_setting(Recipe, name).label


def inline_setting(label: str) -> str:
    """A setting's label inside a sentence."""
    proper = label.startswith(("Adam", "BatchNorm"))
    return label if proper else label[0].lower() + label[1:]


ABOUT = f"""\
- **All layers**: every weight may change, so that every step runs through the whole network.
- **Last layer**: the backbone stays as it was, BatchNorm's statistics included; only the map from
  its 512 features to ten classes is learned. Here the two optimizers share one backbone, so one
  pass serves both models.

The whole report, with its method and what follows from the figures, is `docs/report.md` in the
repository.

## Train your own

```
python -m trainer --out runs/mine       # the four recipes on the full CIFAR-10
QUARTET_CHECKPOINTS=runs/mine python app.py
```

## Limits

- The models are handed {SQUARE_PX} x {SQUARE_PX} pixels of a picture at most, and know ten classes.
  Of anything else they still name one.
- Where what a model makes of a picture lies far from what it makes of CIFAR-10's images (the
  virtual logit of Wang et al., 2022), the screen says that it looks like none of the ten, and how
  often that is right or wrong. Where no model can tell, it says nothing of it.
- Each model's outputs are divided by one number, its temperature, before they become the
  probabilities shown: the one that fits CIFAR-10's validation images best. No answer changes by it.
  How far the probabilities can then be believed is in the Accuracy tab; on pictures unlike
  CIFAR-10's they can be believed less.
"""


def describe_licence(records: Mapping[str, Record]) -> str:
    """Whose work this is, and under which terms. Markdown."""
    terms = " ".join(story.terms for story in tell_starts(records))
    return f"""\
## Licence and sources

Code and weights: Apache-2.0, but what the weights started from may carry terms of its own. {terms}
CIFAR-10: Alex Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, technical
report, University of Toronto, 2009. The example pictures are made from it.
"""


KEPT_OF_ACCOUNTS = """\
If you sign in, your name and what Hugging Face lets this app do for you are kept in memory alone,
  until you sign out; your jobs carry a hash from which nobody can tell whose they are."""


def describe_keeping(limits: Limits, leaves: str = "", accounts: bool = False) -> str:
    """What is kept of a visitor, and how long, by the ages that the sweeper goes by. Markdown.

    Args:
        leaves: what stays of jobs beyond the sweeper's reach, in a sentence.
        accounts: visitors can sign in.
    """
    beyond = f"- {leaves}\n" if leaves else ""
    beyond += f"- {KEPT_OF_ACCOUNTS}\n" if accounts else ""
    return f"""\
- Your picture stays on this server, is used for nothing but its answer, and is deleted
  {describe_age(limits.uploads_kept_s)} after it arrived.
- A picture that you teach is kept, at most {SQUARE_PX} x {SQUARE_PX} pixels of it, until you take
  it out, or for {describe_age(limits.pictures_kept_s)}. A job has copies of those it learns from,
  and is deleted with them {describe_age(limits.kept_s)} after its end, or when you delete it.
- What is due is deleted every {describe_age(limits.sweep_every_s)}.
{beyond}
"""


def describe_age(seconds: float) -> str:
    """`an hour`, `24 hours`, `5 minutes`."""
    hours, rest = divmod(round(seconds), 3600)
    if rest:
        return count(max(1, round(seconds / 60)), "minute")
    return "an hour" if hours == 1 else count(hours, "hour")
