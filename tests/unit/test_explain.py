"""Explanations as pure numbers, each held against a second way to compute it."""

import importlib
import re
from pathlib import Path as FilePath

import matplotlib
import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models import ResNet

import trainer.explain
from trainer.augment import normalise
from trainer.explain.heat import enlarge, measure_heat, share_in
from trainer.explain.movement import measure_movement, measure_stage_movement
from trainer.explain.neighbours import Bank, Neighbours, quantise
from trainer.explain.painting import MAGMA, paint_heat
from trainer.explain.paths import Path, list_places, pack_statistics, unpack_statistics
from trainer.explain.perturbations import PERTURBATIONS, Kind, perturb, trace_confidence
from trainer.explain.plane import fit_plane
from trainer.explain.reason import Reason, describe_reason, find_reason
from trainer.explain.similarity import measure_cka
from trainer.model import build_model
from trainer.predict import Body
from trainer.recipe import CLASSES
from trainer.resnet import FoldedBackbone, find_fine_stage

CAT, DOG = CLASSES.index("cat"), CLASSES.index("dog")


@pytest.fixture(scope="module")
def network() -> ResNet:
    """torchvision's, with BatchNorm statistics of its own."""
    torch.manual_seed(0)
    model = build_model().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                assert tensor is not None
                tensor.uniform_(-0.2, 0.2)
            for tensor in (module.running_var, module.weight.data):
                assert tensor is not None
                tensor.uniform_(0.7, 1.4)
    model.requires_grad_(False)
    return model


@pytest.fixture
def body(network: ResNet) -> Body:
    weights = network.state_dict()
    head = weights["fc.weight"], weights["fc.bias"]
    return Body(FoldedBackbone(weights, 64), 64, "", {"net": head})


def test_fine_stage_is_the_last_of_four_cells_a_side() -> None:
    assert [find_fine_stage(px) for px in (32, 48, 64, 96, 97, 224)] == [2, 2, 3, 3, 4, 4]


def test_heat_is_grad_cam_times_layer_cam_of_torchvisions_network(
    network: ResNet, body: Body, generator: torch.Generator
) -> None:
    inputs = torch.randn(2, 3, 64, 64, generator=generator)
    classes = torch.tensor([CAT, DOG])
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        def hook(_: object, __: object, output: Tensor) -> None:
            output.retain_grad()
            kept[name] = output

        handles.append(network.get_submodule(name).register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    keep("layer2")
    keep("layer3")
    logits = network(inputs.clone().requires_grad_())
    logits[torch.arange(2), classes].sum().backward()
    for handle in handles:
        handle.remove()
    gradients = {name: output.grad for name, output in kept.items()}
    assert gradients["layer2"] is not None
    assert gradients["layer3"] is not None
    coarse = torch.einsum("nc,nchw->nhw", gradients["layer3"].mean((2, 3)), kept["layer3"]).relu()
    fine = (gradients["layer2"].clamp(min=0) * kept["layer2"]).sum(1)
    expected = (enlarge(coarse, 8) * fine).detach()
    with torch.inference_mode():
        maps, features = body.backbone.look(inputs)
    assert torch.allclose(network.fc(features), logits, atol=1e-4)
    heat = measure_heat(body, "net", maps, classes)
    assert heat.shape == (2, 8, 8)
    for found, wanted in zip(heat, expected, strict=True):
        if wanted.any():
            assert torch.allclose(found, wanted / wanted.mean(), rtol=1e-3, atol=1e-3)
        else:
            assert not found.any()
    assert heat.any()


def test_heat_of_a_picture_does_not_depend_on_its_batch(
    body: Body, generator: torch.Generator
) -> None:
    maps = body.backbone.look(torch.randn(3, 3, 64, 64, generator=generator))[0]
    classes = torch.tensor([1, 2, 3])
    together = measure_heat(body, "net", maps, classes)
    alone = measure_heat(body, "net", maps[1:2], classes[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_heat_is_painted_on_one_scale_over_the_picture() -> None:
    picture = np.full((3, 4, 4), 100, np.uint8)
    picture[:, 0, 0] = 200
    heat = torch.zeros(2, 2)
    heat[1, 1] = 4
    painted = paint_heat(picture, heat, 4.0, 8).astype(int)
    assert painted.shape == (3, 8, 8)
    assert painted[:, 7, 7].tolist() == [round(20 + 0.8 * part) for part in MAGMA[-1]]
    assert painted[:, 0, 0].tolist() == [round(120 + 0.4 * part) for part in MAGMA[0]]
    half = paint_heat(picture, heat, 16.0, 8).astype(int)
    assert half[:, 7, 7].tolist() == [round(40 + 0.6 * part) for part in MAGMA[2]]
    assert np.array_equal(half[:, 0, 0], painted[:, 0, 0])
    none = paint_heat(picture, torch.zeros(2, 2), 0.0, 8)
    assert none[:, 7, 7].tolist() == [60, 60, 62]


def test_colours_of_heat_are_those_of_magma() -> None:
    theirs = matplotlib.colormaps["magma"](np.linspace(0, 1, len(MAGMA)))[:, :3] * 255
    assert np.abs(theirs - np.array(MAGMA)).max() < 2


def test_share_counts_cut_cells_in_part() -> None:
    heat = torch.ones(1, 4, 4)
    heat[0, 0, 0] = 9.0
    assert share_in(heat, 0, 0, 0.25, 0.25).item() == pytest.approx(9 / 24)
    assert share_in(heat, 0, 0, 0.125, 0.25).item() == pytest.approx(4.5 / 24)
    assert share_in(heat, 0, 0, 1, 1).item() == pytest.approx(1)
    assert share_in(torch.zeros(1, 4, 4), 0, 0, 1, 1).item() == 0


def test_neighbours_equal_a_brute_force_search(generator: torch.Generator) -> None:
    stored = torch.rand(300, 512, generator=generator)
    labels = torch.randint(0, 10, (300,), generator=generator)
    bank = Bank(quantise(stored), labels)
    asked = torch.rand(20, 512, generator=generator)
    found = bank.find(asked, 8)
    vectors = bank.vectors.numpy().astype(np.float64)
    for row, query in enumerate(asked.numpy().astype(np.float64)):
        cosines = [v @ query / np.linalg.norm(v) / np.linalg.norm(query) for v in vectors]
        nearest = np.argsort(cosines)[::-1][:8]
        assert found.rows[row].tolist() == nearest.tolist()
        assert found.similarity[row].numpy() == pytest.approx(np.array(cosines)[nearest], abs=1e-5)
    assert torch.equal(found.labels, labels[found.rows])


def test_stored_image_is_its_own_nearest_neighbour(generator: torch.Generator) -> None:
    stored = torch.rand(300, 512, generator=generator)
    found = Bank(quantise(stored), torch.zeros(300, dtype=torch.int64)).find(stored, 1)
    assert found.rows[:, 0].tolist() == list(range(300))
    assert found.similarity.min() > 0.9999


def test_cka_of_itself_is_exactly_one_and_ignores_rotation(generator: torch.Generator) -> None:
    one = torch.randn(50, 3, 4, 4, generator=generator)
    assert measure_cka(one, one) == 1.0
    turn, _ = torch.linalg.qr(torch.randn(48, 48, generator=generator))
    assert measure_cka(one, 3 * one.flatten(1) @ turn) == pytest.approx(1, abs=1e-5)


def test_cka_is_unbiased_where_columns_outnumber_images(generator: torch.Generator) -> None:
    one, other = torch.randn(2, 60, 4000, generator=generator)
    assert abs(measure_cka(one, other)) < 0.05
    centred = [part - part.mean(0) for part in (one, other)]
    cross, *own = (
        torch.linalg.matrix_norm(first.T @ second).item()
        for first, second in ((centred[1], centred[0]), *((part, part) for part in centred))
    )
    assert cross**2 / (own[0] * own[1]) > 0.9  # the plain formula takes noise for likeness


def test_cka_approaches_the_plain_formula_where_images_outnumber_columns(
    generator: torch.Generator,
) -> None:
    one = torch.randn(2000, 4, generator=generator)
    other = torch.cat([one[:, :2], torch.randn(2000, 2, generator=generator)], 1).numpy()
    first, second = one.numpy() - one.numpy().mean(0), other - other.mean(0)
    plain = np.linalg.norm(second.T @ first) ** 2
    plain /= np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
    assert measure_cka(one, torch.from_numpy(other)) == pytest.approx(plain, abs=0.005)


def test_movement_of_one_layer_is_relative_to_it_and_of_others_exactly_zero(
    network: ResNet,
) -> None:
    start = network.state_dict()
    moved = {name: tensor.clone() for name, tensor in start.items()}
    for name in ("layer2.0.conv1.weight", "layer2.0.bn1.weight", "layer2.0.bn1.bias"):
        moved[name] *= 1.5
    moved["layer3.0.bn1.running_mean"] += 1  # not learned
    moved["fc.weight"] += 1
    layers = measure_movement(start, moved)
    assert layers.pop("layer2.0.conv1") == pytest.approx(0.5, rel=1e-5)
    assert len(layers) == 19
    assert set(layers.values()) == {0.0}
    stages = measure_stage_movement(start, moved)
    assert list(stages) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert 0 < stages.pop("layer2") < 0.5
    assert set(stages.values()) == {0.0}


@pytest.fixture
def tables(generator: torch.Generator) -> dict[str, Tensor]:
    """Three representations of the same 80 images."""
    shared = torch.randn(80, 3, generator=generator) * torch.tensor([9.0, 5.0, 1.0])
    return {
        name: shared @ torch.randn(3, 512, generator=generator) * scale
        + torch.randn(80, 512, generator=generator)
        + 7
        for name, scale in (("a", 1.0), ("b", 3.0), ("c", 0.5))
    }


def test_plane_is_numpys_pca_of_the_scaled_tables(tables: dict[str, Tensor]) -> None:
    plane = fit_plane(tables)
    scaled = []
    for table in tables.values():
        centred = table.numpy().astype(np.float64) - table.numpy().astype(np.float64).mean(0)
        scaled.append(centred / np.linalg.svd(centred, compute_uv=False)[0])
    scores, values, _ = np.linalg.svd(np.concatenate(scaled, 1), full_matrices=False)
    expected = scores[:, :2] * values[:2]
    signs = np.sign((plane.scores.numpy() * expected).sum(0))
    assert (plane.scores * plane.spread).numpy() == pytest.approx(expected * signs, abs=1e-4)
    assert plane.explained == pytest.approx((values**2 / (values**2).sum())[:2], abs=1e-6)
    together = torch.stack([plane.fit(table).place(table) for table in tables.values()]).sum(0)
    assert torch.allclose(together, plane.scores * plane.spread, atol=1e-4)


def test_maps_of_models_that_see_alike_are_alike(tables: dict[str, Tensor]) -> None:
    plane = fit_plane(tables)
    maps = {name: plane.fit(table).place(table) for name, table in tables.items()}
    for axis in range(2):
        pair = torch.stack([maps["a"][:, axis], maps["b"][:, axis]])
        assert torch.corrcoef(pair)[0, 1] > 0.9
    added = plane.fit(tables["a"] * 2 + 1).place(tables["a"] * 2 + 1)  # as of another model
    assert torch.allclose(added, maps["a"], atol=1e-4)


def test_ends_of_a_path_are_the_models_themselves(
    network: ResNet, generator: torch.Generator
) -> None:
    start = {
        name: t.half() if t.is_floating_point() else t for name, t in network.state_dict().items()
    }
    end = {
        name: torch.rand(t.shape, generator=generator).half() if t.is_floating_point() else t
        for name, t in start.items()
    }
    places = list_places(11)
    statistics = torch.rand(9, 2, 4800, generator=generator)
    path = Path(start, end, 32, statistics)
    for place, weights in ((0.0, start), (1.0, end)):
        found = path.weights_at(place)
        assert all(torch.equal(found[name], t.float()) for name, t in weights.items())
    third = path.weights_at(places[3])
    assert torch.allclose(pack_statistics(third), statistics[2], atol=1e-5)
    weight = third["layer1.0.conv1.weight"]
    share = places[3]
    expected = torch.lerp(
        start["layer1.0.conv1.weight"].float(), end["layer1.0.conv1.weight"].float(), share
    )
    assert torch.allclose(weight, expected, atol=1e-6)
    restored = unpack_statistics(pack_statistics(start), start)
    assert len(restored) == 40
    assert all(torch.equal(restored[name], start[name].float()) for name in restored)


def test_path_of_one_backbone_needs_no_pass(network: ResNet, generator: torch.Generator) -> None:
    start = network.state_dict()
    end = {**start, "fc.weight": torch.randn(10, 512, generator=generator)}
    path = Path(start, end, 32, None)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
    features = FoldedBackbone(end, 32)(normalise(images, 32))
    assert torch.allclose(
        path.classify(0.3, images), path.classify_features(0.3, features), atol=1e-4
    )


@pytest.fixture
def pictures(generator: torch.Generator) -> Tensor:
    small = torch.rand(2, 3, 8, 8, generator=generator) * 255
    return torch.nn.functional.interpolate(small, size=32, mode="bilinear").to(torch.uint8)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_perturbations_begin_with_nothing_and_grow(kind: Kind, pictures: Tensor) -> None:
    perturbation = PERTURBATIONS[kind]
    assert torch.equal(perturb(pictures, kind, perturbation.neutral), pictures)
    changes = []
    for amount in sorted(perturbation.amounts, key=perturbation.strength):
        changed = perturb(pictures, kind, amount)
        assert (changed.shape, changed.dtype) == (pictures.shape, torch.uint8)
        assert torch.equal(changed, perturb(pictures, kind, amount))
        changes.append((changed.float() - pictures.float()).abs().mean().item())
    assert changes[0] == 0
    assert changes[-1] == max(changes) or kind == "rotation"
    assert all(change > 0 for change in changes[1:])


def test_perturbations_do_what_they_say(pictures: Tensor) -> None:
    assert torch.equal(perturb(pictures, "rotation", 180), pictures.flip(2, 3))
    assert torch.equal(perturb(pictures, "rotation", 90), pictures.rot90(-1, (2, 3)))
    assert torch.equal(perturb(pictures, "brightness", -1), (pictures.float() / 2).round().byte())
    flat = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    assert torch.equal(perturb(flat, "blur", 2.0), flat)
    middle = pictures[:, :, 8:24, 8:24].float()
    enlarged = torch.nn.functional.interpolate(middle, size=32, mode="bilinear")
    inside = (perturb(pictures, "crop", 50).float() - enlarged)[:, :, 1:-1, 1:-1]
    assert inside.abs().max() <= 1
    noise = perturb(torch.full((1, 3, 64, 64), 128, dtype=torch.uint8), "noise", 10).float()
    assert noise.std().item() == pytest.approx(25.5, rel=0.05)


def test_curve_names_who_breaks_first(pictures: Tensor) -> None:
    """Models that go by the mean grey: `steady` answers dog below a fifth of it, `shaky` a half."""
    grey = pictures[0].float().mean()

    def classify(images: Tensor) -> dict[str, Tensor]:
        shares = images.float().mean((1, 2, 3)) / grey
        answers = {"steady": shares < 0.2, "shaky": shares < 0.5, "stubborn": shares < 0}
        table = torch.eye(10)
        return {name: table[torch.where(dog, DOG, CAT)] for name, dog in answers.items()}

    curve = trace_confidence(classify, pictures[0], "brightness")
    assert curve.first == ("shaky",)
    assert curve.breaks == {"steady": -3, "shaky": -1.5, "stubborn": None}
    assert curve.confidence["shaky"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert curve.answers["steady"].tolist() == [DOG] + 8 * [CAT]


def test_reason_says_its_numbers() -> None:
    probabilities = torch.full((10,), 0.001)
    probabilities[CAT], probabilities[DOG] = 0.95, 0.042
    heat = torch.zeros(4, 4)
    heat[1, 1] = 16
    rows, labels = torch.arange(8)[None], torch.tensor([[CAT] * 7 + [DOG]])
    neighbours = Neighbours(rows, labels, torch.linspace(0.9, 0.8, 8)[None])
    reason = find_reason(probabilities, neighbours, heat, True)
    assert (reason.answer, reason.runner_up, reason.centre) == (CAT, DOG, 1.0)
    assert reason.neighbours[CAT] == 7
    assert describe_reason(reason) == (
        "Clearly a cat (95.0 %, then dog with 4.2 %): 7 of the 8 training images most like it show "
        "a cat, and most of the heat lies in the middle."
    )


def test_reason_is_told_without_neighbours_too() -> None:
    probabilities = torch.eye(10)[CAT] * 0.98
    probabilities[DOG] = 0.02
    reason = find_reason(probabilities, None, torch.ones(4, 4), True)
    assert reason.similarity is None
    assert describe_reason(reason) == "Clearly a cat (98.0 %, then dog with 2.0 %)."
    middle = find_reason(
        torch.eye(10)[CAT], None, torch.nn.functional.pad(torch.ones(2, 2), [1] * 4), True
    )
    assert describe_reason(middle).endswith("): most of the heat lies in the middle.")


def test_reason_tells_doubts_and_contradictions() -> None:
    neighbours = tuple({CAT: 2, DOG: 6}.get(label, 0) for label in range(10))
    reason = Reason(CAT, 0.5, DOG, 0.1, neighbours, 0.7, 0.05, familiar=False)
    assert describe_reason(reason) == (
        "Narrowly a cat (50.0 %, then dog with 40.0 %), though 6 of the 8 training images most "
        "like it show a dog, and almost all of the heat lies outside the middle. The picture as a "
        "whole is unlike the training images, so this says little."
    )
    tied = Reason(CAT, 0.5, DOG, 0.1, tuple(4 if c in (CAT, DOG) else 0 for c in range(10)), 0.7,
                  None, familiar=True)  # fmt: skip
    assert "): 4 of the 8" in describe_reason(tied)
    assert describe_reason(tied).endswith("and no place in the picture spoke for it.")


def test_first_page_of_the_package_names_what_exists() -> None:
    named = re.findall(r"`([a-z]+)\.([A-Za-z_]+)", trainer.explain.__doc__ or "")
    assert len(named) > 6
    folder = FilePath(trainer.explain.__file__).parent
    for module, name in named:
        package = "trainer.explain" if (folder / f"{module}.py").exists() else "trainer"
        assert hasattr(importlib.import_module(f"{package}.{module}"), name)
