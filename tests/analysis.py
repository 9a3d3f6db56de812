"""An analysis of the shipped models, invented where computing it would take minutes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.conftest import CHECKPOINTS
from trainer.checkpoint import load_checkpoint, load_record
from trainer.data import Dataset, split_validation
from trainer.explain.analysed import Analysis, AnalysisFacts, ModelFacts, PathFacts, name_path
from trainer.explain.neighbours import Bank, quantise
from trainer.explain.paths import pack_statistics
from trainer.explain.plane import Plane, Projection
from trainer.explain.sweep import OPTIMIZERS, RATES, Sweep, SweepCell
from trainer.recipe import BACKBONE_OF, CLASSES, PAIRS, PLAIN_BACKBONE, RECIPE_NAMES
from trainer.resnet import STAGE_NAMES, list_layers, name_stage

GUESS = CLASSES.index("frog")
"""What the backbone under its new last layer says of every picture."""
DIP = (400, 60, 410)
"""Test images right between the full pair."""


def build_analysis(sample: Dataset) -> Analysis:
    """Every test image lies near its class's place on a circle; the frozen pair has moved nowhere;
    along every path from the backbone the counts rise, between the full pair they dip."""
    draw = torch.Generator().manual_seed(0)
    weights = {name: load_checkpoint(CHECKPOINTS, name) for name in RECIPE_NAMES}
    shared = {name: name if "full" in name else BACKBONE_OF for name in RECIPE_NAMES}
    labels = sample.test.labels
    angles = 2 * torch.pi * labels / len(CLASSES)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    spreads = dict(zip(("sgd_full", "adam_full", BACKBONE_OF), (0.05, 0.1, 1.0), strict=True))
    points, projections, banks = {}, {}, {}
    for name, spread in spreads.items():
        points[name] = circle + spread * torch.randn(len(labels), 2, generator=draw)
        directions = 0.02 * torch.randn(512, 2, generator=draw)
        projections[name] = Projection(torch.zeros(512), directions)
        vectors = quantise(torch.randn(20, 512, generator=draw))
        banks[name] = Bank(vectors, torch.arange(20) % len(CLASSES))
    head = {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    head["fc.bias"][GUESS] = 5.0
    counts = {(PLAIN_BACKBONE, name): (50, 200, 400) for name in RECIPE_NAMES}
    counts |= {PAIRS[0]: DIP, PAIRS[1]: (330, 331, 332)}
    statistics = {}
    for start, end in counts:
        if end == shared[end] != BACKBONE_OF:
            first = weights[BACKBONE_OF if start == PLAIN_BACKBONE else start].weights
            ends = [pack_statistics(first), pack_statistics(weights[end].weights)]
            statistics[name_path(start, end)] = torch.stack(ends).mean(dim=0)[None]
    facts = AnalysisFacts(
        sample_digest=sample.digest,
        test_count=len(labels),
        models={
            name: _describe(weights[name].record.weights_sha256, shared[name])
            for name in RECIPE_NAMES
        },
        paths=tuple(
            PathFacts(start=start, end=end, right=right) for (start, end), right in counts.items()
        ),
        explained=(0.2, 0.1),
    )
    return Analysis(
        facts=facts,
        plane=Plane(_draw_scores(sample), torch.ones(2), facts.explained),
        banks={name: banks[one] for name, one in shared.items()},
        projections={name: projections[one] for name, one in shared.items()},
        points={name: points[one] for name, one in shared.items()},
        heads={
            name: {key: tensor.clone() for key, tensor in head.items()} for name in RECIPE_NAMES
        },
        statistics=statistics,
    )


def build_own(known: Analysis, four: Analysis) -> Analysis:
    """What is computed of a job's model whose weights alone told `known`: its test images lie where
    those of the first of the four do, and the path to it rises like theirs."""
    (like, *_), (name, *_) = four.points, set(known.facts.models) - set(four.facts.models)
    model = known.facts.models[name].model_copy(
        update={"backbone": name, "similarity": four.facts.models["sgd_full"].similarity}
    )
    path = PathFacts(start=model.start, end=name, right=(50, 200, 400))
    facts = four.facts.model_copy(update={"models": {name: model}, "paths": (path,)})
    return Analysis(
        facts=facts,
        plane=four.plane,
        banks={name: four.banks[like]},
        projections={name: four.projections[like]},
        points={name: four.points[like]},
        heads={name: four.heads[like]},
        statistics={name_path(model.start, name): four.statistics[name_path(PLAIN_BACKBONE, like)]},
    )


def _draw_scores(sample: Dataset) -> Tensor:
    """Coordinates of the training images, columns of length 1, drawn from noise."""
    count = len(split_validation(sample)[0])
    drawn = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    return F.normalize(drawn, dim=0)


def _describe(weights_sha256: str, backbone: str) -> ModelFacts:
    size = {"sgd_full": 0.1, "adam_full": 0.25}.get(backbone, 0.0)
    layers = list(list_layers())
    movement = {layer: size * (1 + index) / len(layers) for index, layer in enumerate(layers)}
    stages = {name_stage(layer): distance for layer, distance in movement.items()}
    alike = [1 - size * index for index in range(1 + len(STAGE_NAMES))]
    return ModelFacts(
        weights_sha256=weights_sha256,
        image_px=32,
        backbone=backbone,
        movement=movement,
        stage_movement=stages,
        similarity=dict(zip((*STAGE_NAMES, "features"), alike, strict=True)),
    )


def build_sweep() -> Sweep:
    """SGD is best at 0.1, Adam at 0.001; at the highest rate there is nothing."""
    recipe = load_record(CHECKPOINTS, BACKBONE_OF).recipe
    best = {"sgd": RATES.index(0.1), "adam": RATES.index(0.001)}
    cells = tuple(
        SweepCell(
            optimizer=optimizer,
            learning_rate=rate,
            validation_accuracy=0.6 - 0.05 * abs(at - best[optimizer]) if at < 12 else None,
            own=rate == recipe.learning_rate,
        )
        for optimizer in OPTIMIZERS
        for at, rate in enumerate(RATES)
    )
    return Sweep(
        recipe=recipe, data="CIFAR-10 sample", train_count=1800, validation_count=200,
        test_count=500, cells=cells, seconds=1.0, features_s=1.0,
    )  # fmt: skip
