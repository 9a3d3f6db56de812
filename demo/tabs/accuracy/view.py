"""What of the Accuracy tab is on screen: one value, which a link holds too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from demo.answers import ORDERS, PARTS, SURE
from demo.links import Link
from trainer.recipe import CLASSES

PERCENT, COUNT = "percent", "count"
ALONE = "alone-"
"""Before the name of the model that alone is right."""


@dataclass(frozen=True)
class View:
    """All that a visitor chooses. The defaults that depend on the models are given."""

    model: str
    true: int
    said: int
    first: str
    second: str
    counting: str = PERCENT
    order: str = SURE
    page: int = 1
    chosen: str = "first"
    """Which images of the pair: one of `PARTS`, a cell as `true,said`, or `ALONE` and a name."""
    pair_order: str = SURE
    pair_page: int = 1

    @property
    def cell(self) -> tuple[int, int]:
        """Of the matrix: true and predicted class."""
        return self.true, self.said

    @property
    def difference_cell(self) -> tuple[int, int] | None:
        """Of the difference of the pair, where one is chosen."""
        return read_cell(self.chosen)

    @property
    def alone(self) -> str | None:
        """The model that alone is right, where its images are chosen."""
        return self.chosen.removeprefix(ALONE) if self.chosen.startswith(ALONE) else None

    def changed(self, names: Sequence[str], **given: Any) -> "View":
        """The view with what is given of it; what no visitor could have chosen is passed over.

        Args:
            names: the models there are.
        """
        good = {name: value for name, value in given.items() if _CHECKS[name](value, names)}
        return replace(self, **good)

    def to_link(self, default: "View") -> Link:
        """What differs from the default, in words; and where anything does, all that the default
        takes from the models, which may be others tomorrow."""
        if self == default:
            return {}
        return {
            word: _write(name, getattr(self, name))
            for word, name in _WORDS.items()
            if name in _OF_MODELS or getattr(self, name) != getattr(default, name)
        }

    def from_link(self, link: Mapping[str, str], names: Sequence[str]) -> "View":
        """The view with what a link says of it."""
        said = {name: _read(name, link[word]) for word, name in _WORDS.items() if word in link}
        return self.changed(names, **said)


def read_cell(choice: str) -> tuple[int, int] | None:
    """True and predicted class of `true,said`, or None where it is no cell."""
    parts = choice.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and len(part) < 3 for part in parts):
        return None
    true, said = map(int, parts)
    return (true, said) if max(true, said) < len(CLASSES) else None


_WORDS = {
    "model": "model", "cells": "counting", "true": "true", "predicted": "said",
    "order": "order", "page": "page", "first": "first", "second": "second",
    "images": "chosen", "pair-order": "pair_order", "pair-page": "pair_page",
}  # fmt: skip
"""Word of a link to field."""
_OF_MODELS = ("model", "true", "said", "first", "second")
"""Fields whose default depends on the models."""


def _write(name: str, value: Any) -> str:
    if name in ("true", "said"):
        return str(CLASSES[value])
    cell = read_cell(str(value)) if name == "chosen" else None
    return ".".join(CLASSES[label] for label in cell) if cell else str(value)


def _read(name: str, word: str) -> Any:
    if name in ("true", "said"):
        return CLASSES.index(word) if word in CLASSES else None
    if name in ("page", "pair_page"):
        return int(word) if word.isdecimal() and len(word) < 6 else None
    parts = word.split(".")
    if name == "chosen" and len(parts) == 2 and set(parts) <= set(CLASSES):
        return ",".join(str(CLASSES.index(part)) for part in parts)
    return word


def _is_model(value: Any, names: Sequence[str]) -> bool:
    return value in names


def _is_class(value: Any, _: Sequence[str]) -> bool:
    return isinstance(value, int) and 0 <= value < len(CLASSES)


def _is_order(value: Any, _: Sequence[str]) -> bool:
    return value in ORDERS


def _is_page(value: Any, _: Sequence[str]) -> bool:
    return isinstance(value, int) and value > 0


def _is_chosen(value: Any, names: Sequence[str]) -> bool:
    return isinstance(value, str) and (
        value in PARTS
        or read_cell(value) is not None
        or (value.startswith(ALONE) and value.removeprefix(ALONE) in names)
    )


_CHECKS: dict[str, Callable[[Any, Sequence[str]], bool]] = {
    "model": _is_model, "first": _is_model, "second": _is_model,
    "true": _is_class, "said": _is_class,
    "counting": lambda value, _: value in (PERCENT, COUNT),
    "order": _is_order, "pair_order": _is_order,
    "page": _is_page, "pair_page": _is_page,
    "chosen": _is_chosen,
}  # fmt: skip
"""Field to whether a value can be its."""
