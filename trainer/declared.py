"""How a setting is declared, and what is derived from its declaration."""

from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from trainer.errors import SettingError

Kind = Literal["whole", "number", "choice", "flag", "classes", "text"]


@dataclass(frozen=True)
class Declared:
    """One setting as its declaration tells it."""

    name: str
    label: str
    info: str
    """What it does, in a sentence."""
    unit: str
    """Empty where there is none."""
    kind: Kind
    minimum: float | None
    maximum: float | None
    above: bool
    """True where the minimum itself is not allowed."""
    below: bool
    """True where the maximum itself is not allowed."""
    choices: tuple[tuple[str, str], ...]
    """Value and label of each choice, for `choice` and `classes`."""
    optional: bool
    """True where it may be left empty."""
    default: Any
    """None where it must be given."""
    shape: str = "a name"
    """What a text must look like, to stand behind "give"."""

    @property
    def allowed(self) -> str:
        """What may be given, to stand behind "give"."""
        nothing = ", or leave it empty" if self.optional else ""
        if self.kind == "choice":
            return f"one of {', '.join(value for value, _ in self.choices)}{nothing}"
        if self.kind == "classes":
            return f"some of {', '.join(value for value, _ in self.choices)}"
        if self.kind == "flag":
            return "true or false"
        if self.kind == "text":
            return f"{self.shape}{nothing}"
        noun = "a whole number" if self.kind == "whole" else "a number"
        bounds = []
        if self.minimum is not None:
            bounds.append(f"{'above' if self.above else 'from'} {self.minimum:,.12g}")
        if self.maximum is not None:
            if bounds:
                bounds.append("and up to" if self.above else "to")
            bounds.append(f"{'below ' if self.below else ''}{self.maximum:,.12g}")
        unit = f" {self.unit}" if self.unit else ""
        return f"{noun} {' '.join(bounds)}{unit}{nothing}"


def setting(
    default: Any,
    label: str,
    info: str,
    *,
    unit: str = "",
    labels: tuple[str, ...] = (),
    **bounds: Any,
) -> Any:
    """Declares a setting.

    Args:
        labels: of a `Literal`'s choices, in their order, where the values are no words.
        bounds: pydantic's `gt`, `ge`, `lt`, `le`, `pattern`.
    """
    extra: dict[str, Any] = {"unit": unit, "labels": list(labels)}
    return Field(default, title=label, description=info, json_schema_extra=extra, **bounds)


def to_flag(name: str) -> str:
    """A setting's flag on the command line."""
    return f"--{name.replace('_', '-')}"


def describe_setting(model: type[BaseModel], name: str) -> Declared:
    """All that a form or a command line needs to know of one setting."""
    field = model.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, values, optional = _read_type(field.annotation)
    labels = extra.get("labels") or values
    assert isinstance(labels, (list, tuple))
    limits = _read_bounds(field)
    return Declared(
        name=name,
        label=field.title or name,
        info=field.description or "",
        unit=str(extra.get("unit", "")),
        kind=kind,
        choices=tuple(zip(values, map(str, labels), strict=True)),
        optional=optional,
        default=None if field.is_required() else field.default,
        shape=str(extra.get("shape", "a name")),
        **limits,
    )


def tell_choice(settings: BaseModel, name: str) -> str:
    """What was chosen for a setting, as its declaration words it: `Adam`, `all layers`."""
    return dict(describe_setting(type(settings), name).choices)[getattr(settings, name)]


def to_error(model: type[BaseModel], error: ValidationError) -> SettingError:
    """The first of pydantic's complaints, as ours."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return SettingError("setting_unknown", setting=name)
    declared = describe_setting(model, name)
    code = "setting_missing" if first["type"] == "missing" else "setting_wrong"
    return SettingError(
        code,
        setting=name,
        flag=to_flag(name),
        label=declared.label,
        allowed=declared.allowed,
        value="nothing" if first["input"] is None else repr(first["input"]),
    )


def _read_type(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """Kind, choices, and whether nothing may be given."""
    if get_origin(annotation) in (UnionType, Union):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        kind, values, _ = _read_type(inner[0])
        return kind, values, True
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation), False
    if get_origin(annotation) is tuple:
        return "classes", get_args(get_args(annotation)[0]), False
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}
    return kinds[annotation], (), False


def _read_bounds(field: FieldInfo) -> dict[str, Any]:
    limits: dict[str, Any] = {"minimum": None, "maximum": None, "above": False, "below": False}
    for rule in field.metadata:
        match rule:
            case Gt(gt=value):
                limits |= {"minimum": value, "above": True}
            case Ge(ge=value):
                limits |= {"minimum": value}
            case Lt(lt=value):
                limits |= {"maximum": value, "below": True}
            case Le(le=value):
                limits |= {"maximum": value}
    return limits
