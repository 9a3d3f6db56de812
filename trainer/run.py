"""One recipe's run in progress: its clock, its running sums, and the state it resumes from."""

import contextlib
import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.distributed import World
from trainer.errors import TrainingError
from trainer.events import StepSummary
from trainer.recipe import Recipe
from trainer.record import Epoch
from trainer.step_sizes import StepSizes

AVERAGED_EVERY = 8
"""Steps between two updates of the running average, which each cost as much as reading all
weights thrice; the decay is raised to this power."""


class Clock:
    """Counts a run's seconds from its making, spent on training steps or on the rest."""

    def __init__(self) -> None:
        self._now = time.monotonic()
        self.seconds = 0.0
        self.train_s = 0.0

    def tick(self, training: bool = False) -> None:
        """Counts the time since the last tick."""
        elapsed = time.monotonic() - self._now
        self._now += elapsed
        self.seconds += elapsed
        self.train_s += elapsed if training else 0.0

    @property
    def now_s(self) -> float:
        """Seconds so far, those since the last tick included."""
        return self.seconds + time.monotonic() - self._now

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count what the block takes."""
        self.tick()
        yield
        self._now = time.monotonic()


class Run:
    """One recipe's progress: everything that a state holds."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        train_count: int,
        device: torch.device,
    ) -> None:
        """
        Args:
            network: what is trained, on the device; a frozen recipe's is the last layer alone.
            train_count: images to train on.

        Raises:
            TrainingError: the batch is larger than the training images.
        """
        if train_count < recipe.batch_size:
            raise TrainingError("batch_too_large", batch_size=recipe.batch_size, images=train_count)
        self.recipe = recipe
        self.network = network
        self.measured = network
        """What is evaluated and stored: the running average of the weights, or `network`."""
        if recipe.average_decay:
            self.measured = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = optimizer
        self.steps_per_epoch = train_count // recipe.batch_size
        self.total_steps = recipe.steps or recipe.epochs * self.steps_per_epoch
        self.ended_early = False
        self.damaged_states = 0
        """Newer states that were passed over when the run was restored."""
        self.step = 0
        self.history: list[Epoch] = []
        self.clock = Clock()
        self.step_sizes = StepSizes(network, device)
        self._loss_sum = torch.zeros((), device=device)
        self._correct_sum = torch.zeros((), device=device)
        self._bad_step = torch.full((), -1.0, device=device)  # the first with a loss not finite
        self._summarised_s = self._saved_s = 0.0
        self._first_train_s, self._first_step = 0.0, 0

    @property
    def epochs(self) -> int:
        """Passes over the training images, the last perhaps cut short."""
        return -(-self.total_steps // self.steps_per_epoch)

    @property
    def epoch(self) -> int:
        """The present epoch, from 1."""
        return len(self.history) + 1

    @property
    def epoch_start(self) -> int:
        """Steps before the present epoch."""
        return len(self.history) * self.steps_per_epoch

    @property
    def epoch_end(self) -> int:
        """Steps after which the present epoch ends."""
        return min(self.epoch_start + self.steps_per_epoch, self.total_steps)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.recipe.learning_rate_at(self.step, self.total_steps)

    @property
    def image_px(self) -> int:
        """Side of what the next step sees."""
        return self.recipe.image_px_at(self.step, self.total_steps)

    def end_here(self) -> None:
        """Makes the step just taken the last one."""
        self.ended_early = self.step < self.total_steps
        self.total_steps = self.step

    def start_steps(self) -> None:
        """Counts what came before the first step as preparation."""
        self.clock.tick()
        self._summarised_s = self._saved_s = self.clock.seconds
        self._first_train_s, self._first_step = self.clock.train_s, self.step

    def summary_due(self, every_s: float) -> bool:
        """True when `every_s` have passed since the last summary."""
        return self.clock.now_s >= self._summarised_s + every_s

    def save_due(self, every_s: float) -> bool:
        """True when `every_s` have passed since the last save."""
        return self.clock.now_s >= self._saved_s + every_s

    def count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds a finished step to the epoch's sums, on the device."""
        self._loss_sum += loss.detach() * len(labels)
        self._correct_sum += (logits.detach().argmax(dim=1) == labels).sum()
        self.step += 1
        if self.measured is not self.network and self.step % AVERAGED_EVERY == 0:
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the running average, BatchNorm's statistics included, towards the weights.

        Source: Polyak and Juditsky, 1992, in exponential form; the decay grows from the first
        steps on as in TensorFlow's `ExponentialMovingAverage`, so that the start is soon forgotten.
        """
        updates = self.step // AVERAGED_EVERY
        decay = min(self.recipe.average_decay**AVERAGED_EVERY, (1 + updates) / (10 + updates))
        averages, values = self.measured.state_dict(), self.network.state_dict()
        for name, average in averages.items():
            if average.is_floating_point():
                average.lerp_(values[name], 1 - decay)
            else:
                average.copy_(values[name])

    def summarise(self, world: World) -> StepSummary:
        """Says how far the run is and how fast it goes (this process's own sums)."""
        self.clock.tick(training=True)
        self._summarised_s = self.clock.seconds
        step_s = (self.clock.train_s - self._first_train_s) / (self.step - self._first_step)
        images = (self.step - self.epoch_start) * self.recipe.batch_size
        return StepSummary(
            recipe=self.recipe.name,
            step=self.step,
            total_steps=self.total_steps,
            train_loss=self._loss_sum.item() * world.size / images,
            learning_rate=self.recipe.learning_rate_at(self.step - 1, self.total_steps),
            images_per_s=self.recipe.batch_size / step_s,
            remaining_s=(self.total_steps - self.step) * step_s,
        )

    def finish_epoch(self, world: World, **figures: float) -> Epoch:
        """Moves the epoch's sums into the history.

        Args:
            figures: validation and test losses and accuracies.
        """
        self.clock.tick()
        seen = (self.step - self.epoch_start) * self.recipe.batch_size
        sums = world.sum(torch.stack([self._loss_sum, self._correct_sum]))
        epoch = Epoch(
            epoch=self.epoch,
            train_loss=sums[0].item() / seen,
            train_accuracy=sums[1].item() / seen,
            learning_rate=self.recipe.learning_rate_at(self.step - 1, self.total_steps),
            train_s=self.clock.train_s - sum(epoch.train_s for epoch in self.history),
            seconds=self.clock.seconds - sum(epoch.seconds for epoch in self.history),
            step_sizes=self.step_sizes.take(),
            **figures,
        )
        self.history.append(epoch)
        self._loss_sum.zero_()
        self._correct_sum.zero_()
        return epoch

    def guard(self, loss: Tensor) -> None:
        """Makes `optimizer.step` do nothing when `loss` is not finite.

        A GPU decides this by itself, through the flag that fused optimizers take from torch's
        GradScaler, so the host need not wait for each loss; it looks when it reports. On the
        CPU looking costs nothing.
        """
        bad = ~loss.detach().isfinite()
        self._bad_step = torch.where(bad & (self._bad_step < 0), float(self.step), self._bad_step)
        self.optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        if loss.device.type == "cpu":
            self.raise_if_not_finite()

    def raise_if_not_finite(self) -> None:
        """Raises TrainingError if a loss was not finite."""
        step = int(self._bad_step.item())
        if step >= 0:
            raise TrainingError(
                "loss_not_finite",
                name=self.recipe.name,
                step=step + 1,
                learning_rate=self.recipe.learning_rate_at(step, self.total_steps),
            )

    def save(self, folder: Path, identity: dict[str, Any]) -> None:
        """Saves weights, optimizer state, sums and history.

        Args:
            identity: what must not change between a run and its continuation.

        Raises:
            OSError: the disk is full or read-only; older states are then intact.
        """
        self.clock.tick(training=True)
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
        if self.measured is not self.network:
            tensors |= {f"average.{name}": t for name, t in self.measured.state_dict().items()}
        tensors |= {"loss_sum": self._loss_sum, "correct_sum": self._correct_sum}
        tensors["step_sizes"] = self.step_sizes.sums
        info = {
            "identity": identity,
            "step": self.step,
            "history": [epoch.model_dump() for epoch in self.history],
            "train_s": self.clock.train_s,
            "seconds": self.clock.seconds,
        }
        checkpoint.save_state(folder, self.recipe.name, self.step, tensors, info)
        self.clock.tick()
        self._saved_s = self.clock.seconds

    def restore(self, folder: Path, identity: dict[str, Any]) -> None:
        """Continues from the newest whole state in `folder`, if there is one.

        Raises:
            TrainingError: the state belongs to other settings, data or backbone, or all states
                are damaged.
        """
        found = checkpoint.load_newest_state(folder, self.recipe.name)
        if found is None:
            return
        tensors, info = found
        if info["identity"] != identity:
            differing = [key for key in identity if info["identity"].get(key) != identity[key]]
            raise TrainingError(
                "run_unfinished_otherwise",
                folder=folder,
                name=self.recipe.name,
                differing=" and ".join(differing),
            )
        weights: dict[str, Tensor] = {}
        averages: dict[str, Tensor] = {}
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, rest = key.partition(".")
            if part == "network":
                weights[rest] = tensor
            elif part == "average":
                averages[rest] = tensor
            elif part == "optimizer":
                number, _, name = rest.partition(".")
                state.setdefault(int(number), {})[name] = tensor
        # Files hold tensors row by row; fused optimizers expect a parameter's own memory format.
        parameters = self.optimizer.param_groups[0]["params"]
        for index, values in state.items():
            like = parameters[index].detach()
            for name, tensor in values.items():
                if tensor.shape == like.shape:
                    values[name] = torch.empty_like(like).copy_(tensor)
        self.network.load_state_dict(weights)
        self.measured.load_state_dict(averages or weights)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self._loss_sum.copy_(tensors["loss_sum"])
        self._correct_sum.copy_(tensors["correct_sum"])
        if "step_sizes" in tensors:  # not in states of earlier versions
            self.step_sizes.sums.copy_(tensors["step_sizes"])
        self.step = info["step"]
        self.damaged_states = checkpoint.count_states_after(folder, self.recipe.name, self.step)
        self.history = [Epoch(**epoch) for epoch in info["history"]]
        self.clock.train_s += info["train_s"]
        self.clock.seconds += info["seconds"]
