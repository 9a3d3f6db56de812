"""The models as the app uses them."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.batching import Batcher
from demo.models import Models
from tests.conftest import CHECKPOINTS
from trainer.data import Dataset


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(CHECKPOINTS)


def test_few_test_images_are_said_to_be_none_of_the_classes(
    models: Models, sample: Dataset
) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(models.classify, sample.test.images.numpy()))
    for answer in answers:
        flagged = 0
        for name, model in answer["models"].items():
            assert model["familiar"] == (model["energy"] <= models.records[name].energy_threshold)
            flagged += not model["familiar"]
        assert answer["familiar"] == (flagged < 2)
    unfamiliar = sum(not answer["familiar"] for answer in answers) / len(answers)
    assert 0.01 < unfamiliar < 0.12


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
