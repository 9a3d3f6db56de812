"""Compare: one picture, four models, side by side; and the same as an API."""

import random
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.blocks import Block
from gradio.data_classes import FileData
from gradio.events import api
from gradio.utils import get_upload_folder

from demo.faults import explain
from demo.gallery import Example, list_examples
from demo.jobs.refusal import Refused
from demo.jobs.store import create_token
from demo.links import PICTURE, read_link
from demo.models import LARGEST_BATCH, Classification, recorded_answers
from demo.server.addresses import name_sender_of
from demo.tabs.cards import draw_cards, draw_message, draw_said, draw_seen, list_notes
from demo.tabs.changes import Shown, Values
from demo.tabs.compare.mind import FIRST, Mind, read_kind
from demo.tabs.compare.reasons import Reasons
from demo.tabs.shared import (
    ON_CHOICE,
    QUIET,
    Shared,
    create_html,
    keep_link,
    read_choice,
    refuse,
)
from demo.tabs.subjects import Sitter, Sitting
from demo.templates import embed, render
from demo.uploads import encode_pixels, read_pixels, to_image
from demo.words import compare as words
from demo.words.common import COMPARE_TAB
from trainer.containers.limits import LIMITS
from trainer.errors import PictureError
from trainer.explain.perturbations import PERTURBATIONS
from trainer.metrics import find_disagreements
from trainer.picture import Crop
from trainer.recipe import CLASSES

TEST_IMAGE = "test-"
"""Before the row of a test image, as a link names it."""
OWN_ANSWER = "answer"
"""In place of a class: the one that each model answers."""
EXPLAINED_AT_ONCE = 2
"""Pictures; answers do not wait for more."""


class CompareTab:
    """The tab, and the public endpoint `/classify`."""

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._models, self._gallery, self._jobs = shared.models, shared.gallery, shared.jobs
        self._banks = shared.banks
        self._sitter = Sitter(shared.models, shared.jobs, self._banks)
        self._reasons, self._mind = Reasons(self._banks), Mind()
        answers = recorded_answers(self._models)
        self._disagreements = self._gallery.at_hand(find_disagreements(answers)).tolist()
        self._examples = list_examples()
        self._shared, self._owner, self._blocks = shared, shared.owner, shared.blocks
        self._draw()
        self._wire(tab)

    def _draw(self) -> None:
        first = self._gallery.split.images[0].numpy()
        if self._disagreements:
            first = self._gallery.image(self._disagreements[0])
        sitting = self._sitter.sit(self._models.look(first))
        self.link = gr.JSON({}, visible="hidden", elem_id="compare-link")
        self.shown = gr.Textbox(sitting.mark, visible="hidden", elem_id="shown-picture")
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                self.picture = gr.Image(
                    to_image(first),
                    format="png",
                    image_mode=None,
                    type="filepath",
                    label=words.PICTURE,
                    sources=["upload", "clipboard", "webcam"],
                    placeholder=words.PICTURE_HINT,
                    alt_text=words.PICTURE,
                    buttons=["fullscreen"],
                    height=300,
                    elem_id="picture",
                )
                gr.Markdown(LIMITS, elem_classes="q-note")
                self.disagree = gr.Button(
                    words.DISAGREE_BUTTON, interactive=bool(self._disagreements)
                )
            with gr.Column(scale=2, min_width=280):
                self.seen = create_html(draw_seen(first), elem_id="seen")
                self.crop = gr.Radio(words.CROP_CHOICES, value="centre", label=words.CROP)
        self._draw_result(sitting)
        self._draw_below(sitting)

    def _draw_result(self, sitting: Sitting) -> None:
        said, cards = self._draw_answers(sitting)
        with gr.Column(elem_id="result"):
            self.result = create_html(said)
            with gr.Row(equal_height=True):
                self.asked = gr.Dropdown(
                    [(words.OWN_ANSWER, OWN_ANSWER), *((name, name) for name in CLASSES)],
                    value=OWN_ANSWER,
                    label=words.HEAT_FOR,
                    min_width=240,
                    elem_id="asked",
                )
                self.reasons = create_html(
                    self._reasons.draw(sitting, None),
                    elem_id="reasons",
                    min_width=240,
                    min_height=80,
                )
            self.cards = create_html(cards, elem_id="cards")
        create_html(render("enlarged.html", words=words), elem_id="enlarged")

    def _draw_below(self, sitting: Sitting) -> None:
        with gr.Row(equal_height=True):
            self.label = gr.Dropdown(
                list(CLASSES), value=None, label=words.TEACH_CLASS, min_width=160
            )
            self.teach = gr.Button(words.TEACH_BUTTON, min_width=120)
            self.taught = gr.Markdown(elem_id="taught")
        self.examples = create_html(
            render(
                "examples.html",
                heading=words.EXAMPLES,
                note=words.EXAMPLES_NOTE,
                examples=[
                    (words.describe_example(one.label, one.large), embed(*one.thumbnail))
                    for one in self._examples
                ],
            ),
            js_on_load=ON_CHOICE,
            elem_id="examples",
        )
        gr.Markdown(f"## {words.MIND}\n{words.MIND_NOTE}")
        self.kind = gr.Radio(
            [(each.label, kind) for kind, each in PERTURBATIONS.items()],
            value=FIRST,
            label=words.MIND_KIND,
            elem_id="mind-kind",
        )
        self.mind = create_html(self._mind.draw(sitting, FIRST), elem_id="mind", min_height=300)

    def _wire(self, tab: gr.Tab) -> None:
        answered = [self.seen, self.result, self.cards, self.shown]
        gr.on(
            [self.picture.change, self.crop.change, tab.select],
            self.on_picture,
            [self.picture, self.crop, self._owner],
            answered,
            # gr.Image would open the file first, without limits of size or format.
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=LARGEST_BATCH,
            **QUIET,
        )
        # Explanations are asked for by the answers that have come, and come later.
        looked: set[Block] = {self.shown, self.picture, self.crop, self._owner}
        for chosen, handler, drawn in (
            (self.asked, self.on_explain, self.reasons),
            (self.kind, self.on_mind, self.mind),
        ):
            gr.on(
                [self.shown.change, chosen.change],
                handler,
                looked | {chosen},
                [drawn],
                preprocess=False,
                trigger_mode="always_last",
                concurrency_limit=EXPLAINED_AT_ONCE,
                **QUIET,
            )
        self.teach.click(
            self.on_teach,
            [self.picture, self.crop, self.label, self._owner],
            [self._owner, self.taught],
            preprocess=False,
            **QUIET,
        )
        shown = [self.picture, self.link]
        self.examples.click(self.on_example, None, shown, **QUIET)
        self.disagree.click(self.on_disagree, None, shown, **QUIET)
        self.picture.input(None, None, [self.link], js="() => ({})", **QUIET)
        self._blocks.load(self.on_load, None, shown, **QUIET).then(
            self.on_linked,
            [self.link, self.picture, self.crop, self._owner],
            answered,
            preprocess=False,
            **QUIET,
        )
        keep_link(COMPARE_TAB, self.link)
        api(self.classify, api_name="classify", concurrency_limit=LARGEST_BATCH)

    def on_picture(self, file: Any, crop: Crop, token: str | None, request: gr.Request) -> Shown:
        """What the models say of another picture, or of another part of it."""
        if file is None:
            return self._show_message(words.NO_PICTURE)
        try:
            pixels = _read(file, crop, request)
        except PictureError as error:
            return self._show_message(explain(error), error=True)
        visitor = self._shared.read_visitor({self._owner: token}, request)
        return self._show(self._sitter.sit(self._models.look(pixels), *visitor.secrets))

    def on_explain(self, values: Values, request: gr.Request) -> Shown:
        """Why the models say what is on screen: where they looked, for the class that is asked
        about or else for each model's answer."""
        sitting = self._find(values, request)
        if sitting is None:
            return {self.reasons: ""}
        asked = values[self.asked]
        label = CLASSES.index(asked) if asked in CLASSES else None
        return {self.reasons: self._reasons.draw(sitting, label)}

    def on_mind(self, values: Values, request: gr.Request) -> Shown:
        """What would change the models' mind about what is on screen."""
        sitting = self._find(values, request)
        kind = read_kind(values[self.kind])
        return {self.mind: "" if sitting is None else self._mind.draw(sitting, kind)}

    def on_teach(
        self,
        file: Any,
        crop: Crop,
        label: str | None,
        token: str | None,
        request: gr.Request,
    ) -> Shown:
        """Keeps the picture, as the class that the visitor says it shows, for their next job."""
        if file is None:
            return {self.taught: words.NOTHING_TO_TEACH}
        if label not in CLASSES:
            return {self.taught: words.NO_CLASS}
        token = token or create_token()
        try:
            picture = encode_pixels(_read(file, crop, request))
            added = self._jobs.pictures.add(token, label, picture, name_sender_of(request))
        except (PictureError, Refused) as error:
            return {self.taught: explain(error)}
        pictures = len(self._jobs.pictures.of_owner(token))
        return {self._owner: token, self.taught: words.describe_taught(label, pictures, added)}

    def on_disagree(self) -> Shown:
        """Another image on which not all models say the same."""
        row = random.choice(self._disagreements)
        return self._show_row(row)

    def on_load(self, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to a picture that everybody has."""
        name = read_link(dict(request.query_params)).get(PICTURE, "")
        for example in self._examples:
            if example.path.stem == name:
                return self._show_example(example)
        row = name.removeprefix(TEST_IMAGE)
        known = name != row and row.isdecimal() and len(row) < 6
        if known and self._gallery.find_image(int(row)) is not None:
            return self._show_row(int(row))
        return {self.link: gr.skip()}

    def on_linked(
        self, link: Any, file: Any, crop: Crop, token: str | None, request: gr.Request
    ) -> Shown:
        """The answers to a link's picture: it can come before the page tells of changes."""
        if not read_link(link):
            return {self.seen: gr.skip()}
        return self.on_picture(file, crop, token, request)

    def _show_row(self, row: int) -> Shown:
        """A test image that is at hand."""
        image = to_image(self._gallery.image(row))
        return {self.picture: image, self.link: {PICTURE: f"{TEST_IMAGE}{row}"}}

    def _show_example(self, example: Example) -> Shown:
        return {self.picture: str(example.path), self.link: {PICTURE: example.path.stem}}

    def on_example(self, event: gr.EventData) -> Shown:
        """The example that was clicked."""
        try:
            example = self._examples[int(read_choice(event))]
        except (IndexError, ValueError) as error:
            raise refuse(words.NO_SUCH_EXAMPLE) from error
        return self._show_example(example)

    def classify(
        self, image: FileData, crop: Crop = "centre", request: gr.Request | None = None
    ) -> Classification:
        """Classifies a picture with the four models: for each, all ten probabilities.

        Args:
            image: an uploaded JPEG, PNG, WebP, GIF or BMP file.
            crop: `centre` takes the largest centred square, `fit` the whole picture on white.
        """
        try:
            return self._models.classify(_read(image, crop, request))
        except PictureError as error:
            raise refuse(explain(error)) from error

    def _draw_answers(self, sitting: Sitting) -> tuple[str, str]:
        """The sentence, and the cards: the four models, then that of the visitor's newest job."""
        look = sitting.look
        truth = self._gallery.find_truth(look.pixels)
        notes = list_notes(look.said, truth, self._models.decider, look.pixels.shape[-1])
        cards = draw_cards(sitting, truth, self._banks.prepared)
        return draw_said(look.said, notes), cards

    def _show(self, sitting: Sitting) -> Shown:
        """The answers; the mark has them explained."""
        said, cards = self._draw_answers(sitting)
        return {
            self.seen: draw_seen(sitting.look.pixels),
            self.result: said,
            self.cards: cards,
            self.shown: sitting.mark,
        }

    def _show_message(self, message: str, error: bool = False) -> Shown:
        """A sentence in place of the answers."""
        return {
            self.seen: draw_seen(None),
            self.result: draw_message(message, error),
            self.cards: "",
            self.shown: "",
        }

    def _find(self, values: Values, request: gr.Request) -> Sitting | None:
        """What is on screen; None where that is no picture."""
        mark, file = values[self.shown], values[self.picture]
        if not mark or not isinstance(mark, str):
            return None
        look = self._models.recall(mark.partition(".")[0])
        if look is None:
            try:
                look = self._models.look(_read(file, values[self.crop], request))
            except PictureError:
                return None
        return self._sitter.sit(look, *self._shared.read_visitor(values, request).secrets)


def _read(file: Any, crop: Crop, request: gr.Request | None) -> np.ndarray:
    """What the models see of a file that this visitor uploaded, `(3, S, S)` uint8."""
    return read_pixels(file, Path(get_upload_folder()), crop, name_sender_of(request))
