"""What the backbones we know are made of, and their terms, in plain words."""

from dataclasses import dataclass

TORCHVISION = "torchvision ResNet18_Weights.IMAGENET1K_V1"
"""Recorded name of the weights that torchvision downloads."""
TORCHVISION_ON_HUB = "timm/resnet18.tv_in1k"
"""The same weights on the Hub."""
_TORCHVISION_TERMS = (
    "The licence of torchvision is BSD-3-Clause, and its README says that pre-trained models may "
    "carry terms of the data they were trained on"
)


@dataclass(frozen=True)
class Story:
    """What a backbone is, and under which terms."""

    made: str
    """In sentences."""
    terms: str
    """In one sentence."""
    hub: str | None = None
    """Name on the Hub of the weights that it is, or for the most part began with."""

    def __str__(self) -> str:
        return f"{self.made} {self.terms}"


_BY_SHA256 = {
    "8b32f481801fe8aabe045f4bd13be7d2e7b2ff5344cece05b4c4d739abfd1a3b": Story(
        "It is close to torchvision's ImageNet weights, but not the same. Up to the block "
        "`layer4.0` it began with those weights, recovered from public copies (two convolutions of "
        "that block from an 8-bit one). The last block, `layer4.1`, could not be had under a free "
        "licence and was trained anew on 10,000 images of Tiny-ImageNet-200. Then all layers were "
        "trained further on the 100,000 training images of Tiny-ImageNet-200 at 64 px, half of "
        "them blurred as enlarged CIFAR-10 images are, so that every weight differs from "
        "torchvision's.",
        f"{_TORCHVISION_TERMS}; ImageNet and Tiny-ImageNet are for research.",
        TORCHVISION_ON_HUB,
    ),
    "73c7d15b396c5482b695626625042b3d280dfc01c28720327729647a2c6e7573": Story(
        "It was trained on Tiny-ImageNet-200 at 32 px.", "Tiny-ImageNet is for research."
    ),
}
"""By the SHA-256 of the file it was read from."""
_BY_NAME = {
    TORCHVISION: Story(
        "It is torchvision's own download, trained on ImageNet.",
        f"{_TORCHVISION_TERMS}; ImageNet is for research.",
        TORCHVISION_ON_HUB,
    )
}
"""By recorded name, where torchvision has checked the file's hash."""
_UNKNOWN = Story(
    "It is a file of whoever trained these models: what it was trained on is theirs to say.",
    "Its terms are theirs to say too.",
)


def tell_backbone(name: str, sha256: str) -> Story:
    """What is known of a backbone, by what a record says of it."""
    return _BY_SHA256.get(sha256) or _BY_NAME.get(name) or _UNKNOWN
