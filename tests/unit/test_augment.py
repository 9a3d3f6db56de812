import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
)

from trainer.augment import EpochPlan, augment, normalise, plan_epoch
from trainer.recipe import IMAGE_MEAN, IMAGE_STD, PRESETS, Recipe

RECIPE = PRESETS["report"]["sgd_full"].changed(crop_padding_px=4)
VARIED = RECIPE.changed(
    image_px=64, crop_padding_px=0, crop_area_min=0.25, blur_fraction=0.5, colour_jitter=0.0
)
CPU = torch.device("cpu")


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 32, 32), generator=generator, dtype=torch.uint8)


def make_plan(recipe: Recipe, count: int = 6, **drawn: torch.Tensor) -> EpochPlan:
    """A plan that leaves every image as it is, but for what is given."""
    centred = torch.full((count, 2), recipe.crop_padding_px)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(count, 4)
    plan = EpochPlan(
        order=torch.arange(count),
        flip=torch.zeros(count, dtype=torch.bool),
        shift=centred,
        box=whole,
        colour=torch.ones(count, 3),
        blur=torch.ones(count),
        sharpening=torch.zeros(count),
    )
    return dataclasses.replace(plan, **drawn)


def test_shift_of_the_padding_is_the_image_itself(images: torch.Tensor) -> None:
    assert torch.equal(augment(images, make_plan(RECIPE), RECIPE, RECIPE.image_px), images.float())


def test_shift_and_flip_move_each_image_by_its_own_amount(images: torch.Tensor) -> None:
    flip = torch.tensor([False, True] * 3)
    shift = torch.tensor([[4, 4], [4, 4], [6, 4], [4, 1], [0, 8], [8, 0]])
    moved = augment(images, make_plan(RECIPE, flip=flip, shift=shift), RECIPE, RECIPE.image_px)
    source = images.float()
    assert torch.equal(moved[1], source[1].flip(2))
    assert torch.equal(moved[2, :, :30], source[2, :, 2:])  # two rows up
    assert torch.equal(moved[3].flip(2)[:, :, 3:], source[3, :, :, :-3])  # three columns right
    assert torch.equal(moved[4, :, 0, 0], source[4, :, 4, 4])  # reflected at the top edge


def test_a_crop_of_everything_is_the_plain_enlargement(images: torch.Tensor) -> None:
    flip = torch.tensor([False, True] * 3)
    enlarged = augment(images, make_plan(VARIED, flip=flip), VARIED, VARIED.image_px)
    expected = F.interpolate(images.float(), size=64, mode="bilinear", align_corners=False)
    assert torch.allclose(enlarged[::2], expected[::2], atol=1e-3)
    assert torch.allclose(enlarged[1::2], expected[1::2].flip(3), atol=1e-3)


def test_a_crop_shows_its_part_of_the_image(images: torch.Tensor) -> None:
    # The right half of the upper half: 16 native pixels a side, enlarged four times.
    box = torch.tensor([0.0, 0.5, 0.5, 0.5]).expand(6, 4)
    cropped = augment(images, make_plan(VARIED, box=box), VARIED, VARIED.image_px)
    assert cropped.shape == (6, 3, 64, 64)
    # The means of the crop's inner pixels do not see beyond its edges.
    means = cropped[:, :, 8:56, 8:56].mean((2, 3))
    assert torch.allclose(means, images[:, :, 2:14, 18:30].float().mean((2, 3)), atol=2.0)
    # An output pixel's centre on a native one's gives that pixel back (half-way between two).
    middle = cropped[:, :, 1:3, 1:3].mean((2, 3))
    assert torch.allclose(middle, images[:, :, 0, 16].float(), atol=40.0)


def test_blur_keeps_flat_areas_and_softens_edges() -> None:
    edge = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    edge[..., 16:] = 200
    sharp = augment(edge, make_plan(VARIED), VARIED, VARIED.image_px)
    soft = augment(edge, make_plan(VARIED, blur=torch.full((6,), 2.0)), VARIED, VARIED.image_px)
    assert torch.allclose(soft[..., :24], sharp[..., :24], atol=1e-3)
    assert torch.allclose(soft[..., 40:], sharp[..., 40:], atol=1e-3)
    assert soft.diff(dim=3).max() < 0.75 * sharp.diff(dim=3).max()


def test_sharpening_is_an_unsharp_mask_of_the_enlarged_image(images: torch.Tensor) -> None:
    strength = torch.tensor([0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    recipe = VARIED.changed(sharpening=4.0)
    sharp = augment(images, make_plan(recipe, sharpening=strength), recipe, recipe.image_px)
    plain = augment(images, make_plan(VARIED), VARIED, VARIED.image_px)
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    padded = F.pad(plain, (1, 1, 1, 1), mode="reflect")
    soft = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)
    expected = (plain + strength[:, None, None, None] * (plain - soft)).clamp(0, 255)
    assert torch.allclose(sharp, expected, atol=0.05)
    assert torch.equal(sharp[0], plain[0])
    drawn = plan_epoch(recipe, 1, 1000, CPU).sharpening
    assert drawn.min() >= 0
    assert drawn.max() <= 4
    assert drawn.std() > 0.5


def test_colour_factors_do_as_torchvision_does(images: torch.Tensor) -> None:
    recipe = VARIED.changed(crop_area_min=1.0, blur_fraction=0.0, colour_jitter=0.4)
    factors = torch.rand(6, 3, generator=torch.Generator().manual_seed(1)) + 0.5
    recoloured = augment(images, make_plan(recipe, colour=factors), recipe, recipe.image_px)
    for index, (brightness, contrast, saturation) in enumerate(factors.tolist()):
        expected = images[index].float() / 255
        expected = adjust_brightness(expected, brightness)
        expected = adjust_contrast(expected, contrast)
        expected = adjust_saturation(expected, saturation)
        # torchvision's luma has fewer digits.
        assert torch.allclose(recoloured[index], expected * 255, atol=0.1)


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


def test_what_a_recipe_does_not_vary_stays_as_it_is() -> None:
    plan = plan_epoch(RECIPE, 1, 100, CPU)
    assert torch.equal(plan.box, torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(100, 4))
    assert torch.equal(plan.colour, torch.ones(100, 3))
    assert torch.equal(plan.blur, torch.ones(100))


def test_crops_keep_at_least_their_least_area_and_stay_inside() -> None:
    plan = plan_epoch(VARIED.changed(colour_jitter=0.3), 1, 2000, CPU)
    corner, size = plan.box[:, :2], plan.box[:, 2:]
    area = size.prod(1)
    assert 0.2 < area.min() < 0.35  # a narrow crop that would stick out is cut
    assert area.max() > 0.9
    assert corner.min() >= 0
    assert (corner + size).max() <= 1 + 1e-6
    assert 0.7 <= plan.colour.min() < 0.75 < 1.25 < plan.colour.max() <= 1.3
    assert (plan.blur > 1).float().mean().item() == pytest.approx(0.5, abs=0.05)
    whole, part = vars(plan), vars(plan.part(slice(10, 20)))
    assert all(torch.equal(part[name], whole[name][10:20]) for name in whole)


def test_a_crop_beyond_the_image_mirrors_it(images: torch.Tensor) -> None:
    recipe = VARIED.changed(crop_area_max=4.0)
    box = torch.tensor([-0.5, -0.5, 2.0, 2.0]).expand(6, 4)
    shown = augment(
        images, make_plan(recipe, box=box), recipe, recipe.image_px
    )  # one output pixel a native one
    assert torch.allclose(shown[:, :, 16:48, 16:48], images.float(), atol=1e-3)
    assert torch.allclose(shown[:, :, :16, 16:48], images[:, :, :16].float().flip(2), atol=1e-3)
    assert torch.allclose(shown[:, :, 16:48, 48:], images[..., 16:].float().flip(3), atol=1e-3)
    drawn = plan_epoch(recipe, 1, 2000, CPU).box[:, 2:].prod(1)
    assert drawn.max() > 3.5
