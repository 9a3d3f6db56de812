"""One colour a recipe, in every figure and on every screen."""

COLOURS = {
    "sgd_full": "#0072b2",
    "adam_full": "#d55e00",
    "sgd_frozen": "#56b4e9",
    "adam_frozen": "#e69f00",
}
"""Okabe and Ito's palette, safe for colour-blind readers: optimizer by hue, frozen paler."""
