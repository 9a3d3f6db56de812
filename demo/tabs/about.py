"""About: the four recipes, how to train your own, limits, what is kept, licence."""

import gradio as gr

from demo.tabs.shared import Shared, create_html, create_table
from demo.templates import render
from demo.words import about as words
from demo.words.accuracy import EXPORTS


class AboutTab:
    """The tab. Nothing in it answers events."""

    def __init__(self, shared: Shared) -> None:
        records = shared.models.records
        gr.Markdown(words.describe_experiment(records))
        columns, rows = words.list_recipes(records)
        create_table(columns, rows, words.RECIPES, elem_id="recipes", pinned_columns=1)
        create_html(render("exports.html", exports=EXPORTS["recipes"], query=""))
        leaves, accounts = shared.jobs.backend.leaves, shared.accounts is not None
        keeping = words.describe_keeping(shared.jobs.limits, leaves, accounts)
        gr.Markdown(words.ABOUT + keeping + words.describe_licence(records))
