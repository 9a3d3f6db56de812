"""About: the four recipes, how to train your own, limits, what is kept, licence."""

import gradio as gr

from demo.tabs.shared import Shared, create_table
from demo.words import about as words


class AboutTab:
    """The tab. Nothing in it answers events."""

    def __init__(self, shared: Shared) -> None:
        records = shared.models.records
        gr.Markdown(words.describe_experiment(records))
        columns, rows = words.list_recipes(records)
        create_table(columns, rows, words.RECIPES, elem_id="recipes", pinned_columns=1)
        keeping = words.describe_keeping(shared.jobs.limits, shared.jobs.backend.leaves)
        gr.Markdown(words.ABOUT + keeping + words.describe_licence(records))
