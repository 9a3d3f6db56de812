"""What of the tab is on screen: one value, which a link holds too."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from demo.links import Link
from trainer.recipe import CLASSES

EVERY = "all"
"""In place of a class: none is picked out."""
SIDE = 100
"""Steps across a map, and along a path."""


class Spot(NamedTuple):
    """A place on a model's map, in hundredths from its left and its top."""

    model: str
    x: int
    y: int


@dataclass(frozen=True)
class View:
    """All that a visitor chooses."""

    path: str = ""
    """One of the analysis's, `<start>-<end>`; "" where there is none."""
    place: int = 0
    """Percent of the way."""
    shown: str = EVERY
    """A class that alone is shown in full colour, or `EVERY`."""
    spot: str = ""
    """Where images were asked for, `<model>,<x>,<y>`, or ""."""

    def changed(self, paths: Collection[str], models: Collection[str], **given: Any) -> "View":
        """The view with what is given of it; what no visitor could have chosen is passed over.

        Args:
            paths, models: those there are.
        """
        place = given.get("place")
        good = {
            "path": given.get("path") in paths,
            "place": isinstance(place, int | float) and 0 <= place <= SIDE,
            "shown": given.get("shown") in (EVERY, *CLASSES),
            "spot": given.get("spot") == "" or read_spot(given.get("spot"), models) is not None,
        }
        kept = {name: given[name] for name in given if good[name]}
        if "place" in kept:
            kept["place"] = round(kept["place"])
        return replace(self, **kept)

    def to_link(self, default: "View") -> Link:
        """What differs from the default; a place on a path never without its path."""
        link = {
            word: str(getattr(self, name))
            for word, name in _WORDS.items()
            if getattr(self, name) != getattr(default, name)
        }
        return link | ({"path": self.path} if "way" in link else {})

    def from_link(
        self, link: Mapping[str, str], paths: Collection[str], models: Collection[str]
    ) -> "View":
        """The view with what a link says of it."""
        said: dict[str, Any] = {name: link[word] for word, name in _WORDS.items() if word in link}
        if "place" in said:
            word = said["place"]
            said["place"] = int(word) if word.isdecimal() and len(word) < 4 else None
        return self.changed(paths, models, **said)


def read_spot(choice: Any, models: Collection[str]) -> Spot | None:
    """The place that `<model>,<x>,<y>` names, or None where it names none."""
    model, *rest = choice.split(",") if isinstance(choice, str) else [""]
    if model not in models or len(rest) != 2:
        return None
    if not all(part.isdecimal() and len(part) < 4 and int(part) <= SIDE for part in rest):
        return None
    return Spot(model, *map(int, rest))


_WORDS = {"path": "path", "way": "place", "class": "shown", "spot": "spot"}
"""Word of a link to field."""
