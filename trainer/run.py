"""One recipe's run in progress: its clock, its running sums, and the state it resumes from."""

import copy
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.distributed import World
from trainer.events import StepSummary
from trainer.recipe import Recipe

AVERAGED_EVERY = 8
"""Steps between two updates of the running average, which each cost as much as reading all
weights thrice; the decay is raised to this power."""


class TrainingError(Exception):
    """The run stopped by a fault. The message says what and where."""


class Run:
    """One recipe's progress: everything that a state holds."""

    network: nn.Module
    measured: nn.Module
    """The network whose weights are evaluated and stored: the running average, or `network`."""
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

    def start_average(self) -> None:
        """Begins the running average of the network's weights where the recipe wants one."""
        self.measured = self.network
        if self.recipe.average_decay:
            self.measured = copy.deepcopy(self.network).requires_grad_(False)

    @torch.no_grad()
    def average(self) -> None:
        """Moves the running average, BatchNorm's statistics included, towards the weights.

        Source: Polyak and Juditsky, 1992, in exponential form; the decay grows from the first
        steps on as in TensorFlow's `ExponentialMovingAverage`, so that the start is soon forgotten.
        """
        if self.measured is self.network or self.step % AVERAGED_EVERY:
            return
        updates = self.step // AVERAGED_EVERY
        decay = min(self.recipe.average_decay**AVERAGED_EVERY, (1 + updates) / (10 + updates))
        averages, values = self.measured.state_dict(), self.network.state_dict()
        for name, average in averages.items():
            if average.is_floating_point():
                average.lerp_(values[name], 1 - decay)
            else:
                average.copy_(values[name])

    def start_clock(self) -> None:
        """Starts counting, before anything is prepared."""
        self._now = time.monotonic()

    def start_steps(self) -> None:
        """Counts the preparation, which may have added a resumed state's times."""
        self.tick(training=False)
        self._summarised_s = self.last_save_s = self.seconds
        self._first_train_s, self._first_step = self.train_s, self.step

    def tick(self, training: bool) -> None:
        """Counts the time since the last tick, as spent on training steps or on the rest."""
        elapsed = time.monotonic() - self._now
        self._now += elapsed
        self.seconds += elapsed
        self.train_s += elapsed if training else 0.0

    def summary_due(self, every_s: float) -> bool:
        """True when `every_s` have passed since the last summary."""
        return self.seconds + time.monotonic() - self._now >= self._summarised_s + every_s

    def save_due(self, every_s: float) -> bool:
        """True when `every_s` have passed since the last save."""
        return self.seconds + time.monotonic() - self._now >= self.last_save_s + every_s

    def count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds a finished step to the epoch's sums, on the device."""
        self.loss_sum += loss.detach() * len(labels)
        self.correct_sum += (logits.detach().argmax(dim=1) == labels).sum()
        self.step += 1
        self.average()

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
        if self.measured is not self.network:
            tensors |= {f"average.{name}": t for name, t in self.measured.state_dict().items()}
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
        self.loss_sum.copy_(tensors["loss_sum"])
        self.correct_sum.copy_(tensors["correct_sum"])
        self.step, self.history = info["step"], info["history"]
        self.train_s += info["train_s"]
        self.seconds += info["seconds"]
