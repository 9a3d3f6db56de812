"""How large the optimizer's steps were, in every part of a network over a run."""

from demo.charts import Line, draw_chart, span, span_decades
from demo.tabs.changed.figure import draw_figure
from demo.templates import render
from demo.words import training as words
from demo.words.changed import STAGES
from demo.words.common import label_of
from trainer.palette import STAGE_COLOURS
from trainer.record import Epoch, Records
from trainer.wording import percent


def draw_steps(records: Records, query: str = "") -> str:
    """A chart a model whose record has step sizes, all on one scale; else the reason why not.

    Args:
        query: `Scene.query`.
    """
    said = words.describe_steps(records)
    known = {
        name: [epoch for epoch in record.history if epoch.step_sizes]
        for name, record in records.items()
    }
    known = {name: epochs for name, epochs in known.items() if epochs}
    sizes = [
        size
        for epochs in known.values()
        for epoch in epochs
        for size in (epoch.step_sizes or {}).values()
        if size > 0
    ]
    if not sizes:
        return render("note.html", said=said)
    y = span_decades(words.STEP_AXIS, sizes, unit=100)
    charts = []
    for name, epochs in known.items():
        lines = [_trace(stage, epochs) for stage in epochs[0].step_sizes or {}]
        numbers = [float(epoch.epoch) for epoch in epochs]
        charts.append(
            draw_chart(lines, span(words.EPOCH_AXIS, numbers), y, said, title=label_of(name))
        )
    seen = {stage for epochs in known.values() for stage in epochs[0].step_sizes or {}}
    key = [(STAGES[stage], colour) for stage, colour in STAGE_COLOURS.items() if stage in seen]
    figure = draw_figure("steps", charts, said, key, query=query)
    return render("note.html", said=words.STEPS_HINT) + figure


def _trace(stage: str, epochs: list[Epoch]) -> Line:
    """A stage's steps; those of size 0 have no place on a scale of factors."""
    points = [
        (float(epoch.epoch), size)
        for epoch in epochs
        if (size := (epoch.step_sizes or {}).get(stage, 0.0)) > 0
    ]
    texts = [f"epoch {number:g}: {percent(size, 4)}" for number, size in points]
    return Line(STAGES[stage], STAGE_COLOURS[stage], points, texts)
