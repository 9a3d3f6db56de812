"""The training loop: `fit` takes one recipe from pre-trained weights to a checkpoint.

Every random choice is a function of the seed and the epoch (see `augment.plan_epoch`), so
a state is just weights, optimizer and sums, and a resumed run on the CPU ends bit-identical
to one that was never interrupted.
"""

import contextlib
import datetime
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet

import trainer
from trainer import checkpoint, metrics
from trainer.augment import plan_epoch
from trainer.data import Dataset, Split, split_validation
from trainer.distributed import World
from trainer.events import EpochFinished, OnEvent, RunFailed, RunFinished, RunStarted, StepSummary
from trainer.examples import Examples, FeatureExamples, ImageExamples, over_images
from trainer.model import (
    Backbone,
    build_model,
    build_pretrained,
    prepare_for_training,
    restore_padding,
    trim_padding,
)
from trainer.recipe import CLASSES, IMAGE_MEAN, IMAGE_STD, Recipe
from trainer.resources import describe_hardware, sample_resources

SUMMARY_EVERY_S = 5.0


class TrainingError(Exception):
    """The run stopped by a fault. The message says what and where."""


class Interrupted(Exception):
    """The run was told to stop, and has saved its state."""


class StopRequest:
    """Set by a signal, read between steps."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns the first SIGTERM or Ctrl-C into a request to save and stop; a second one acts
    as usual."""
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, _frame: object) -> None:
        request.signal = signal.Signals(number)
        for old in before:
            signal.signal(old, before[old])

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Placement:
    """Where a run computes, writes, and how often it saves."""

    folder: Path
    device: torch.device
    precision: str = "fp32"
    """`fp32`, or `bf16` for autocast of the training steps. Figures are always fp32."""
    resume: bool = False
    save_every_s: float = 60.0
    world: World = field(default_factory=World)


class Trainer:
    """Fits recipes on one data set and backbone, computing frozen features once for all."""

    def __init__(self, data: Dataset, backbone: Backbone, placement: Placement) -> None:
        self.data = data
        self.backbone = backbone
        self.placement = placement
        training, validation = split_validation(data.train)
        self.splits: dict[str, Split] = {
            "train": training,
            "validation": validation,
            "test": data.test,
        }
        self._features: dict[tuple[int, bool], FeatureExamples] = {}

    def fit(self, recipe: Recipe, on_event: OnEvent, stop: StopRequest) -> None:
        """Trains `recipe` and writes its checkpoint into the placement's folder.

        Raises:
            TrainingError: the loss is not finite, or a saved run is of another recipe.
            Interrupted: `stop` was set; the state is saved.
            OSError: the disk is full or read-only; whatever was saved before is intact.
        """
        place = self.placement
        run = _Run(recipe)
        try:
            with sample_resources(recipe.name, on_event, place.device):
                self._fit(run, on_event, stop)
        except Exception as error:
            on_event(RunFailed(recipe.name, reason=str(error), step=run.step))
            raise
        on_event(
            RunFinished(
                recipe.name,
                test_accuracy=run.history[-1]["test_accuracy"],
                test_loss=run.history[-1]["test_loss"],
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
        if record["recipe"] != recipe.as_dict() or record["data"]["digest"] != self.data.digest:
            raise TrainingError(
                f"{folder} holds a finished {recipe.name} run with other settings or data: "
                f"give the same ones, or another --out."
            )
        return True

    def _fit(self, run: "_Run", on_event: OnEvent, stop: StopRequest) -> None:
        recipe, place = run.recipe, self.placement
        world, device = place.world, place.device
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
        run.total_steps = recipe.epochs * steps_per_epoch

        model = build_pretrained(self.backbone, recipe.seed)
        initial = {name: value.clone() for name, value in model.state_dict().items()}
        prepare_for_training(model, recipe)
        model.to(device)
        examples = self._examples(recipe, model)
        optimizer = build_optimizer(recipe, examples.network)
        run.network, run.optimizer = examples.network, optimizer
        run.loss_sum = torch.zeros((), device=device)
        run.correct_sum = torch.zeros((), device=device)
        run.bad_step = torch.full((), -1.0, device=device)
        if place.resume:
            run.restore(place.folder, self._identity(recipe))
        network = world.wrap(examples.network)
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

        run.start_clock()
        while len(run.history) < recipe.epochs:
            epoch = len(run.history) + 1
            plan = plan_epoch(recipe, epoch, len(self.splits["train"]), device)
            while run.step < epoch * steps_per_epoch:
                first = (run.step - (epoch - 1) * steps_per_epoch) * recipe.batch_size
                mine = slice(first + world.rank, first + recipe.batch_size, world.size)
                learning_rate = recipe.learning_rate_at(run.step, run.total_steps)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate

                inputs, labels = examples.train_batch(plan, mine)
                with torch.autocast(device.type, torch.bfloat16, place.precision == "bf16"):
                    logits = network(inputs)
                loss = F.cross_entropy(logits.float(), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                run.guard(loss)
                optimizer.step()
                run.count(loss, logits, labels)

                if run.summary_due() or stop.signal:
                    run.raise_if_not_finite()
                    on_event(run.summarise(steps_per_epoch, learning_rate, world))
                if world.size == 1 and (run.save_due(place.save_every_s) or stop.signal):
                    self._save_state(run)
                if stop.signal:
                    raise Interrupted(f"stopped by {stop.signal.name} after step {run.step}")
            run.raise_if_not_finite()
            run.tick(training=True)
            self._finish_epoch(run, examples, steps_per_epoch)
            on_event(EpochFinished(recipe.name, epochs=recipe.epochs, **run.history[-1]))
            if world.size > 1 and world.writes:
                self._save_state(run)

        self._save_checkpoint(run, model, initial)
        run.tick(training=False)

    def _examples(self, recipe: Recipe, model: ResNet) -> Examples:
        place = self.placement
        if not recipe.frozen:
            return ImageExamples(model, recipe, self.splits, place.device, place.world)
        key = recipe.image_px, recipe.flip
        if key not in self._features:
            self._features[key] = FeatureExamples(
                model, recipe, self.splits, place.device, place.world
            )
        return self._features[key].with_head(model.fc)

    def _identity(self, recipe: Recipe) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return {
            "recipe": recipe.as_dict(),
            "data": self.data.digest,
            "backbone": self.backbone.sha256,
            "precision": self.placement.precision,
        }

    def _save_state(self, run: "_Run") -> None:
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

    def _finish_epoch(self, run: "_Run", examples: Examples, steps_per_epoch: int) -> None:
        """Evaluates, and moves the epoch's sums into the history."""
        seen = steps_per_epoch * run.recipe.batch_size
        sums = self.placement.world.sum(torch.stack([run.loss_sum, run.correct_sum]))
        validation = metrics.measure(
            examples.logits("validation"), self.splits["validation"].labels
        )
        test = metrics.measure(examples.logits("test"), self.splits["test"].labels)
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

    def _save_checkpoint(self, run: "_Run", model: ResNet, initial: dict[str, Tensor]) -> None:
        """Writes the checkpoint, its figures measured on the weights as stored."""
        recipe, place = run.recipe, self.placement
        weights = checkpoint.to_stored(restore_padding(model, recipe.image_px, initial))
        checkpoint.verify_weights(weights, recipe.name)
        logits = {
            name: stored_logits(
                weights, self.splits[name].images, recipe.image_px, place.device, place.world
            )
            for name in ("validation", "test")
        }
        if not place.world.writes:
            return
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
            "history": run.history,
            "validation": describe_figures(logits["validation"], self.splits["validation"].labels),
            "test": describe_figures(logits["test"], self.splits["test"].labels),
            "energy_threshold": metrics.energy_threshold(logits["validation"]),
            "precision": place.precision,
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
            logits["test"].softmax(dim=1),
            record,
        )
        checkpoint.drop_states(place.folder, recipe.name)


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
    return torch.optim.Adam(
        parameters,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        fused=True,
    )


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Switches off TF32, so that fp32 figures agree between GPU and CPU to rounding."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def stored_logits(
    weights: dict[str, Tensor],
    images: Tensor,
    image_px: int,
    device: torch.device,
    world: World | None = None,
) -> Tensor:
    """Logits `(N, 10)` float32 on the CPU of stored weights for `images (N, 3, 32, 32)` uint8.

    Recorded figures come from here, and `evaluate` calls it again.
    """
    model = build_model()
    model.load_state_dict(weights)
    trim_padding(model, image_px)
    model.eval().to(device, memory_format=torch.channels_last)
    with exact_arithmetic():
        return over_images(model, images.to(device), image_px, world).cpu()


def describe_figures(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """A record's figures of one split: accuracy, loss, confusion matrix and what follows."""
    figures = metrics.measure(logits, labels)
    per_class = metrics.per_class_accuracy(figures.confusion)
    return {
        "accuracy": figures.accuracy,
        "loss": figures.loss,
        "confusion": figures.confusion.tolist(),
        "per_class_accuracy": per_class.tolist(),
        "best_class": CLASSES[int(per_class.argmax())],
        "worst_class": CLASSES[int(per_class.argmin())],
        "calibration_error": figures.calibration_error,
    }


class _Run:
    """One recipe's progress: everything that a state holds."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    loss_sum: Tensor
    correct_sum: Tensor
    bad_step: Tensor
    """Step at which the loss first was not finite, or -1."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.step = 0
        self.total_steps = 0
        self.history: list[dict[str, Any]] = []
        self.train_s = 0.0
        self.seconds = 0.0
        self.last_save_s = 0.0

    def start_clock(self) -> None:
        """Starts counting, from what a resumed state had counted."""
        self._now = time.monotonic()
        self._summarised_s = self.last_save_s = self.seconds
        self._first_train_s, self._first_step = self.train_s, self.step

    def tick(self, training: bool) -> None:
        """Counts the time since the last tick, as spent on training steps or on the rest."""
        elapsed = time.monotonic() - self._now
        self._now += elapsed
        self.seconds += elapsed
        self.train_s += elapsed if training else 0.0

    def summary_due(self) -> bool:
        """True when `SUMMARY_EVERY_S` have passed since the last summary."""
        return self.seconds + time.monotonic() - self._now >= self._summarised_s + SUMMARY_EVERY_S

    def save_due(self, every_s: float) -> bool:
        """True when `every_s` have passed since the last save."""
        return self.seconds + time.monotonic() - self._now >= self.last_save_s + every_s

    def count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds a finished step to the epoch's sums, on the device."""
        self.loss_sum += loss.detach() * len(labels)
        self.correct_sum += (logits.detach().argmax(dim=1) == labels).sum()
        self.step += 1

    def summarise(self, steps_per_epoch: int, learning_rate: float, world: World) -> StepSummary:
        """Says how far the run is and how fast it goes (this process's own sums)."""
        self.tick(training=True)
        self._summarised_s = self.seconds
        step_s = (self.train_s - self._first_train_s) / (self.step - self._first_step)
        images = (self.step - len(self.history) * steps_per_epoch) * self.recipe.batch_size
        return StepSummary(
            self.recipe.name,
            step=self.step,
            total_steps=self.total_steps,
            train_loss=self.loss_sum.item() * world.size / images,
            learning_rate=learning_rate,
            images_per_s=self.recipe.batch_size / step_s,
            remaining_s=(self.total_steps - self.step) * step_s,
        )

    def guard(self, loss: Tensor) -> None:
        """Makes `optimizer.step` do nothing when `loss` is not finite.

        A GPU decides this by itself, through the flag that fused optimizers take from torch's
        GradScaler, so the host need not wait for each loss; it looks when it reports. On the
        CPU looking costs nothing.
        """
        bad = ~loss.detach().isfinite()
        self.bad_step = torch.where(bad & (self.bad_step < 0), float(self.step), self.bad_step)
        self.optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        if loss.device.type == "cpu":
            self.raise_if_not_finite()

    def raise_if_not_finite(self) -> None:
        """Raises TrainingError if a loss was not finite."""
        step = int(self.bad_step.item())
        if step >= 0:
            learning_rate = self.recipe.learning_rate_at(step, self.total_steps)
            raise TrainingError(
                f"the loss of {self.recipe.name} is not finite at step {step + 1} (learning rate "
                f"{learning_rate:g}); the weights were not changed by it. Try a lower rate or "
                f"another seed."
            )

    def tensors(self) -> dict[str, Tensor]:
        """Weights, optimizer state and sums, flat."""
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
        return tensors | {"loss_sum": self.loss_sum, "correct_sum": self.correct_sum}

    def restore(self, folder: Path, identity: dict[str, Any]) -> None:
        """Continues from the newest whole state in `folder`, if there is one.

        Raises:
            TrainingError: the state belongs to other settings, data or backbone.
        """
        found = checkpoint.load_newest_state(folder, self.recipe.name)
        if found is None:
            return
        tensors, info = found
        if info["identity"] != identity:
            differing = [key for key in identity if info["identity"].get(key) != identity[key]]
            raise TrainingError(
                f"{folder} holds an unfinished {self.recipe.name} run of another "
                f"{' and '.join(differing)}: give the same settings, or another --out."
            )
        weights: dict[str, Tensor] = {}
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, rest = key.partition(".")
            if part == "network":
                weights[rest] = tensor
            elif part == "optimizer":
                index, _, name = rest.partition(".")
                state.setdefault(int(index), {})[name] = tensor
        self.network.load_state_dict(weights)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.loss_sum.copy_(tensors["loss_sum"])
        self.correct_sum.copy_(tensors["correct_sum"])
        self.step, self.history = info["step"], info["history"]
        self.train_s, self.seconds = info["train_s"], info["seconds"]
