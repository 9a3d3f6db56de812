import pytest
import torch

from trainer.augment import augment, normalise, plan_epoch
from trainer.recipe import IMAGE_MEAN, IMAGE_STD, PRESETS

RECIPE = PRESETS["default"]["sgd_full"]
CPU = torch.device("cpu")


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 32, 32), generator=generator, dtype=torch.uint8)


def test_shift_of_the_padding_is_the_image_itself(images: torch.Tensor) -> None:
    same = augment(images, torch.zeros(6, dtype=torch.bool), torch.full((6, 2), 4), 4)
    assert torch.equal(same, images.float())


def test_shift_and_flip_move_each_image_by_its_own_amount(images: torch.Tensor) -> None:
    flip = torch.tensor([False, True] * 3)
    shift = torch.tensor([[4, 4], [4, 4], [6, 4], [4, 1], [0, 8], [8, 0]])
    moved = augment(images, flip, shift, 4)
    source = images.float()
    assert torch.equal(moved[1], source[1].flip(2))
    assert torch.equal(moved[2, :, :30], source[2, :, 2:])  # two rows up
    assert torch.equal(moved[3].flip(2)[:, :, 3:], source[3, :, :, :-3])  # three columns right
    assert torch.equal(moved[4, :, 0, 0], source[4, :, 4, 4])  # reflected at the top edge


def test_normalised_channels_match_the_formula(images: torch.Tensor) -> None:
    inputs = normalise(images, 32)
    expected = (images[0, 1, 5, 7].item() / 255 - IMAGE_MEAN[1]) / IMAGE_STD[1]
    assert inputs[0, 1, 5, 7].item() == pytest.approx(expected, abs=1e-5)
    assert normalise(images, 48).shape == (6, 3, 48, 48)


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    first = plan_epoch(RECIPE, 1, 100, CPU)
    again = plan_epoch(RECIPE, 1, 100, CPU)
    second = plan_epoch(RECIPE, 2, 100, CPU)
    other_seed = plan_epoch(RECIPE.changed(seed=1), 1, 100, CPU)
    assert torch.equal(first.order, again.order)
    assert torch.equal(first.shift, again.shift)
    assert not torch.equal(first.order, second.order)
    assert not torch.equal(first.order, other_seed.order)
    assert torch.equal(first.order.sort().values, torch.arange(100))
    assert first.shift.min() >= 0
    assert first.shift.max() <= 8
    assert not plan_epoch(RECIPE.changed(flip=False), 1, 100, CPU).flip.any()
