"""Flags that follow from declarations, and those that several commands share."""

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from trainer.declared import Declared, describe_setting
from trainer.recipe import RECIPE_NAMES, JobSettings, Recipe, Settings
from trainer.wording import sentence

if TYPE_CHECKING:
    import torch

    from trainer.data import Dataset

FLAGS = ConstructorRegistry()
"""How tyro reads our own types."""
MARKERS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.DisallowNone,
)

_METAVARS = {"whole": "N", "number": "X", "text": "NAME"}

Switch = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
"""Off unless given."""
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
Seconds = Annotated[float, tyro.conf.arg(metavar="S")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]
Checkpoints = Annotated[Path, tyro.conf.arg(metavar="DIR", help="Folder of checkpoints.")]


_ONLY = PrimitiveConstructorSpec[tuple[str, ...]](
    nargs="*",
    metavar="NAME [NAME ...]",
    instance_from_str=tuple,
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=list,
    choices=RECIPE_NAMES,
)
Only = Annotated[
    tuple[str, ...],
    _ONLY,
    tyro.conf.arg(help=f"Some of {', '.join(RECIPE_NAMES)}.", help_behavior_hint="(default: all)"),
]


def _read_images(given: list[str]) -> tuple[Path, ...]:
    if not given:
        raise ValueError("name a picture")
    return tuple(map(Path, given))


_IMAGES = PrimitiveConstructorSpec[tuple[Path, ...]](
    nargs="*",
    metavar="IMAGE [IMAGE ...]",
    instance_from_str=_read_images,
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: list(map(str, value)),
)
Images = Annotated[
    tuple[Path, ...],
    _IMAGES,
    tyro.conf.Positional,
    tyro.conf.arg(help="Pictures.", help_behavior_hint=""),
]


class Given(dict[str, Any]):
    """Settings given on the command line, by name; what is not given is not in it.

    A subclass becomes a group of flags, one for each of its names, with type, bounds and
    explanation as declared. Values stay text: the settings check them, in their own words.
    """

    settings: ClassVar[type[Settings]]
    names: ClassVar[tuple[str, ...]]
    inherited: ClassVar[tuple[str, ...]]
    """Names that default to `inherited_from`; the others to what is declared."""
    inherited_from: ClassVar[str]


class RecipeFlags(Given):
    """Settings of all recipes trained."""

    settings = Recipe
    names = inherited = ("epochs", "batch_size", "image_px", "seed")
    inherited_from = "the recipe's own"


class JobFlags(Given):
    """Settings of the run. The learning rate stays constant."""

    settings = JobSettings
    names = tuple(JobSettings.model_fields)
    inherited = JobSettings.FROM_START
    inherited_from = "the start's own"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the images come from, and what computes."""

    data: Folder = None
    """Local CIFAR-10, as Parquet files or class folders; else $QUARTET_DATA, else the Hub."""
    sample: Switch = False
    """Use the 2,500 embedded images: offline, and quick."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What computes; auto takes a GPU where there is one."""

    def load(self) -> "Dataset":
        """The data set.

        Raises:
            DataError: nothing is found, or a file is damaged.
        """
        from trainer.data import load_dataset

        return load_dataset(self.data, self.sample)

    def find_device(self) -> "torch.device":
        """The device.

        Raises:
            TrainingError: this machine has no such device.
        """
        from trainer.device import find_device

        return find_device(self.device)


@FLAGS.struct_rule
def _read_given(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A `Given` as a group of flags."""
    kind = info.type
    if not (isinstance(kind, type) and issubclass(kind, Given)):
        return None
    fields = tuple(_describe_flag(kind, name) for name in kind.names)
    return StructConstructorSpec(instantiate=partial(_collect, kind), fields=fields)


def _collect(kind: type[Given], **values: Any) -> Given:
    return kind({name: value for name, value in values.items() if value is not None})


def _describe_flag(kind: type[Given], name: str) -> StructFieldSpec:
    """One setting's flag. It defaults to None, "not given", but for what is on or off."""
    declared = describe_setting(kind.settings, name)
    hint = kind.inherited_from if name in kind.inherited else _word_default(declared)
    text = tyro.conf.arg(
        help=_explain(declared), help_behavior_hint=f"(default: {hint})" if hint else ""
    )
    if declared.kind == "flag":
        return StructFieldSpec(name, Annotated[bool, text], declared.default)  # type: ignore[arg-type]
    spec = PrimitiveConstructorSpec[Any](
        nargs="*" if declared.kind == "classes" else 1,
        metavar=_word_value(declared),
        instance_from_str=tuple if declared.kind == "classes" else lambda given: given[0],
        is_instance=lambda _: True,
        str_from_instance=lambda value: [str(value)],
    )
    return StructFieldSpec(name, Annotated[Any, spec, text], None)  # type: ignore[arg-type]


def _explain(declared: Declared) -> str:
    text = f"{declared.label}. {declared.info}"
    if declared.kind not in ("whole", "number", "classes"):
        return text
    allowed = sentence(dataclasses.replace(declared, optional=False).allowed)
    # A help text may be broken behind any comma, which tears "1,000" in two.
    return f"{text} {re.sub(r'(?<=[0-9]),(?=[0-9])', '', allowed)}"


def _word_value(declared: Declared) -> str:
    if declared.kind == "classes":
        return "CLASS [CLASS ...]"
    if declared.kind == "choice":
        return f"{{{','.join(value for value, _ in declared.choices)}}}"
    return _METAVARS[declared.kind]


def _word_default(declared: Declared) -> str:
    """Empty for what is off, or left out, unless given."""
    nothing = declared.default is False or declared.default in (None, ())
    return "" if nothing else str(declared.default)
