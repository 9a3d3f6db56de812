"""The models as the app uses them."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from demo.batching import Batcher
from demo.models import Models
from trainer.data import Dataset


def test_every_picture_of_a_batch_has_its_own_verdict(
    detecting: Path, sample: Dataset, generator: torch.Generator
) -> None:
    models = Models(detecting)
    noise = torch.randint(0, 256, (8, 3, 32, 32), generator=generator, dtype=torch.uint8)
    mixed = torch.stack([sample.test.images[:8], noise], dim=1).flatten(0, 1).numpy()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(models.classify, mixed))
    assert sum(answer["familiar"] is True for answer in answers[::2]) >= 7
    assert sum(answer["familiar"] is False for answer in answers[1::2]) >= 7
    for answer in answers:
        assert set(answer["models"]) == set(models.records)


def test_questions_of_a_moment_share_a_batch() -> None:
    started, release = threading.Event(), threading.Event()
    sizes: list[int] = []

    def compute(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        started.set()
        release.wait(30)
        return [2 * number for number in batch]

    batcher = Batcher(compute, 8)
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(batcher.ask, 0)
        started.wait(30)
        rest = [pool.submit(batcher.ask, number) for number in range(1, 21)]
        while batcher._waiting.qsize() < 20:
            threading.Event().wait(0.001)
        release.set()
        assert [future.result(30) for future in [first, *rest]] == list(range(0, 42, 2))
    assert sizes == [1, 8, 8, 4]


def test_failed_batch_fails_its_questions_and_the_next_is_answered() -> None:
    def compute(batch: Sequence[int]) -> list[float]:
        return [1 / number for number in batch]

    batcher = Batcher(compute, 8)
    with pytest.raises(ZeroDivisionError):
        batcher.ask(0)
    assert batcher.ask(2) == 0.5
