"""A form made of declared settings: one control a setting, found by the setting's name.

Values cross as the browser holds them (events have `preprocess=False`): what is wrong is said once,
by the settings themselves, and nothing is rounded or refused on the way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import gradio as gr
from gradio.blocks import Block

from trainer.declared import Declared, describe_setting
from trainer.recipe import Settings

Control = gr.Number | gr.Radio | gr.Dropdown | gr.Checkbox | gr.CheckboxGroup
NUMBERS = {"whole": 1, "number": 0.001}
"""Kind of a setting that is a number, to what one press of an arrow key adds."""


class Form:
    """The controls of one class of settings."""

    def __init__(
        self,
        first: Settings,
        choices: Mapping[str, Sequence[tuple[str, str]]],
        infos: Mapping[str, str],
    ) -> None:
        """Draws nothing yet: `add` does, where it is called.

        Args:
            first: what the controls show before anyone touches them.
            choices: name of a setting to the (label, value) pairs it can take here, where they
                are not declared.
            infos: name of a setting to what its control says, where that is not declared.
        """
        self._first = to_browser(first)
        self._kind = type(first)
        self._choices, self._infos = dict(choices), dict(infos)
        self.controls: dict[str, Control] = {}
        """A setting's name to its control."""

    def add(self, *names: str) -> Self:
        """Draws the controls of these settings."""
        for name in names:
            declared = describe_setting(self._kind, name)
            choices = self._choices.get(name)
            if choices is None:
                choices = [(label, value) for value, label in declared.choices]
            info = self._infos.get(name, declared.info)
            self.controls[name] = create_control(declared, self._first[name], choices, info)
        return self

    def add_others(self, but: Sequence[str]) -> Self:
        """Draws the controls of every setting that has none yet, `but` some: a new setting is on
        the form as soon as it is declared."""
        return self.add(*(n for n in self._first if n not in self.controls and n not in but))

    def read(self, values: Mapping[Block, Any]) -> dict[str, Any]:
        """What the browser holds, by the settings' names, as their class takes it."""
        given = {}
        for name, control in self.controls.items():
            declared = describe_setting(self._kind, name)
            value = values[control]
            # A number field that is not given is 0 in the browser, or nothing.
            given[name] = None if declared.optional and not value else value
        return given


def to_browser(settings: Settings) -> dict[str, Any]:
    """A value for each setting's control, by name."""
    values = settings.as_json()
    return {
        name: 0
        if value is None and describe_setting(type(settings), name).kind in NUMBERS
        else value
        for name, value in values.items()
    }


def create_control(
    declared: Declared, value: Any, choices: Sequence[tuple[str, str]], info: str
) -> Control:
    """The control that suits a setting, as it is declared.

    Args:
        value: what it shows first.
        choices: (label, value) of each.
    """
    shown: dict[str, Any] = {
        "label": declared.label,
        "info": info,
        "elem_id": f"setting-{declared.name}",
    }
    if declared.kind in NUMBERS:
        return gr.Number(
            value,
            minimum=0 if declared.optional else declared.minimum,
            maximum=declared.maximum,
            step=NUMBERS[declared.kind],
            min_width=100,
            **shown,
        )
    if declared.kind == "flag":
        return gr.Checkbox(value, **shown)
    if declared.kind == "classes":
        return gr.CheckboxGroup(list(choices), value=value, **shown)
    if declared.kind == "choice":
        return gr.Radio(list(choices), value=value, **shown)
    return gr.Dropdown(list(choices), value=value, **shown)
