"""A job's figures while it trains: its losses, its accuracy, and what it takes for what."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np

from demo import plots
from demo.jobs.progress import Progress
from demo.templates import render
from demo.words import finetune as words
from demo.words.common import EPOCH
from trainer.metrics import confusion_shares

SPLIT_COLOURS = {words.TRAINING: "#0072b2", words.VALIDATION: "#d55e00"}
"""Okabe and Ito's blue and vermilion, as everywhere."""


def create_plot(
    title: str,
    x: str,
    of: str,
    colours: Mapping[str, str],
    name: str | None = None,
    height: int = 220,
) -> gr.LinePlot:
    """Empty curves; a key stands beside them, not inside.

    Args:
        of: heading of the column that tells curves apart.
        colours: each curve's.
    """
    return gr.LinePlot(
        x=x,
        y=plots.VALUE,
        color=of,
        color_map=dict(colours),
        colors_in_legend=[],
        title=title,
        y_title=title,
        tooltip="all",
        height=height,
        min_width=240,
        show_label=False,
        elem_id=name,
    )


def create_loss_plot() -> gr.LinePlot:
    return create_plot(words.LOSS, words.STEP, words.IMAGES_OF, SPLIT_COLOURS, "job-loss")


def create_accuracy_plot() -> gr.LinePlot:
    return create_plot(
        words.VALIDATION_ACCURACY, EPOCH, words.IMAGES_OF, SPLIT_COLOURS, "job-accuracy"
    )


def draw_key() -> str:
    """Which colour is which images."""
    return render("key.html", models=list(SPLIT_COLOURS.items()))


def frame_losses(progress: Progress) -> Any:
    """The losses' curves against steps: the mean of the epoch so far on the training images, and on
    the validation images at the start and after each epoch."""
    validation = [(one.step, round(one.validation_loss, 3)) for one in progress.measured]
    training = [(step, round(loss, 3)) for step, loss in progress.train_loss]
    lines = {words.TRAINING: training, words.VALIDATION: validation}
    return plots.frame_lines(lines, words.STEP, words.IMAGES_OF)


def frame_accuracy(progress: Progress) -> Any:
    """The validation accuracy's curve, in percent; epoch 0 is the start."""
    points = [(one.epoch, round(100 * one.validation_accuracy, 1)) for one in progress.measured]
    return plots.frame_lines({words.VALIDATION: points}, EPOCH, words.IMAGES_OF)


def draw_confusions(progress: Progress) -> str:
    """A small confusion matrix that runs through the epochs, a second each."""
    import torch

    if not progress.confusions:
        return ""
    shares = [confusion_shares(torch.tensor(one)).numpy() for one in progress.confusions]
    shades = [plots.shade(share) for share in shares]
    cells = [
        (
            predicted,
            true,
            str(shades[0][0][true, predicted]),
            [f"{strength[true, predicted]:.2f}" for _, strength in shades],
        )
        for true, predicted in np.ndindex(10, 10)
    ]
    caption = words.describe_confusions(progress.epochs, len(shades))
    return render("job_confusions.html", cells=cells, caption=caption)
