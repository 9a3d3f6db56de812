import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from trainer import checkpoint
from trainer.data import Dataset
from trainer.engine import Trainer
from trainer.events import Event, StepSummary
from trainer.model import Backbone
from trainer.optimizers import build_optimizer
from trainer.placement import Placement
from trainer.recipe import PRESETS, Recipe
from trainer.run import AVERAGED_EVERY, Run
from trainer.stop import Interrupted, StopRequest

CPU = torch.device("cpu")
AVERAGED = PRESETS["report"]["adam_full"].changed(
    steps=4 * AVERAGED_EVERY + 3,
    batch_size=8,
    average_decay=0.9,
    crop_area_min=0.5,
    crop_area_max=2.0,
    crop_padding_px=0,
    colour_jitter=0.4,
    blur_fraction=0.5,
    label_smoothing=0.1,
)


def make_run(recipe: Recipe) -> Run:
    network = nn.BatchNorm1d(2)
    return Run(recipe, network, build_optimizer(recipe, network), 1000, CPU)


def test_average_lags_behind_the_weights_and_their_statistics() -> None:
    run = make_run(AVERAGED)
    with torch.no_grad():
        run.network.weight.fill_(5.0)  # type: ignore[operator]
        run.network.running_mean.fill_(3.0)  # type: ignore[operator]
    measured = run.measured.state_dict()
    seen = []
    nothing = torch.zeros(()), torch.zeros(8, 10), torch.zeros(8, dtype=torch.int64)
    for _ in range(400):
        run.count(*nothing)
        seen.append((measured["weight"][0].item(), measured["running_mean"][0].item()))
    weights, means = zip(*seen, strict=True)
    assert weights[0] == 1.0  # nothing moves between two updates
    assert 1 < weights[AVERAGED_EVERY] < 5
    assert list(weights) == sorted(weights)
    assert weights[-1] == pytest.approx(5.0, abs=0.01)
    assert means[-1] == pytest.approx(3.0, abs=0.01)


def test_without_a_decay_the_weights_themselves_are_measured() -> None:
    run = make_run(AVERAGED.changed(average_decay=0.0))
    assert run.measured is run.network


def test_averaged_run_resumes_to_the_same_bits(
    sample: Dataset, backbone: Backbone, tmp_path: Path
) -> None:
    def fit(
        folder: str, stop: StopRequest, stop_at: int | None = None, resume: bool = False
    ) -> None:
        place = Placement(tmp_path / folder, CPU, "bf16", resume=resume, summary_every_s=0.0)

        def on_event(event: Event) -> None:
            if isinstance(event, StepSummary) and event.step == stop_at:
                stop.signal = signal.SIGTERM

        Trainer(sample, backbone, place, splits).fit(AVERAGED, on_event, stop)

    few = torch.arange(0, 500, 10)
    splits = {name: sample.test.subset(few) for name in ("train", "validation", "test")}
    fit("whole", StopRequest())
    with pytest.raises(Interrupted):
        # Between two updates of the average, and in the middle of an epoch.
        fit("parts", StopRequest(), stop_at=2 * AVERAGED_EVERY + 1)
    fit("parts", StopRequest(), resume=True)
    whole = checkpoint.load_checkpoint(tmp_path / "whole", "adam_full")
    parts = checkpoint.load_checkpoint(tmp_path / "parts", "adam_full")
    assert all(torch.equal(parts.weights[key], whole.weights[key]) for key in whole.weights)
    assert whole.record.precision == "bf16"
