"""The visitor's own pictures that a job is to learn: added, seen, taken out again."""

import contextlib
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo.faults import explain
from demo.jobs.store import create_token
from demo.server.addresses import name_sender_of
from demo.tabs.changes import Shown, Values, read_token
from demo.tabs.shared import ON_CHOICE, QUIET, Shared, create_html, read_choice
from demo.templates import embed, render
from demo.uploads import encode_pixels, read_pixels
from demo.words import finetune as words
from trainer.errors import QuartetError
from trainer.recipe import CLASSES, MAX_OWN_PICTURES
from trainer.wording import article


class TaughtPicturesPanel:
    """Draws the panel. The pictures lie on disk; the page holds the ids of those it shows, and a
    job is started with those and no others."""

    def __init__(self, shared: Shared) -> None:
        self._pictures, self._owner = shared.jobs.pictures, shared.owner
        with gr.Accordion(words.OWN_PICTURES, open=False) as self.accordion:
            self.files = gr.File(
                file_count="multiple", file_types=["image"], label=words.OWN_FILES, height=140
            )
            self.label = gr.Dropdown(
                [(name, name) for name in CLASSES], value=None, label=words.OWN_CLASS
            )
            with gr.Row():
                self.add = gr.Button(words.OWN_ADD)
                self.clear = gr.Button(words.OWN_CLEAR)
            self.drawn = create_html(
                draw_pictures([]), js_on_load=ON_CHOICE, elem_id="own-pictures"
            )
        self.ids = gr.JSON([], visible="hidden", elem_id="own-picture-ids")

    def wire(self) -> None:
        """Connects the panel's own events."""
        raw: dict[str, Any] = {"preprocess": False, **QUIET}
        changed = [self._owner, self.files, self.drawn, self.ids]
        self.add.click(self.on_add, {self._owner, self.files, self.label}, changed, **raw)
        self.clear.click(self.on_clear, {self._owner}, changed, **raw)
        self.drawn.click(self.on_remove, {self._owner}, changed, **raw)

    def on_add(self, values: Values, request: gr.Request) -> Shown:
        """Keeps the chosen pictures with the chosen class; asks for what is not chosen."""
        token = read_token(values, self._owner) or create_token()
        files, label = values[self.files] or [], values[self.label]
        if not isinstance(files, list) or len(files) > MAX_OWN_PICTURES:
            error = QuartetError("own_too_many", most=MAX_OWN_PICTURES)
            return {self._owner: token, **self.show(token, explain(error), refused=True)}
        if not files:
            return {self._owner: token, **self.show(token, words.NO_FILES, refused=True)}
        if label not in CLASSES:
            return {self._owner: token, **self.show(token, words.NO_CLASS, refused=True)}
        added, known = 0, 0
        folder, client = Path(get_upload_folder()), name_sender_of(request)
        try:
            for file in files:
                picture = encode_pixels(read_pixels(file, folder, client=client))
                if self._pictures.add(token, label, picture, client):
                    added += 1
                else:
                    known += 1
        except QuartetError as error:
            return {self._owner: token, **self.show(token, explain(error), refused=True)}
        said = words.describe_added(added, known, label)
        return {self._owner: token, self.files: None, **self.show(token, said)}

    def on_remove(self, values: Values, event: gr.EventData) -> Shown:
        """Takes out the picture whose button was pressed."""
        token = read_token(values, self._owner)
        self._pictures.remove(token, read_choice(event))
        return self.show(token)

    def on_clear(self, values: Values) -> Shown:
        """Takes out all."""
        token = read_token(values, self._owner)
        self._pictures.clear(token)
        return self.show(token)

    def show(self, token: str, said: str = "", refused: bool = False) -> Shown:
        """The pictures that are there now.

        Args:
            said: what became of the last wish.
            refused: it was not granted.
        """
        drawn = []
        for picture in self._pictures.of_owner(token):
            with contextlib.suppress(OSError):  # taken out or swept in this moment
                source = embed(picture.path.read_bytes())
                drawn.append((picture.id, source, picture.label))
        return {
            self.drawn: draw_pictures(drawn, said, refused),
            self.ids: [picture_id for picture_id, _, _ in drawn],
        }


def draw_pictures(
    pictures: list[tuple[str, str, str]], said: str = "", refused: bool = False
) -> str:
    """The pictures, a button beside each.

    Args:
        pictures: id, source and class of each.
        said: a sentence that comes first.
        refused: the sentence is a refusal.
    """
    return render(
        "own_pictures.html",
        words=words,
        article=article,
        pictures=pictures,
        said=said,
        refused=refused,
        count=words.describe_own_pictures(len(pictures)),
    )
