"""The training loop: `fit` takes one recipe from pre-trained weights to a checkpoint.

Every random choice is a function of the seed and the epoch (see `augment.plan_epoch`), so
a state is just weights, optimizer and sums, and a resumed run on the CPU ends bit-identical
to one that was never interrupted.
"""

import datetime
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import ResNet

import trainer
from trainer import checkpoint, metrics
from trainer.augment import plan_epoch
from trainer.data import Dataset, Split, split_validation
from trainer.distributed import World
from trainer.events import (
    EpochFinished,
    OnEvent,
    RunFailed,
    RunFinished,
    RunStarted,
    StartEvaluated,
)
from trainer.examples import Examples, FeatureExamples, ImageExamples
from trainer.figures import describe_figures, stored_logits
from trainer.model import (
    Backbone,
    build_pretrained,
    prepare_for_training,
    restore_padding,
)
from trainer.recipe import CLASSES, IMAGE_MEAN, IMAGE_STD, Recipe
from trainer.resources import describe_hardware, sample_resources
from trainer.run import Run, TrainingError
from trainer.stop import Interrupted, StopRequest


@dataclass(frozen=True)
class Placement:
    """Where a run computes, writes, and how often it saves."""

    folder: Path
    device: torch.device
    precision: str = "fp32"
    """`fp32`, or `bf16` for autocast of the full recipes' steps and of the evaluations between
    them (the history). What a finished checkpoint records of itself is always fp32."""
    resume: bool = False
    save_every_s: float = 60.0
    summary_every_s: float = 5.0
    world: World = field(default_factory=World)
    brief: bool = False
    """For short runs on few images: measures the start too, and keeps a frozen backbone's features
    in the user's cache."""


class Trainer:
    """Fits recipes on one data set and backbone, computing frozen features once for all."""

    def __init__(
        self,
        data: Dataset,
        backbone: Backbone,
        placement: Placement,
        splits: dict[str, Split] | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        """
        Args:
            splits: `train`, `validation` and `test`; default: the data's, a tenth held out.
            origin: what else decided the run; goes into its record.
        """
        self.data = data
        self.backbone = backbone
        self.placement = placement
        self.origin = origin
        if splits is None:
            training, validation = split_validation(data)
            splits = {"train": training, "validation": validation, "test": data.test}
        self.splits = splits
        self._features: dict[int, FeatureExamples] = {}

    def fit(self, recipe: Recipe, on_event: OnEvent, stop: StopRequest) -> None:
        """Trains `recipe` and writes its checkpoint into the placement's folder.

        Raises:
            TrainingError: the loss is not finite, or a saved run is of another recipe.
            Interrupted: `stop` was set; the state is saved.
            OSError: the disk is full or read-only; whatever was saved before is intact.
        """
        place = self.placement
        run = Run(recipe)
        try:
            with sample_resources(recipe.name, on_event, place.device):
                test = self._fit(run, on_event, stop)
        except Exception as error:
            on_event(RunFailed(recipe.name, reason=str(error), step=run.step))
            raise
        on_event(
            RunFinished(
                recipe.name,
                test_accuracy=test["accuracy"],
                test_loss=test["loss"],
                train_s=run.train_s,
                seconds=run.seconds,
                checkpoint=f"{recipe.name}.safetensors",
            )
        )

    def finished(self, recipe: Recipe) -> bool:
        """True when the folder holds this recipe's verified checkpoint.

        Raises:
            TrainingError: it holds one trained otherwise.
        """
        folder = self.placement.folder
        if not (folder / f"{recipe.name}.json").exists():
            return False
        try:
            record = checkpoint.load_checkpoint(folder, recipe.name).record
        except checkpoint.CheckpointError:
            return False
        if (
            Recipe.from_dict(record["recipe"]) != recipe
            or record["data"]["digest"] != self.data.digest
        ):
            raise TrainingError(
                f"{folder} holds a finished {recipe.name} run with other settings or data: "
                f"give the same ones, or another --out."
            )
        return True

    def _fit(self, run: Run, on_event: OnEvent, stop: StopRequest) -> dict[str, Any]:
        """Trains and saves, and returns the test figures of the stored checkpoint."""
        recipe, place = run.recipe, self.placement
        world, device = place.world, place.device
        run.start_clock()
        if recipe.batch_size % world.size:
            raise TrainingError(
                f"batch size {recipe.batch_size} cannot be shared by {world.size} processes: "
                f"give --batch-size a multiple of {world.size}."
            )
        steps_per_epoch = len(self.splits["train"]) // recipe.batch_size
        if steps_per_epoch == 0:
            raise TrainingError(
                f"batch size {recipe.batch_size} exceeds the {len(self.splits['train'])} "
                f"training images: give a smaller --batch-size."
            )
        run.total_steps = recipe.steps or recipe.epochs * steps_per_epoch
        epochs = -(-run.total_steps // steps_per_epoch)

        model = build_pretrained(self.backbone, recipe.seed)
        prepare_for_training(model, recipe)
        model.to(device)
        run.network = model.fc if recipe.frozen else model
        run.optimizer = optimizer = build_optimizer(recipe, run.network)
        run.loss_sum = torch.zeros((), device=device)
        run.correct_sum = torch.zeros((), device=device)
        run.bad_step = torch.full((), -1.0, device=device)
        run.start_average()
        precision = self._precision(recipe)
        if place.resume:
            run.restore(place.folder, self._identity(recipe))
        network = world.wrap(run.network)
        on_event(
            RunStarted(
                recipe.name,
                settings=recipe.as_dict(),
                data=self.data.name,
                train_count=len(self.splits["train"]),
                validation_count=len(self.splits["validation"]),
                test_count=len(self.splits["test"]),
                backbone=self.backbone.name,
                hardware=describe_hardware(device),
                total_steps=run.total_steps,
                step=run.step,
            )
        )

        examples = self._examples(recipe, model)
        examples.network = run.measured
        if place.brief:
            before = metrics.measure(
                examples.logits("validation"), self.splits["validation"].labels
            )
            on_event(
                StartEvaluated(
                    recipe.name,
                    validation_loss=before.loss,
                    validation_accuracy=before.accuracy,
                )
            )
        run.start_steps()
        while len(run.history) < epochs:
            epoch = len(run.history) + 1
            last_step = min(epoch * steps_per_epoch, run.total_steps)
            plan = plan_epoch(recipe, epoch, len(self.splits["train"]), device)
            while run.step < last_step:
                first = (run.step - (epoch - 1) * steps_per_epoch) * recipe.batch_size
                mine = slice(first + world.rank, first + recipe.batch_size, world.size)
                learning_rate = recipe.learning_rate_at(run.step, run.total_steps)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate

                inputs, labels = examples.train_batch(plan, mine)
                with torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
                    logits = network(inputs)
                loss = F.cross_entropy(
                    logits.float(), labels, label_smoothing=recipe.label_smoothing
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                run.guard(loss)
                optimizer.step()
                run.count(loss, logits, labels)

                if run.step == last_step or run.summary_due(place.summary_every_s) or stop.signal:
                    run.raise_if_not_finite()
                    on_event(run.summarise(steps_per_epoch, learning_rate, world))
                if world.size == 1 and (run.save_due(place.save_every_s) or stop.signal):
                    self._save_state(run)
                if stop.signal:
                    raise Interrupted(f"stopped by {stop.signal.name} after step {run.step}")
            confusion = self._finish_epoch(run, examples, steps_per_epoch)
            on_event(
                EpochFinished(
                    recipe.name,
                    epochs=epochs,
                    validation_confusion=confusion,
                    **run.history[-1],
                )
            )
            if world.size > 1 and world.writes:
                self._save_state(run)

        run.network.load_state_dict(run.measured.state_dict())
        test = self._save_checkpoint(run, model)
        run.tick(training=False)
        return test

    def _examples(self, recipe: Recipe, model: ResNet) -> Examples:
        place = self.placement
        if not recipe.frozen:
            return ImageExamples(model, recipe, self.splits, place.device, place.world)
        if recipe.image_px not in self._features:
            self._features[recipe.image_px] = FeatureExamples(
                model,
                recipe,
                self.splits,
                place.device,
                place.world,
                place.brief,
            )
        return self._features[recipe.image_px].with_head(model.fc)

    def _identity(self, recipe: Recipe) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return {
            "recipe": recipe.as_dict(),
            "data": self.data.digest,
            "backbone": self.backbone.sha256,
            "precision": self._precision(recipe),
        }

    def _precision(self, recipe: Recipe) -> str:
        """A single last layer gains nothing from bf16."""
        return "fp32" if recipe.frozen else self.placement.precision

    def _save_state(self, run: Run) -> None:
        run.tick(training=True)
        checkpoint.save_state(
            self.placement.folder,
            run.recipe.name,
            run.step,
            run.tensors(),
            {
                "identity": self._identity(run.recipe),
                "step": run.step,
                "history": run.history,
                "train_s": run.train_s,
                "seconds": run.seconds,
            },
        )
        run.tick(training=False)
        run.last_save_s = run.seconds

    def _finish_epoch(self, run: Run, examples: Examples, steps_per_epoch: int) -> list[list[int]]:
        """Evaluates, moves the epoch's sums into the history, and returns the validation split's
        confusion matrix."""
        steps = run.step - len(run.history) * steps_per_epoch
        seen = steps * run.recipe.batch_size
        sums = self.placement.world.sum(torch.stack([run.loss_sum, run.correct_sum]))
        device, precision = self.placement.device, self._precision(run.recipe)
        with torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
            validation, test = (
                metrics.measure(examples.logits(name), self.splits[name].labels)
                for name in ("validation", "test")
            )
        run.tick(training=False)
        run.history.append(
            {
                "epoch": len(run.history) + 1,
                "train_loss": sums[0].item() / seen,
                "train_accuracy": sums[1].item() / seen,
                "validation_loss": validation.loss,
                "validation_accuracy": validation.accuracy,
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "learning_rate": run.recipe.learning_rate_at(run.step - 1, run.total_steps),
                "train_s": run.train_s - sum(epoch["train_s"] for epoch in run.history),
                "seconds": run.seconds - sum(epoch["seconds"] for epoch in run.history),
            }
        )
        run.loss_sum.zero_()
        run.correct_sum.zero_()
        confusion: list[list[int]] = validation.confusion.tolist()
        return confusion

    def _save_checkpoint(self, run: Run, model: ResNet) -> dict[str, Any]:
        """Writes the checkpoint, and returns its test figures, measured on the stored weights."""
        recipe, place = run.recipe, self.placement
        weights = restore_padding(model, recipe.image_px, self.backbone.weights)
        weights = checkpoint.to_stored(weights)
        checkpoint.verify_weights(weights, recipe.name)
        logits = {
            name: stored_logits(
                weights,
                self.splits[name].images,
                recipe.image_px,
                place.device,
                place.world,
                keep=recipe.frozen and place.brief,
            )
            for name in ("validation", "test")
        }
        figures = {
            name: describe_figures(logits[name], self.splits[name].labels) for name in logits
        }
        if not place.world.writes:
            return figures["test"]
        record = {
            "format": checkpoint.RECORD_FORMAT,
            "name": recipe.name,
            "recipe": recipe.as_dict(),
            "classes": list(CLASSES),
            "mean": list(IMAGE_MEAN),
            "std": list(IMAGE_STD),
            "data": {
                "name": self.data.name,
                "digest": self.data.digest,
                **{f"{name}_count": len(split) for name, split in self.splits.items()},
            },
            "backbone": {"name": self.backbone.name, "sha256": self.backbone.sha256},
            **({"origin": self.origin} if self.origin else {}),
            "history": run.history,
            **figures,
            "energy_threshold": metrics.energy_threshold(logits["validation"]),
            "precision": self._precision(recipe),
            "processes": place.world.size,
            "hardware": describe_hardware(place.device),
            "versions": {
                "quartet": trainer.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
            },
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "train_s": run.train_s,
        }
        checkpoint.save_checkpoint(
            place.folder,
            recipe.name,
            weights,
            checkpoint.describe(record),
            checkpoint.Predictions(logits["test"].softmax(dim=1), self.splits["test"].labels),
            record,
        )
        checkpoint.drop_states(place.folder, recipe.name)
        return figures["test"]


def build_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Builds the recipe's optimizer over the network's trainable parameters, fused."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    adam = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return adam(
        parameters,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, recipe.beta2),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
