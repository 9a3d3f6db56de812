"""How far every layer moved from its model's start, and how alike its features still are."""

from demo.charts import Axis, Line, draw_chart, span
from demo.jobs.backend import NAME
from demo.tabs.changed.figure import draw_figure
from demo.tabs.changed.own import name_start
from demo.tabs.changed.scene import Scene
from demo.words import changed as words
from demo.words.common import label_of
from trainer.explain.analysed import ModelFacts
from trainer.palette import colour_of
from trainer.resnet import name_stage
from trainer.wording import percent


def draw_layers(scene: Scene) -> str:
    """Both charts, what they show in words, and their files."""
    models = scene.analysis.facts.models
    four = {name: model for name, model in models.items() if name != NAME}
    moved, alike = words.describe_movement(four), words.describe_similarity(four)
    if scene.own is not None:
        moved += f" {words.describe_own_movement(models[NAME], name_start(scene.own))}"
        alike += f" {words.describe_own_similarity(models[NAME])}"
    charts = [_draw_movement(models, moved), _draw_similarity(models, alike)]
    key = [(label_of(name), colour_of(name)) for name in models]
    return draw_figure("layers", charts, "", key, query=scene.query)


def _draw_movement(models: dict[str, ModelFacts], said: str) -> str:
    layers = list(next(iter(models.values())).movement)
    stages: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        stages.setdefault(name_stage(layer), []).append(index)
    ticks = [(sum(at) / len(at), words.STAGES[stage]) for stage, at in stages.items()]
    lines = [
        Line(
            label_of(name),
            colour_of(name),
            list(enumerate(model.movement.values())),
            [f"{layer} {percent(moved, 2)}" for layer, moved in model.movement.items()],
        )
        for name, model in models.items()
    ]
    highest = [moved for model in models.values() for moved in model.movement.values()]
    y = span(words.MOVED, [0.0, *highest], unit=100)
    return draw_chart(lines, Axis(words.LAYER, -0.7, len(layers) - 0.3, ticks), y, said, said)


def _draw_similarity(models: dict[str, ModelFacts], said: str) -> str:
    stages = list(next(iter(models.values())).similarity)
    models = {name: model for name, model in models.items() if model.similarity}
    lines = [
        Line(
            label_of(name),
            colour_of(name),
            list(enumerate(model.similarity.values())),
            [f"{words.STAGES[stage]} {cka:.3f}" for stage, cka in model.similarity.items()],
        )
        for name, model in models.items()
    ]
    ticks = [(float(index), words.STAGES[stage]) for index, stage in enumerate(stages)]
    values = [cka for model in models.values() for cka in model.similarity.values()]
    y = span(words.ALIKE, values, whole=True)
    return draw_chart(lines, Axis(words.STAGE, -0.4, len(stages) - 0.6, ticks), y, said, said)
