"""The explanations as figures for a file: SVG bytes, equal whenever the numbers are."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from trainer.explain.analysed import Analysis
from trainer.explain.explanation import Explanation
from trainer.explain.painting import paint_heat
from trainer.explain.paths import list_places
from trainer.explain.perturbations import Curve, Kind
from trainer.palette import CLASS_COLOURS, COLOURS, STAGE_COLOURS, colour_of
from trainer.plotting import STYLE, save_figure
from trainer.recipe import CLASSES, PLAIN_BACKBONE
from trainer.record import Records

_HEAT_PX = 192


def draw_reasons(
    picture: np.ndarray, explanations: Mapping[str, Explanation], training: np.ndarray
) -> bytes:
    """A row a model: the picture under its heat, all on one scale, and what it is most like.

    Args:
        picture: `(3, S, S)` uint8, the square the models were handed.
        training: `(M, 3, 32, 32)` uint8, the bank's images.
    """
    hottest = max(float(each.heat.max()) for each in explanations.values()) or 1.0
    with matplotlib.rc_context(STYLE):
        count = max(len(_list_neighbours(each)) for each in explanations.values())
        figure = Figure(figsize=(1.2 * (count + 2), 1.7 * len(explanations)), layout="constrained")
        rows = figure.subfigures(len(explanations), 1, squeeze=False)[:, 0]
        for part, (name, explanation) in zip(rows, explanations.items(), strict=True):
            part.suptitle(f"{name}: {explanation.sentence}", fontsize=7, wrap=True)
            cells = part.subplots(1, count + 1)
            painted = paint_heat(picture, explanation.heat, hottest, _HEAT_PX)
            cells[0].imshow(painted.transpose(1, 2, 0))
            for axes, (row, label) in zip(cells[1:], _list_neighbours(explanation), strict=True):
                axes.imshow(training[row].transpose(1, 2, 0), interpolation="nearest")
                axes.set_title(CLASSES[label], fontsize=7)
            for axes in cells:
                axes.set_axis_off()
        return save_figure(figure)


def draw_curves(curves: Mapping[Kind, Curve]) -> bytes:
    """A panel a perturbation: each model's confidence in its answer along the slider; a cross where
    it answers otherwise for the first time."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        for index, curve in enumerate(curves.values()):
            axes = figure.add_subplot(2, -(-len(curves) // 2), index + 1)
            amounts = list(curve.perturbation.amounts)
            for name, confidence in curve.confidence.items():
                shares = (100 * confidence).tolist()
                label = name if index == 0 else None
                axes.plot(amounts, shares, color=colour_of(name), label=label)
                broken = curve.breaks[name]
                if broken is not None:
                    height = shares[amounts.index(broken)]
                    axes.plot([broken], [height], "x", color=colour_of(name))
            axes.set_xlabel(f"{curve.perturbation.label.lower()}, {curve.perturbation.unit}")
            axes.set_ylabel("confidence, %")
            axes.set_ylim(0, 105)
            axes.grid(alpha=0.3)
        figure.legend(loc="outside upper center", ncols=5, frameon=False)
        return save_figure(figure)


def draw_changes(analysis: Analysis) -> bytes:
    """How far every layer moved from its model's start, and how alike its features still are."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        moved, alike = figure.subplots(1, 2)
        for name, model in analysis.facts.models.items():
            label = name if model.start == PLAIN_BACKBONE else f"{name} (from {model.start})"
            style = {"color": colour_of(name), "marker": "o", "markersize": 3, "label": label}
            moved.plot(list(model.movement), [100 * d for d in model.movement.values()], **style)
            style.pop("label")
            alike.plot(list(model.similarity), list(model.similarity.values()), **style)
        moved.set_ylabel("distance from the start, % of its norm")
        moved.tick_params(axis="x", rotation=90, labelsize=6)
        alike.set_ylabel("similarity of features (CKA)")
        alike.set_ylim(top=1.02)
        for axes in (moved, alike):
            axes.grid(alpha=0.3)
        figure.legend(loc="outside upper center", ncols=5, frameon=False)
        return save_figure(figure)


def draw_map(
    analysis: Analysis, labels: Tensor, marked: Mapping[str, Tensor] | None = None
) -> bytes:
    """The test images on each model's map, coloured by class.

    Args:
        labels: `(N,)` int64 of the test images.
        marked: model to the point `(2,)` of a picture to mark.
    """
    colours = [CLASS_COLOURS[label] for label in labels.tolist()]
    with matplotlib.rc_context(STYLE):
        names = list(analysis.points)
        figure = Figure(figsize=(3 * len(names), 3.4), layout="constrained")
        cells = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
        for axes, name in zip(cells, names, strict=True):
            axes.scatter(*analysis.points[name].numpy().T, s=6, c=colours, linewidths=0)
            if marked is not None and name in marked:
                axes.plot(*marked[name].reshape(2, 1).numpy(), "k*", markersize=12)
            axes.set_title(name)
            axes.set_xticks([])
            axes.set_yticks([])
        for label, name in enumerate(CLASSES):
            cells[0].scatter([], [], s=16, color=CLASS_COLOURS[label], label=name)
        figure.legend(loc="outside lower center", ncols=len(CLASSES), frameon=False, fontsize=7)
        return save_figure(figure)


def draw_paths(analysis: Analysis) -> bytes:
    """Accuracy on the sample's test images along every path."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for path in analysis.facts.paths:
            between = path.start in COLOURS and path.end in COLOURS
            shares = [100 * right / analysis.facts.test_count for right in path.right]
            label = f"{path.start} to {path.end}"
            line = "--" if between else "-"
            axes.plot(
                list_places(len(shares)), shares, line, color=colour_of(path.end), label=label
            )
        axes.set_xlabel("share of the way")
        axes.set_ylabel("test accuracy, %")
        axes.grid(alpha=0.3)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=7)
        return save_figure(figure)


def draw_step_sizes(records: Records) -> bytes | None:
    """Size of a step beside that of the weights, a line a stage; None where no record has any."""
    known = {
        name: [epoch for epoch in record.history if epoch.step_sizes]
        for name, record in records.items()
    }
    known = {name: epochs for name, epochs in known.items() if epochs}
    if not known:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(known), 3.4), layout="constrained")
        cells = figure.subplots(1, len(known), sharey=True, squeeze=False)[0]
        for axes, (name, epochs) in zip(cells, known.items(), strict=True):
            for stage in epochs[0].step_sizes or {}:
                sizes = [(epoch.step_sizes or {})[stage] for epoch in epochs]
                numbers = [epoch.epoch for epoch in epochs]
                axes.semilogy(numbers, sizes, color=STAGE_COLOURS[stage], label=stage)
            axes.set_title(name)
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
            axes.legend(frameon=False, fontsize=7)
        cells[0].set_ylabel("a step / the weights")
        return save_figure(figure)


def _list_neighbours(explanation: Explanation) -> list[tuple[int, int]]:
    """Row and class of each."""
    found = explanation.neighbours
    return (
        []
        if found is None
        else list(zip(found.rows[0].tolist(), found.labels[0].tolist(), strict=True))
    )
