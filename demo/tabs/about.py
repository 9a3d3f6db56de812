"""About: the four recipes, how to train your own, limits, what is kept, licence."""

import gradio as gr

from demo.tabs.shared import Shared, create_table
from demo.words import about as words


class AboutTab:
    """The tab. Nothing in it answers events."""

    def __init__(self, shared: Shared) -> None:
        records = shared.models.records
        gr.Markdown(words.describe_experiment(records))
        create_table(*words.list_recipes(records), words.RECIPES, elem_id="recipes")
        gr.Markdown(words.ABOUT + words.describe_keeping(shared.jobs.limits) + words.LICENCE)
