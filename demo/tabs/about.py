"""About: the four recipes, how to train your own, limits, licence."""

import gradio as gr

from demo import text
from demo.models import Models


def create_about_tab(models: Models) -> None:
    """Draws the tab."""
    gr.Markdown(text.describe_experiment(models.records))
