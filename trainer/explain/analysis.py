"""Analyses a set of checkpoints: all that explanations need and that takes longer than a second."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import torch
from torch import Tensor

from trainer.augment import normalise
from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.data import Dataset, Split, evaluated_rows, split_validation
from trainer.explain.analysed import Analysis, AnalysisFacts, ModelFacts, PathFacts, name_path
from trainer.explain.neighbours import Bank, quantise
from trainer.explain.paths import BATCH, Path, have_one_backbone, interpolate, list_places
from trainer.explain.plane import Plane, fit_plane
from trainer.explain.reestimation import estimate_statistics
from trainer.explain.similarity import measure_cka
from trainer.explain.starts import Start, describe_weights, find_start
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
class _Features:
    """What models make of the sample, `(N, 512)` float32 each."""

    training: dict[str, Tensor]
    test: dict[str, Tensor]


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
    features = analyser.compute_features(quartet)
    shared = {name: next(iter(quartet.body_of(name).heads)) for name in models}
    tell("map of features")
    plane = fit_plane({name: features.training[name] for name in dict.fromkeys(shared.values())})
    pairs = [pair for pair in PAIRS if models.keys() >= set(pair)]
    return analyser.analyse(models, shared, features, plane, pairs)


def analyse_own(
    file: FilePath,
    folder: FilePath,
    sample: Dataset,
    plane: Plane,
    tell: Tell,
    earlier: FilePath | None = None,
) -> Analysis:
    """Analyses the model of a short run against what it began with, to be shown beside a set.

    Args:
        file: its checkpoint's .safetensors file.
        folder: of the set's checkpoints.
        plane: of the set's analysis, which the model's map shares.
        earlier: folder of the checkpoint it went on from, where that is none of the set.

    Raises:
        CheckpointError: a checkpoint, its start's among them, is missing or damaged.
    """
    name = file.stem
    quartet = Quartet(file.parent, (name,))
    analyser = _Analyser(folder, sample, tell, earlier)
    features = analyser.compute_features(quartet)
    models = {name: load_checkpoint(file.parent, name)}
    return analyser.analyse(models, {name: name}, features, plane, [])


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

    def compute_features(self, quartet: Quartet) -> _Features:
        """The sample's features in every model."""
        self._tell("features of the sample")
        parts = {}
        for part, images in (
            ("training", self._training.images),
            ("test", self._sample.test.images),
        ):
            batches = [quartet.classify(batch).features for batch in images.split(BATCH)]
            parts[part] = {
                name: torch.cat([batch[name] for batch in batches]) for name in quartet.records
            }
        return _Features(**parts)

    def analyse(
        self,
        models: Mapping[str, Checkpoint],
        shared: Mapping[str, str],
        features: _Features,
        plane: Plane,
        pairs: list[tuple[str, str]],
    ) -> Analysis:
        """Everything about some models.

        Args:
            shared: model to the first with the same backbone.
            pairs: models between which there is a path.
        """
        banks, projections, points = {}, {}, {}
        facts: dict[str, ModelFacts] = {}
        starts = {
            name: find_start(model.record, self._folder, self._earlier)
            for name, model in models.items()
        }
        for name, like in shared.items():
            banks[name] = Bank(quantise(features.training[like]), self._training.labels)
            projections[name] = plane.fit(features.training[like])
            points[name] = projections[name].place(features.test[like])
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
            paths.append(
                PathFacts(start=start, end=end, right=self._count_right(path, features.test[end]))
            )
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
        return Analysis(described, plane, banks, projections, points, heads, statistics)

    def _compare_features(self, model: Checkpoint, start: Start) -> dict[str, float]:
        """CKA of each stage's maps, and of the features, with the start's."""
        self._tell(f"similarity of {model.name}'s features to those of {start.name}")
        own = self._list_maps(model.weights, model.record.recipe.image_px)
        plain = own
        if not have_one_backbone(start.weights, model.weights):
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
