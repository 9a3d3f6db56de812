"""What the models were started from is told wherever they are described."""

import pytest
from torchvision.models import ResNet18_Weights

from demo.words import about
from tests.conftest import CHECKPOINTS, ROOT
from tests.records import build_record
from trainer.backbones import TORCHVISION, tell_backbone
from trainer.checkpoint import load_record
from trainer.record import BackboneFacts

ADAPTED = "8b32f481801fe8aabe045f4bd13be7d2e7b2ff5344cece05b4c4d739abfd1a3b"


def test_torchvisions_own_is_known_by_its_name() -> None:
    assert f"torchvision {ResNet18_Weights.IMAGENET1K_V1}" == TORCHVISION
    assert "torchvision's own download" in tell_backbone(TORCHVISION, "00" * 32).made


def test_a_file_is_known_by_its_content_and_not_by_its_name() -> None:
    adapted = tell_backbone("whatever", ADAPTED)
    for part in "layer4.0", "layer4.1", "Tiny-ImageNet-200 at 64 px", "8-bit":
        assert part in adapted.made
    assert "ImageNet and Tiny-ImageNet are for research." in adapted.terms
    stranger = tell_backbone("resnet18-imagenet", "00" * 32)
    assert "ImageNet" not in str(stranger)
    assert "theirs to say" in stranger.terms


@pytest.mark.parametrize("sha256", [ADAPTED, "00" * 32])
def test_about_tells_it_from_the_records(sha256: str) -> None:
    backbone = BackboneFacts(name="resnet18-imagenet", sha256=sha256)
    records = {"sgd_full": build_record(backbone=backbone)}
    story = tell_backbone(backbone.name, sha256)
    assert story.made in about.describe_experiment(records)
    assert story.terms in about.describe_licence(records)


@pytest.mark.parametrize("page", ["README.md", "docs/report.md"])
def test_pages_tell_what_the_shipped_models_started_from(page: str) -> None:
    backbone = load_record(CHECKPOINTS, "sgd_full").backbone
    text = " ".join((ROOT / page).read_text().split())
    story = tell_backbone(backbone.name, backbone.sha256)
    assert story.made in text
    assert story.terms in text
