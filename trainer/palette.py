"""One colour a recipe, a class and a stage, in every figure and on every screen."""

COLOURS = {
    "sgd_full": "#0072b2",
    "adam_full": "#d55e00",
    "sgd_frozen": "#56b4e9",
    "adam_frozen": "#e69f00",
}
"""Okabe and Ito's palette, safe for colour-blind readers: optimizer by hue, frozen paler."""
OWN_COLOUR = "#009e73"
"""Of a model that is none of the four: their green."""
CLASS_COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
"""Of the ten classes in label order: Tableau's ten, as told apart as ten can be."""
STAGE_COLOURS = {
    "stem": "#767676",
    "layer1": "#56b4e9",
    "layer2": "#0072b2",
    "layer3": "#009e73",
    "layer4": "#d55e00",
    "fc": "#cc79a7",
}
"""From the input to the answer, of Okabe and Ito's."""


def colour_of(name: str) -> str:
    """A model's colour."""
    return COLOURS.get(name, OWN_COLOUR)
