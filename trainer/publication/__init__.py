"""What of this repository goes to the Hugging Face Hub.

`models` writes the folder of the four models, `space` that of the app, `card` the front-matter of
a model's card; `trainer.hub` pushes them.
"""
