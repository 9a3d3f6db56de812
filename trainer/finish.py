"""What a finished run leaves: its weights as stored, figures measured on them, and the record."""

import datetime

import torch
from torch import Tensor
from torchvision.models import ResNet

from trainer import checkpoint, metrics
from trainer.calibration import fit_temperature
from trainer.data import Dataset, Split
from trainer.examples import Features
from trainer.familiarity import draw_rows
from trainer.figures import FittedFamiliarity, Outputs, fit_stored, stored_outputs
from trainer.model import Backbone, restore_padding
from trainer.placement import Placement
from trainer.recipe import Recipe
from trainer.record import BackboneFacts, DataFacts, Origin, Record
from trainer.resources import describe_hardware, list_versions
from trainer.run import Run


class Finisher:
    """Writes the checkpoints of runs on one data set and backbone."""

    def __init__(
        self,
        data: Dataset,
        splits: dict[str, Split],
        backbone: Backbone,
        placement: Placement,
        origin: Origin | None,
    ) -> None:
        """
        Args:
            splits: `train`, `validation` and `test`.
            origin: what else decided a short run.
        """
        self._data = data
        self._splits = splits
        self._backbone = backbone
        self._placement = placement
        self._origin = origin
        self._features: dict[tuple[int, str], Tensor] = {}
        """What the backbone as it is stored makes of the images of a split, by input size and
        split; all frozen recipes of that size share it."""

    def save(
        self, run: Run, model: ResNet, before: Tensor | None, features: Features | None
    ) -> Record:
        """Writes a run's checkpoint.

        Args:
            model: of the run.
            before: probabilities `(N, 10)` of the test images before the first step.
            features: what it was trained on, where its backbone is frozen.

        Raises:
            TrainingError: the weights are not finite.
            OSError: the disk is full or read-only; what was there before is intact.
        """
        recipe, place = run.recipe, self._placement
        run.network.load_state_dict(run.measured.state_dict())
        weights = restore_padding(model, recipe.image_px, self._backbone.weights)
        weights = checkpoint.to_stored(weights)
        checkpoint.verify_weights(weights, recipe.name)
        if features is not None and self._stores_exactly(weights):
            self._features |= {(recipe.image_px, name): of for name, of in features.of.items()}
        outputs = {
            name: self._outputs(recipe, weights, name, self._splits[name].images)
            for name in ("validation", "test")
        }
        fitted = self._fit_familiarity(recipe, weights, outputs)
        record = self._record(run, outputs, fitted, features.seconds if features else None)
        if place.world.writes:
            labels = self._splits["test"].labels
            checkpoint.save_checkpoint(
                place.folder,
                recipe.name,
                weights,
                checkpoint.describe(record),
                checkpoint.Predictions(outputs["test"].logits.softmax(dim=1), labels, before),
                record,
                fitted.detector if fitted else None,
            )
            checkpoint.drop_states(place.folder, recipe.name)
        return record

    def _stores_exactly(self, weights: dict[str, Tensor]) -> bool:
        """True where the backbone loses nothing when it is stored, as one does that was read from a
        checkpoint: then it makes of images what it made of them in training. A GPU trains with
        shorter arithmetic than it measures with."""
        return self._placement.device.type == "cpu" and all(
            torch.equal(weights[name].to(value.dtype), value)
            for name, value in self._backbone.weights.items()
        )

    def _outputs(
        self, recipe: Recipe, weights: dict[str, Tensor], part: str, images: Tensor
    ) -> Outputs:
        """What the stored weights make of images; a frozen backbone sees them once for all."""
        place, known = self._placement, (recipe.image_px, part)
        outputs = stored_outputs(
            weights,
            images,
            recipe.image_px,
            place.device,
            place.world,
            keep=recipe.frozen and place.keep_features,
            features=self._features.get(known) if recipe.frozen else None,
        )
        if recipe.frozen:
            self._features[known] = outputs.features
        return outputs

    def _fit_familiarity(
        self, recipe: Recipe, weights: dict[str, Tensor], outputs: dict[str, Outputs]
    ) -> FittedFamiliarity | None:
        """The stored weights' detector of foreign pictures. A short run goes without: it would
        wait for another pass over thousands of images."""
        if self._origin is not None:
            return None
        images = self._splits["train"].images
        rows = draw_rows(len(images))
        whole = self._features.get((recipe.image_px, "train")) if recipe.frozen else None
        if whole is not None:
            drawn = whole[rows].cpu()
        else:
            drawn = self._outputs(recipe, weights, "training images drawn", images[rows]).features
        return fit_stored(weights, drawn, outputs["validation"], outputs["test"])

    def _record(
        self,
        run: Run,
        outputs: dict[str, Outputs],
        fitted: FittedFamiliarity | None,
        features_s: float | None,
    ) -> Record:
        recipe, place = run.recipe, self._placement
        figures = {
            name: metrics.measure(split.logits, self._splits[name].labels)
            for name, split in outputs.items()
        }
        origin = self._origin
        if origin is not None:
            origin = origin.model_copy(update={"ended_early": run.ended_early})
        return Record(
            name=recipe.name,
            recipe=recipe,
            data=DataFacts(
                name=self._data.name,
                digest=self._data.digest,
                **{f"{name}_count": len(split) for name, split in self._splits.items()},
            ),
            backbone=BackboneFacts(name=self._backbone.name, sha256=self._backbone.sha256),
            origin=origin,
            history=tuple(run.history),
            validation=figures["validation"],
            test=figures["test"],
            familiarity=fitted.facts if fitted else None,
            temperature=fit_temperature(
                outputs["validation"].logits, self._splits["validation"].labels
            ),
            precision=place.precision_of(recipe),
            processes=place.world.size,
            hardware=describe_hardware(place.device),
            versions=list_versions(),
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            train_s=run.clock.train_s,
            features_s=features_s,
        )
