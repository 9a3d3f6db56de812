"""Compare: one picture, four models, side by side; and the same as an API."""

import random
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from gradio.events import api
from gradio.utils import get_upload_folder
from PIL import Image
from trainer.settings import MAX_OWN_PICTURES

from demo import text, views
from demo.backend import NAME
from demo.gallery import Gallery, list_examples
from demo.jobs import Jobs
from demo.models import (
    LARGEST_BATCH,
    Classification,
    ModelAnswer,
    Models,
    load_own_model,
    recorded_answers,
)
from demo.overlap import find_disagreements
from demo.uploads import encode_pixels, read_picture, to_image
from trainer.checkpoint import CheckpointError
from trainer.picture import Crop, PictureError, to_pixels
from trainer.recipe import CLASSES


def create_compare_tab(
    tab: gr.Tab,
    models: Models,
    gallery: Gallery,
    jobs: Jobs,
    owner: gr.BrowserState,
    own_pictures: gr.State,
) -> None:
    """Draws the tab and its public endpoint `/classify`.

    Args:
        owner: the visitor's token; the model of their newest job is a fifth card.
        own_pictures: list of (class, PNG file) that a job can be taught.
    """
    disagreements = gallery.at_hand(find_disagreements(recorded_answers(models))).tolist()
    first = gallery.image(disagreements[0]) if disagreements else gallery.split.images[0].numpy()
    first_seen, first_result = _classify(models, gallery, first)

    with gr.Row():
        with gr.Column(scale=3, min_width=280):
            picture = gr.Image(
                to_image(first),
                format="png",
                image_mode=None,
                type="filepath",
                label=text.PICTURE,
                sources=["upload", "clipboard", "webcam"],
                placeholder=text.PICTURE_HINT,
                alt_text=text.PICTURE,
                buttons=["fullscreen"],
                height=300,
                elem_id="picture",
            )
            gr.Markdown(text.LIMITS, elem_classes="q-note")
            disagree = gr.Button(text.DISAGREE_BUTTON, interactive=bool(disagreements))
        with gr.Column(scale=2, min_width=280):
            seen = gr.HTML(first_seen, elem_id="seen", apply_default_css=False)
            crop = gr.Radio(text.CROP_CHOICES, value="centre", label=text.CROP)
    result = gr.HTML(first_result, elem_id="result", apply_default_css=False)
    with gr.Row(equal_height=True):
        label = gr.Dropdown(list(CLASSES), label=text.TEACH_CLASS, min_width=160)
        teach = gr.Button(text.TEACH_BUTTON, min_width=120)
        taught = gr.Markdown(elem_id="taught")
    examples = list_examples()
    gallery_html = gr.HTML(
        views.draw_examples(examples),
        js_on_load=views.ON_CHOICE,
        elem_id="examples",
        apply_default_css=False,
    )

    def on_picture(file: dict[str, Any] | None, crop: Crop, token: str | None) -> tuple[str, str]:
        if file is None:
            return views.draw_seen(None), views.draw_message(text.NO_PICTURE)
        try:
            pixels = _read(file, crop)
        except PictureError as error:
            return views.draw_seen(None), views.draw_message(str(error), error=True)
        return _classify(models, gallery, pixels, ask_own(token, pixels))

    def ask_own(token: str | None, pixels: np.ndarray) -> ModelAnswer | None:
        job = jobs.newest_done(token) if token else None
        if job is None:
            return None
        try:
            return load_own_model(jobs.folder(job), NAME).classify(pixels)
        except CheckpointError:
            return None  # swept in this moment

    def on_teach(
        file: dict[str, Any] | None, crop: Crop, label: str, pictures: list[tuple[str, bytes]]
    ) -> tuple[list[tuple[str, bytes]], str]:
        if file is None or label not in CLASSES:
            return pictures, text.NOTHING_TO_TEACH
        if len(pictures) >= MAX_OWN_PICTURES:
            return pictures, text.TOO_MANY_OWN
        try:
            pictures = [*pictures, (label, encode_pixels(_read(file, crop)))]
        except PictureError as error:
            return pictures, str(error)
        return pictures, text.describe_taught(label, len(pictures))

    def on_disagree() -> Image.Image:
        return to_image(gallery.image(random.choice(disagreements)))

    def on_example(event: gr.EventData) -> str:
        try:
            return str(examples[int(event.choice)].path)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise gr.Error(text.NO_SUCH_EXAMPLE, print_exception=False) from error

    gr.on(
        [picture.change, crop.change, tab.select],
        on_picture,
        [picture, crop, owner],
        [seen, result],
        preprocess=False,  # gr.Image would open the file first, without limits of size or format
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=LARGEST_BATCH,
        api_visibility="private",
    )
    teach.click(
        on_teach,
        [picture, crop, label, own_pictures],
        [own_pictures, taught],
        preprocess=False,
        show_progress="hidden",
        api_visibility="private",
    )
    gallery_html.click(on_example, None, picture, show_progress="hidden", api_visibility="private")
    disagree.click(on_disagree, None, picture, show_progress="hidden", api_visibility="private")

    def classify(image: FileData, crop: Crop = "centre") -> Classification:
        """Classifies a picture with the four models: for each, all ten probabilities.

        Args:
            image: an uploaded JPEG, PNG, WebP, GIF or BMP file.
            crop: `centre` takes the largest centred square, `fit` the whole picture on white.
        """
        try:
            return models.classify(_read(image, crop))
        except PictureError as error:
            raise gr.Error(str(error), print_exception=False) from error

    api(classify, api_name="classify", concurrency_limit=LARGEST_BATCH)


def _classify(
    models: Models, gallery: Gallery, pixels: np.ndarray, own: ModelAnswer | None = None
) -> tuple[str, str]:
    truth = gallery.find_truth(pixels)
    return views.draw_seen(pixels), views.draw_result(models.classify(pixels), truth, own)


def _read(file: Any, crop: Crop) -> np.ndarray:
    """The pixels of a file as Gradio's API sends it.

    Raises:
        PictureError: it is not a picture we take, or `crop` is unknown.
    """
    if crop not in get_args(Crop):
        raise PictureError(text.BAD_CROP)
    return to_pixels(read_picture(file, Path(get_upload_folder())), crop)
