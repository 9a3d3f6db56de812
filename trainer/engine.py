"""The training loop: `fit` takes one recipe from pre-trained weights to a checkpoint.

Every random choice is a function of the seed and the epoch (see `augment.plan_epoch`), so
a state is just weights, optimizer and sums, and a resumed run on the CPU ends bit-identical
to one that was never interrupted.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import ResNet

from trainer import checkpoint, metrics
from trainer.augment import plan_epoch
from trainer.data import Dataset, Split, split_validation
from trainer.errors import CheckpointError, TrainingError
from trainer.events import (
    EpochFinished,
    OnEvent,
    RunFailed,
    RunFinished,
    RunStarted,
    StartEvaluated,
)
from trainer.examples import Examples, FeatureExamples, Features, ImageExamples, compute_all
from trainer.finish import Finisher
from trainer.model import Backbone, build_pretrained, prepare_for_training
from trainer.optimizers import build_optimizer
from trainer.placement import Placement
from trainer.recipe import Recipe
from trainer.record import Figures, Origin, Record
from trainer.resources import describe_hardware, sample_resources
from trainer.run import Run
from trainer.stop import Interrupted, StopRequest


class Trainer:
    """Fits recipes on one data set and backbone, computing frozen features once for all."""

    def __init__(
        self,
        data: Dataset,
        backbone: Backbone,
        placement: Placement,
        splits: dict[str, Split] | None = None,
        origin: Origin | None = None,
    ) -> None:
        """
        Args:
            splits: `train`, `validation` and `test`; default: the data's, a tenth held out.
            origin: what else decided a short run.
        """
        self.data = data
        self.backbone = backbone
        self.placement = placement
        if splits is None:
            training, validation = split_validation(data)
            splits = {"train": training, "validation": validation, "test": data.test}
        self.splits = splits
        self._features: dict[int, Features] = {}
        """Input size in pixels to what all frozen recipes of that size share."""
        self._finisher = Finisher(data, splits, backbone, placement, origin)

    def fit(self, recipe: Recipe, on_event: OnEvent, stop: StopRequest) -> None:
        """Trains `recipe` and writes its checkpoint into the placement's folder.

        Raises:
            TrainingError: the loss is not finite, or a saved run is of another recipe.
            Interrupted: `stop` was set; the state is saved.
            OSError: the disk is full or read-only; whatever was saved before is intact.
        """
        run = None
        try:
            with sample_resources(recipe.name, on_event, self.placement.device):
                model = self._build_model(recipe)
                run = self._begin(recipe, model, on_event)
                with run.clock.paused():
                    examples = self._examples(run, model)
                before = self._measure_start(recipe, examples, on_event)
                self._train(run, examples, on_event, stop)
                features = self._features[recipe.image_px] if recipe.frozen else None
                record = self._finisher.save(run, model, before, features)
                run.clock.tick()
        except Exception as error:
            on_event(RunFailed.tell(recipe.name, error, run.step if run else 0))
            raise
        on_event(
            RunFinished(
                recipe=recipe.name,
                test_accuracy=record.test.accuracy,
                test_loss=record.test.loss,
                train_s=run.clock.train_s,
                seconds=run.clock.seconds,
                checkpoint=f"{recipe.name}.safetensors",
            )
        )

    def finished(self, recipe: Recipe) -> Record | None:
        """The record of this recipe's verified checkpoint in the folder, or None.

        Raises:
            TrainingError: it holds one trained otherwise.
        """
        folder = self.placement.folder
        try:
            record = checkpoint.load_checkpoint(folder, recipe.name).record
        except CheckpointError:
            return None
        if record.recipe != recipe or record.data.digest != self.data.digest:
            raise TrainingError("run_finished_otherwise", folder=folder, name=recipe.name)
        return record

    def _train(self, run: Run, examples: Examples, on_event: OnEvent, stop: StopRequest) -> None:
        """Takes the run's remaining steps."""
        recipe, place, precision = (
            run.recipe,
            self.placement,
            self.placement.precision_of(run.recipe),
        )
        world, device, optimizer = place.world, place.device, run.optimizer
        network = world.wrap(run.network)
        run.start_steps()
        while run.step < run.total_steps:
            plan = plan_epoch(recipe, run.epoch, len(self.splits["train"]), device)
            while run.step < run.epoch_end:
                first = (run.step - run.epoch_start) * recipe.batch_size
                mine = slice(first + world.rank, first + recipe.batch_size, world.size)
                for group in optimizer.param_groups:
                    group["lr"] = run.learning_rate
                examples.image_px = run.image_px

                inputs, labels = examples.train_batch(plan, mine)
                with torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
                    logits = network(inputs)
                loss = F.cross_entropy(
                    logits.float(), labels, label_smoothing=recipe.label_smoothing
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                run.guard(loss)
                with run.step_sizes.watching(run.step - run.epoch_start, run.steps_per_epoch):
                    optimizer.step()
                run.count(loss, logits, labels)

                if (
                    run.step == run.epoch_end
                    or stop.signal
                    or run.summary_due(place.summary_every_s)
                ):
                    run.raise_if_not_finite()
                    on_event(run.summarise(world))
                if world.size == 1 and run.save_due(place.save_every_s):
                    run.save(place.folder, self._identity(recipe))
                if stop.signal:
                    self._obey(run, stop)
            on_event(self._finish_epoch(run, examples))
            if world.size > 1 and world.writes:
                run.save(place.folder, self._identity(recipe))
            if stop.signal and run.step < run.total_steps:
                self._obey(run, stop)

    def _obey(self, run: Run, stop: StopRequest) -> None:
        """Ends the run here, or saves its state and raises Interrupted."""
        if self.placement.keep_stopped:
            run.end_here()
            return
        if self.placement.world.size == 1:
            run.save(self.placement.folder, self._identity(run.recipe))
        raise Interrupted(f"stopped by {stop.name} after step {run.step}")

    def _build_model(self, recipe: Recipe) -> ResNet:
        model = build_pretrained(self.backbone, recipe.seed)
        prepare_for_training(model, recipe)
        return model.to(self.placement.device)

    def _begin(self, recipe: Recipe, model: ResNet, on_event: OnEvent) -> Run:
        """The run at its first step, or where it was left."""
        place = self.placement
        if recipe.batch_size % place.world.size:
            raise TrainingError(
                "batch_not_shared", batch_size=recipe.batch_size, processes=place.world.size
            )
        network = model.fc if recipe.frozen else model
        optimizer = build_optimizer(recipe, network)
        run = Run(recipe, network, optimizer, len(self.splits["train"]), place.device)
        if place.resume:
            run.restore(place.folder, self._identity(recipe))
        on_event(
            RunStarted(
                recipe=recipe.name,
                settings=recipe,
                data=self.data.name,
                train_count=len(self.splits["train"]),
                validation_count=len(self.splits["validation"]),
                test_count=len(self.splits["test"]),
                backbone=self.backbone.name,
                hardware=describe_hardware(place.device),
                total_steps=run.total_steps,
                step=run.step,
                damaged_states=run.damaged_states,
            )
        )
        return run

    def _examples(self, run: Run, model: ResNet) -> Examples:
        recipe, place = run.recipe, self.placement
        if not recipe.frozen:
            return ImageExamples(run.measured, recipe, self.splits, place.device, place.world)
        if recipe.image_px not in self._features:
            self._features[recipe.image_px] = compute_all(
                model, recipe.image_px, self.splits, place.device, place.world, place.keep_features
            )
        labels = self.splits["train"].labels.to(place.device)
        features = self._features[recipe.image_px].of
        return FeatureExamples(run.measured, recipe.image_px, features, labels)

    def _measure_start(
        self, recipe: Recipe, examples: Examples, on_event: OnEvent
    ) -> Tensor | None:
        """Probabilities `(N, 10)` of the test images before the first step, where wanted."""
        if not self.placement.measure_start:
            return None
        before = self._measure(examples, "validation")
        on_event(
            StartEvaluated(
                recipe=recipe.name,
                validation_loss=before.loss,
                validation_accuracy=before.accuracy,
            )
        )
        return examples.logits("test").softmax(dim=1)

    def _measure(self, examples: Examples, split: str) -> Figures:
        return metrics.measure(examples.logits(split), self.splits[split].labels)

    def _finish_epoch(self, run: Run, examples: Examples) -> EpochFinished:
        """Evaluates, and moves the epoch's sums into the history."""
        bf16 = self.placement.precision_of(run.recipe) == "bf16"
        with torch.autocast(self.placement.device.type, torch.bfloat16, bf16):
            validation = self._measure(examples, "validation")
            test = self._measure(examples, "test")
        epoch = run.finish_epoch(
            self.placement.world,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
        )
        return EpochFinished(
            recipe=run.recipe.name,
            epochs=run.epochs,
            validation_confusion=validation.confusion,
            **dict(epoch),
        )

    def _identity(self, recipe: Recipe) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return {
            "recipe": recipe.as_json(),
            "data": self.data.digest,
            "backbone": self.backbone.sha256,
            "precision": self.placement.precision_of(recipe),
        }
