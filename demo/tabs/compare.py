"""Compare: one picture, four models, side by side; and the same as an API."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from gradio.events import api
from gradio.utils import get_upload_folder

from demo.faults import explain
from demo.gallery import Example, list_examples
from demo.jobs.backend import NAME
from demo.jobs.refusal import Refused
from demo.jobs.store import create_token
from demo.links import PICTURE, read_link
from demo.models import LARGEST_BATCH, Classification, ModelAnswer, load_own_model, recorded_answers
from demo.server.addresses import name_sender_of
from demo.tabs.changes import Shown
from demo.tabs.shared import (
    ON_CHOICE,
    QUIET,
    Shared,
    create_html,
    keep_link,
    read_choice,
    refuse,
)
from demo.templates import embed, render
from demo.uploads import encode_pixels, read_pixels, to_image
from demo.words import compare as words
from demo.words.common import COMPARE_TAB, LABELS, RIGHT, WRONG, start_label
from trainer.containers.limits import LIMITS
from trainer.errors import CheckpointError, PictureError
from trainer.metrics import find_disagreements
from trainer.palette import COLOURS
from trainer.picture import SQUARE_PX, Crop
from trainer.recipe import CLASSES
from trainer.record import FamiliarityFacts
from trainer.wording import describe_foreign, percent

OWN_COLOUR = "#009e73"
"""Okabe and Ito's green, which none of the four has."""
TEST_IMAGE = "test-"
"""Before the row of a test image, as a link names it."""
TOP_CLASSES = 3
"""Classes a card shows before it is opened."""
SIGNS = {RIGHT: "\u2713", WRONG: "\u2717"}


class CompareTab:
    """The tab, and the public endpoint `/classify`."""

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._models, self._gallery, self._jobs = shared.models, shared.gallery, shared.jobs
        answers = recorded_answers(self._models)
        self._disagreements = self._gallery.at_hand(find_disagreements(answers)).tolist()
        self._examples = list_examples()
        self._owner, self._blocks = shared.owner, shared.blocks
        self._draw()
        self._wire(tab)

    def _draw(self) -> None:
        first = self._gallery.split.images[0].numpy()
        if self._disagreements:
            first = self._gallery.image(self._disagreements[0])
        self.link = gr.JSON({}, visible="hidden", elem_id="compare-link")
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
        self.result = create_html(self._draw_answers(first), elem_id="result")
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

    def _wire(self, tab: gr.Tab) -> None:
        gr.on(
            [self.picture.change, self.crop.change, tab.select],
            self.on_picture,
            [self.picture, self.crop, self._owner],
            [self.seen, self.result],
            # gr.Image would open the file first, without limits of size or format.
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=LARGEST_BATCH,
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
            [self.seen, self.result],
            preprocess=False,
            **QUIET,
        )
        keep_link(COMPARE_TAB, self.link)
        api(self.classify, api_name="classify", concurrency_limit=LARGEST_BATCH)

    def on_picture(self, file: Any, crop: Crop, token: str | None, request: gr.Request) -> Shown:
        """What the models say of another picture, or of another part of it."""
        if file is None:
            return {self.seen: draw_seen(None), self.result: draw_message(words.NO_PICTURE)}
        try:
            pixels = _read(file, crop, request)
        except PictureError as error:
            return {self.seen: draw_seen(None), self.result: draw_message(explain(error), True)}
        return {self.seen: draw_seen(pixels), self.result: self._draw_answers(pixels, token)}

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

    def _draw_answers(self, pixels: np.ndarray, token: str | None = None) -> str:
        """The sentence and the cards: the four models, then that of the visitor's newest job."""
        result = self._models.classify(pixels)
        truth = self._gallery.find_truth(pixels)
        cards = [
            describe_card(LABELS[name], COLOURS[name], answer, truth)
            for name, answer in result["models"].items()
        ]
        if token:
            cards += self._ask_own(token, pixels, truth)
        return render(
            "result.html",
            sentence=result["agreement"],
            note=" ".join(list_notes(result, truth, self._models.decider, pixels.shape[-1])),
            cards=cards,
            all_classes=words.ALL_TEN,
        )

    def _ask_own(
        self, token: str, pixels: np.ndarray, truth: int | None
    ) -> list[Mapping[str, Any]]:
        """The card of the visitor's newest job that has a model, or nothing."""
        job = self._jobs.newest_with_model(token)
        if job is None:
            return []
        try:
            answer = load_own_model(self._jobs.folder(job), NAME).classify(pixels)
        except CheckpointError:
            return []  # swept in this moment
        start = job.settings and start_label(job.settings.start)
        note = words.describe_own_start(start) if start else ""
        return [describe_card(words.OWN_MODEL, OWN_COLOUR, answer, truth, note)]


def draw_seen(pixels: np.ndarray | None) -> str:
    """The picture `(3, S, S)` as the models see it, or an empty frame."""
    side = SQUARE_PX if pixels is None else pixels.shape[-1]
    return render(
        "seen.html",
        caption=words.SEEN,
        source="" if pixels is None else embed(encode_pixels(pixels)),
        alt=words.describe_seen(side),
        note=f"{side} x {side} pixels",
    )


def draw_message(message: str, error: bool = False) -> str:
    """A sentence where the result would be."""
    return render("message.html", message=message, role="alert" if error else "status")


def list_notes(
    result: Classification, truth: int | None, decider: FamiliarityFacts | None, side_px: int
) -> list[str]:
    """What else is to say of a picture: its class where it is known, and whether it looks like
    none of the ten to the `decider`, which saw a square of that side."""
    notes = [] if truth is None else [words.describe_truth(truth)]
    if decider is not None and result["familiar"] is False:
        notes.append(describe_foreign(decider, side_px, known=truth is not None))
    return notes


def describe_card(
    title: str, colour: str, answer: ModelAnswer, truth: int | None, note: str = ""
) -> Mapping[str, Any]:
    """What a card shows, as `result.html` takes it."""
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    bars = [(label, share, percent(share)) for label, share in ranked]
    mark = "" if truth is None else (RIGHT if answer["answer"] == CLASSES[truth] else WRONG)
    return {
        "title": title,
        "note": note,
        "colour": colour,
        "answer": answer["answer"],
        "mark": mark,
        "sign": SIGNS.get(mark, ""),
        "top": bars[:TOP_CLASSES],
        "rest": bars[TOP_CLASSES:],
        "time": words.describe_seconds(answer["seconds"]),
    }


def _read(file: Any, crop: Crop, request: gr.Request | None) -> np.ndarray:
    """What the models see of a file that this visitor uploaded, `(3, S, S)` uint8."""
    return read_pixels(file, Path(get_upload_folder()), crop, name_sender_of(request))
