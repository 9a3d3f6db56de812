"""Analyses a set of checkpoints: all that explanations need and that takes longer than a second."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import torch
from torch import Tensor

from trainer.augment import normalise
from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.data import Dataset, Split, evaluated_rows, split_validation
from trainer.errors import CheckpointError
from trainer.explain.analysed import Analysis, AnalysisFacts, ModelFacts, PathFacts, name_path
from trainer.explain.neighbours import Bank, quantise
from trainer.explain.paths import BATCH, Path, have_one_backbone, interpolate, list_places
from trainer.explain.plane import Plane, Projection, fit_plane
from trainer.explain.reestimation import estimate_statistics
from trainer.explain.similarity import measure_cka
from trainer.explain.starts import SAME, Start, describe_weights, find_start
from trainer.model import Backbone, build_pretrained
from trainer.predict import Quartet
from trainer.recipe import PAIRS, PLAIN_BACKBONE
from trainer.resnet import STAGE_NAMES, FoldedBackbone, is_head

POINTS = 11
"""Places along a path where accuracy is measured, both ends among them."""
ESTIMATED_ON = 300
"""Training images of the sample that BatchNorm's statistics along a path are estimated on."""

Tell = Callable[[str], None]
"""Takes a line about what is being computed."""
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class _Seen:
    """What a backbone makes of the sample."""

    bank: Bank
    projection: Projection
    points: Tensor
    """`(test images, 2)` float32."""


def analyse_set(folder: FilePath, sample: Dataset, tell: Tell) -> Analysis:
    """Analyses the models of a folder of checkpoints; what is missing or damaged is left out.

    Args:
        sample: the embedded one.

    Raises:
        CheckpointError: no model is usable, or not the one that holds the plain backbone.
    """
    quartet = Quartet(folder)
    models = {name: load_checkpoint(folder, name) for name in quartet.records}
    analyser = _Analyser(folder, sample, tell)
    shared = {name: next(iter(quartet.body_of(name).heads)) for name in models}
    training, test = analyser.compute_training(quartet), analyser.compute_test(quartet)
    tell("map of features")
    plane = fit_plane({name: training[name] for name in dict.fromkeys(shared.values())})
    seen = {
        like: analyser.see(plane, training[like], test[like])
        for like in dict.fromkeys(shared.values())
    }
    pairs = [pair for pair in PAIRS if models.keys() >= set(pair)]
    return analyser.analyse(models, shared, seen, test, plane, pairs)


def analyse_own(
    file: FilePath,
    folder: FilePath,
    sample: Dataset,
    known: Analysis,
    tell: Tell,
    earlier: FilePath | None = None,
) -> Analysis:
    """Analyses the model of a short run against what it began with, to be shown beside a set.

    Args:
        file: its checkpoint's .safetensors file.
        folder: of the set's checkpoints.
        known: the set's analysis, whose plane the model's map shares.
        earlier: folder of the checkpoint it went on from, where that is none of the set.

    Raises:
        CheckpointError: a checkpoint, its start's among them, is missing or damaged.
    """
    name = file.stem
    model = load_checkpoint(file.parent, name)
    quartet = Quartet(file.parent, (name,))
    analyser = _Analyser(folder, sample, tell, earlier)
    test = analyser.compute_test(quartet)
    like = _find_like(model, folder, known)
    if like is None:
        seen = analyser.see(known.plane, analyser.compute_training(quartet)[name], test[name])
    else:
        seen = _Seen(known.banks[like], known.projections[like], known.points[like])
    return analyser.analyse({name: model}, {name: name}, {name: seen}, test, known.plane, [])


class _Analyser:
    """Computes the parts of an analysis on the embedded sample, each model against its start."""

    def __init__(
        self, folder: FilePath, sample: Dataset, tell: Tell, earlier: FilePath | None = None
    ) -> None:
        self._folder, self._earlier = folder, earlier
        self._sample = sample
        self._training: Split = split_validation(sample)[0]
        self._estimated = self._training.images[evaluated_rows(len(self._training), ESTIMATED_ON)]
        self._tell = tell

    def compute_training(self, quartet: Quartet) -> dict[str, Tensor]:
        """Each model's features `(M, 512)` float32 of the sample's training images."""
        self._tell("features of the training images")
        return _compute_features(quartet, self._training.images)

    def compute_test(self, quartet: Quartet) -> dict[str, Tensor]:
        """Those of its test images, `(N, 512)`."""
        self._tell("features of the test images")
        return _compute_features(quartet, self._sample.test.images)

    def see(self, plane: Plane, training: Tensor, test: Tensor) -> _Seen:
        """What follows from a backbone's features of the training and the test images."""
        projection = plane.fit(training)
        bank = Bank(quantise(training), self._training.labels)
        return _Seen(bank, projection, projection.place(test))

    def analyse(
        self,
        models: Mapping[str, Checkpoint],
        shared: Mapping[str, str],
        seen: Mapping[str, _Seen],
        test: Mapping[str, Tensor],
        plane: Plane,
        pairs: list[tuple[str, str]],
    ) -> Analysis:
        """Everything about some models.

        Args:
            shared: model to the first with the same backbone.
            seen: what each of these makes of the sample.
            test: each model's features of the test images.
            pairs: models between which there is a path.
        """
        facts: dict[str, ModelFacts] = {}
        starts = {
            name: find_start(model.record, self._folder, self._earlier)
            for name, model in models.items()
        }
        for name, like in shared.items():
            similarity = facts[like].similarity if like in facts else None
            if similarity is None:
                similarity = self._compare_features(models[name], starts[name])
            facts[name] = describe_weights(models[name], starts[name], like, similarity)
        paths, statistics = [], {}
        first = {name: _complete_start(start, models[name]) for name, start in starts.items()}
        lines = [(starts[name].name, name, weights) for name, weights in first.items()]
        lines += [(one, other, models[one].weights) for one, other in pairs]
        for start, end, weights in lines:
            if start in models and not _have_one_size(models[start], models[end]):
                continue
            self._tell(f"path from {start} to {end}")
            path = self._build_path(weights, models[end])
            paths.append(PathFacts(start=start, end=end, right=self._count_right(path, test[end])))
            if path.statistics is not None:
                statistics[name_path(start, end)] = path.statistics
        heads = {
            name: {key: tensor.float() for key, tensor in weights.items() if is_head(key)}
            for name, weights in first.items()
            if starts[name].name == PLAIN_BACKBONE
        }
        described = AnalysisFacts(
            sample_digest=self._sample.digest,
            test_count=len(self._sample.test),
            models=facts,
            paths=tuple(paths),
            explained=plane.explained,
        )
        return Analysis(
            facts=described,
            plane=plane,
            banks={name: seen[like].bank for name, like in shared.items()},
            projections={name: seen[like].projection for name, like in shared.items()},
            points={name: seen[like].points for name, like in shared.items()},
            heads=heads,
            statistics=statistics,
        )

    def _compare_features(self, model: Checkpoint, start: Start) -> dict[str, float]:
        """CKA of each stage's maps, and of the features, with the start's."""
        if have_one_backbone(start.weights, model.weights):
            return SAME
        self._tell(f"similarity of {model.name}'s features to those of {start.name}")
        own = self._list_maps(model.weights, model.record.recipe.image_px)
        plain = self._list_maps(start.weights, model.record.recipe.image_px)
        return {stage: measure_cka(plain[stage], own[stage]) for stage in own}

    def _list_maps(self, weights: Weights, image_px: int) -> dict[str, Tensor]:
        """Each stage's maps of the test images `(N, C, h, w)`, and the features `(N, 512)`."""
        backbone = FoldedBackbone(dict(weights), image_px)
        with torch.inference_mode():
            batches = [
                backbone.list_maps(normalise(batch, image_px))
                for batch in self._sample.test.images.split(BATCH)
            ]
        maps = {
            stage: torch.cat([batch[index] for batch in batches])
            for index, stage in enumerate(STAGE_NAMES)
        }
        return {**maps, "features": maps[STAGE_NAMES[-1]].mean(dim=(2, 3))}

    def _build_path(self, start: Weights, end: Checkpoint) -> Path:
        image_px = end.record.recipe.image_px
        if have_one_backbone(start, end.weights):
            return Path(start, end.weights, image_px, None)
        statistics = [
            estimate_statistics(interpolate(start, end.weights, place), self._estimated, image_px)
            for place in list_places(POINTS)[1:-1]
        ]
        return Path(start, end.weights, image_px, torch.stack(statistics))

    def _count_right(self, path: Path, features: Tensor) -> tuple[int, ...]:
        """Right answers at every place; `features` are those of the test images at the end."""
        test = self._sample.test
        right = []
        for place in list_places(POINTS):
            if path.statistics is None or place == 1:
                logits = path.classify_features(place, features)
            else:
                logits = path.classify(place, test.images)
            right.append(int((logits.argmax(dim=1) == test.labels).sum()))
        return tuple(right)


def _compute_features(quartet: Quartet, images: Tensor) -> dict[str, Tensor]:
    batches = [quartet.classify(batch).features for batch in images.split(BATCH)]
    return {name: torch.cat([batch[name] for batch in batches]) for name in quartet.records}


def _find_like(model: Checkpoint, folder: FilePath, known: Analysis) -> str | None:
    """A model of the set that has the same backbone, and sees images of the same size."""
    for name, facts in known.facts.models.items():
        if facts.image_px != model.record.recipe.image_px:
            continue
        with contextlib.suppress(CheckpointError):  # analysed once, and gone
            if have_one_backbone(load_checkpoint(folder, name).weights, model.weights):
                return name
    return None


def _complete_start(start: Start, model: Checkpoint) -> Weights:
    """The state dict a model's run began with: over the plain backbone, the last layer that its
    seed drew."""
    if start.name != PLAIN_BACKBONE:
        return start.weights
    body = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in start.weights.items()
        if not is_head(name)
    }
    whole: Weights = build_pretrained(Backbone("", "", body), model.record.recipe.seed).state_dict()
    return whole


def _have_one_size(one: Checkpoint, other: Checkpoint) -> bool:
    return one.record.recipe.image_px == other.record.recipe.image_px
