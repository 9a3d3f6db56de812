"""Sends the Fine-tune tab's form as its page does, from the page's own description."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = "shown-job"
"""Of the field that holds the id of the job on screen: every event of the tab fills it."""


@dataclass(frozen=True)
class FormSent:
    """An event of the page."""

    body: dict[str, Any]
    """Of the call, without its session."""
    trigger: int
    """The component that was touched."""
    outputs: list[str]
    """What its answer fills: ids of elements."""


def fill_form(
    config: Mapping[str, Any], button: str, token: str, values: Mapping[str, Any]
) -> FormSent:
    """What a page sends when a button is pressed, or when its timer ticks.

    Args:
        config: as `/config` tells it.
        button: the id of its element; nothing for the timer.
        token: the visitor's.
        values: id of an element to what it holds, where that is not what it was drawn with.
    """
    components = {one["id"]: one for one in config["components"]}
    event = "click" if button else "tick"
    function, trigger = next(
        (function, component_id)
        for function in config["dependencies"]
        if any(find_name(components[one]) == SHOWN for one in function["outputs"])
        for component_id, name in function["targets"]
        if name == event and find_name(components[component_id]) == button
    )
    held = [components[number] for number in function["inputs"]]
    data = [
        token
        if one["type"] == "browserstate"
        else values.get(find_name(one), one["props"].get("value"))
        for one in held
    ]
    body = {"data": data, "fn_index": function["id"], "event_data": None}
    return FormSent(body, trigger, [find_name(components[one]) for one in function["outputs"]])


def read_form(form: FormSent, output: Mapping[str, Any]) -> dict[str, Any]:
    """Id of an element to what the answer fills it with: a value, or a dictionary of what is new.
    What stays as it is is left out."""
    answered = zip(form.outputs, output.get("data", ()), strict=False)
    return {
        name: value
        for name, value in answered
        if name and not (isinstance(value, dict) and set(value) == {"__type__"})
    }


def find_name(component: Mapping[str, Any]) -> str:
    """The id of a component's element, or nothing."""
    return str(component["props"].get("elem_id") or "")
