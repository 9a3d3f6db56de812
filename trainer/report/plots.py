"""The report's figures, as SVG bytes that are equal whenever the data are."""

from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.calibration import Confidence, Reliability
from trainer.declared import tell_choice
from trainer.events import ResourceSample
from trainer.metrics import confusion_shares
from trainer.palette import COLOURS
from trainer.plotting import STYLE, Form, save_figure
from trainer.recipe import CLASSES, PRESETS
from trainer.record import Records
from trainer.seeds import Runs, find_levels
from trainer.wording import AS_SHOWN, AS_TRAINED, percent

SAID, WAS_RIGHT = "confidence, %", "right, %"
_HUNDRED = range(0, 101, 20)


def plot_curves(
    records: Records, key: str, label: str, in_percent: bool = False, form: Form = "svg"
) -> bytes:
    """One curve a recipe of an `Epoch`'s figure `key` against epochs."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for name, record in records.items():
            epochs = [epoch.epoch for epoch in record.history]
            values = [getattr(epoch, key) * (100 if in_percent else 1) for epoch in record.history]
            axes.plot(
                epochs, values, color=COLOURS[name], label=name, marker="o", markersize=2.5,
                linestyle="--" if record.recipe.frozen else "-",
            )  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        return save_figure(figure, form)


def plot_confusions(records: Records, form: Form = "svg") -> bytes:
    """The confusion matrices side by side, in percent of the true class."""
    with matplotlib.rc_context(STYLE):
        columns = min(2, len(records))
        rows = -(-len(records) // columns)
        figure = Figure(figsize=(4.6 * columns, 4.4 * rows), layout="constrained")
        for index, (name, record) in enumerate(records.items()):
            axes = figure.add_subplot(rows, columns, index + 1)
            share = 100 * confusion_shares(torch.tensor(record.test.confusion)).numpy()
            axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
            for true, predicted in np.ndindex(share.shape):
                value = share[true, predicted]
                axes.text(
                    predicted, true, f"{value:.0f}", ha="center", va="center", fontsize=7,
                    color="white" if value > 55 else "black",
                )  # fmt: skip
            axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
            axes.set_yticks(range(len(CLASSES)), CLASSES)
            axes.set_title(f"{name}: {percent(record.test.accuracy, 2)}")
            axes.set_xlabel("predicted")
            axes.set_ylabel("true")
        return save_figure(figure, form)


def plot_reliability(measured: dict[str, Confidence]) -> bytes:
    """The reliability diagrams of all runs, side by side."""
    with matplotlib.rc_context(STYLE):
        columns = min(2, len(measured))
        rows = -(-len(measured) // columns)
        figure = Figure(figsize=(3.6 * columns, 3.6 * rows + 0.3), layout="constrained")
        for index, (name, confidence) in enumerate(measured.items()):
            axes = figure.add_subplot(rows, columns, index + 1)
            draw_reliability(axes, confidence, COLOURS[name], "black")
            axes.set_title(name)
            axes.grid(alpha=0.3)
        figure.legend(
            handles=axes.get_lines()[1:], loc="outside upper center", ncols=2, frameon=False
        )
        return save_figure(figure)


def draw_reliability(axes: Axes, confidence: Confidence, colour: str, ink: str) -> None:
    """One model's share of right answers against its confidence, as trained (faint, dashed, hollow)
    and as shown (solid); a dotted line where the two are equal.

    Args:
        ink: the colour of what is no model's.
    """
    axes.plot((0, 100), (0, 100), color=ink, linestyle=":", linewidth=1, alpha=0.6)
    faint: Any = {"color": ink, "alpha": 0.55, "linestyle": "--", "markerfacecolor": "none"}
    strong: Any = {"color": colour, "linewidth": 2, "markeredgecolor": ink, "markeredgewidth": 0.6}
    curves: list[tuple[Reliability, str, Any]] = [(confidence.trained, AS_TRAINED, faint)]
    if confidence.fitted:
        curves.append((confidence.shown, AS_SHOWN, strong))
    for reliability, label, look in curves:
        said, right = 100 * np.array(reliability.groups).reshape(-1, 2).T
        axes.plot(said, right, marker="o", markersize=4.5, label=label, **look)
    axes.set(xlim=(0, 102), ylim=(0, 102), aspect="equal", xlabel=SAID, ylabel=WAS_RIGHT)
    axes.set_xticks(_HUNDRED)
    axes.set_yticks(_HUNDRED)


def plot_predictions(
    images: np.ndarray, labels: list[int], predicted: dict[str, list[int]]
) -> bytes:
    """Test images with each model's answer below: blue when right, vermilion when wrong.

    Args:
        images: `(N, 3, 32, 32)` uint8.
        labels: the N true classes.
        predicted: recipe name to the N predicted classes.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 1.4 + 0.2 * len(predicted)), layout="constrained")
        for index, image in enumerate(images):
            axes = figure.add_subplot(1, len(images), index + 1)
            axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(CLASSES[labels[index]], fontsize=8, fontweight="bold")
            for line, answers in enumerate(predicted.values()):
                right = answers[index] == labels[index]
                axes.text(
                    0.5, -0.12 - 0.22 * line, CLASSES[answers[index]], ha="center", va="top",
                    fontsize=7.5, transform=axes.transAxes,
                    color="#0072b2" if right else "#d55e00",
                )  # fmt: skip
            if index == 0:
                for line, name in enumerate(predicted):
                    axes.text(
                        -0.25, -0.12 - 0.22 * line, name, ha="right", va="top",
                        fontsize=7.5, transform=axes.transAxes,
                    )  # fmt: skip
        return save_figure(figure)


def plot_resources(samples: dict[str, list[ResourceSample]]) -> bytes:
    """CPU, memory and, where there was one, GPU of each run against its time."""
    rows: list[tuple[str, Any]] = [
        ("CPU, % of one core", lambda sample: sample.cpu_percent),
        ("memory, GB", lambda sample: sample.memory_bytes / 1e9),
    ]
    if any(sample.gpu_percent is not None for run in samples.values() for sample in run):
        rows.append(("GPU, %", lambda sample: sample.gpu_percent))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.9 * len(rows)), layout="constrained")
        for index, (label, read) in enumerate(rows):
            axes = figure.add_subplot(len(rows), 1, index + 1)
            for name, run in samples.items():
                minutes = [(sample.time_s - run[0].time_s) / 60 for sample in run]
                axes.plot(
                    minutes, [read(sample) for sample in run], color=COLOURS[name],
                    label=name if index == 0 else None, marker=".", markersize=3, linewidth=1,
                )  # fmt: skip
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
        axes.set_xlabel("minutes since the run's first sample")
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        return save_figure(figure)


def plot_seeds(runs: Runs, records: Records) -> bytes:
    """Every seed's test accuracy: a strip a recipe, one scale a group of `Runs.grouped`. The run
    whose checkpoint is in `records` is ringed; a line marks each mean."""
    groups = runs.grouped()
    shipped = {record.weights_sha256 for record in records.values()}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.5 + 0.95 * len(groups)), layout="constrained")
        strips = figure.subplots(len(groups), squeeze=False).flatten()
        for axes, group in zip(strips, groups, strict=True):
            every = [100 * value for spread in group for value in spread.accuracies]
            point = 0.02 * (max(every) - min(every))
            for row, spread in enumerate(group):
                values = [100 * value for value in spread.accuracies]
                heights = [row + 0.25 * level for level in find_levels(values, point)]
                axes.plot(values, heights, "o", markersize=5, color=COLOURS[spread.recipe])
                if len(values) > 1:
                    axes.plot([100 * spread.mean] * 2, [row - 0.4, row + 0.4], color="black")
                for run, value, height in zip(spread.runs, values, heights, strict=True):
                    if run.weights_sha256 in shipped:
                        axes.plot(value, height, "o", markersize=9, fillstyle="none", color="black")
            axes.set_yticks(range(len(group)), [spread.recipe for spread in group])
            axes.set_ylim(len(group) - 0.4, -0.6)
            first = PRESETS[group[0].preset][group[0].recipe]
            axes.set_title(
                f"preset {first.preset}: {tell_choice(first, 'trained')}", loc="left", fontsize=9
            )
            axes.grid(axis="x", alpha=0.3)
            axes.margins(x=0.08)
        strips[-1].set_xlabel("test accuracy, %")
        return save_figure(figure)
