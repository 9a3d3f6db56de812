"""The same recipe as its documentation would have one write it: torchvision's dataset and
transforms, a DataLoader, fp32, and the loop of PyTorch's "Training a Classifier" tutorial.

`python -m bench.plain --recipe NAME --folder DIR --epochs N --backbone FILE` prints a JSON
line of images, seconds and peak memory. Imports nothing of ours but the recipes' numbers.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18

from trainer.recipe import PRESETS


def main() -> None:
    """Trains one recipe of preset `report` on `folder/train`, evaluating every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    options = parser.parse_args()
    recipe = PRESETS["report"][options.recipe]

    normalise = [
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    augmentation: list[nn.Module] = [transforms.RandomHorizontalFlip()] if recipe.flip else []
    if recipe.crop_padding_px:
        augmentation.insert(
            0, transforms.RandomCrop(32, recipe.crop_padding_px, padding_mode="reflect")
        )
    train = ImageFolder(options.folder / "train", transforms.Compose([*augmentation, *normalise]))
    held_out = ImageFolder(options.folder / "test", transforms.Compose(normalise))
    loader = DataLoader(train, recipe.batch_size, shuffle=True, num_workers=2, drop_last=True)
    evaluation = DataLoader(held_out, 500, num_workers=2)

    model = resnet18(num_classes=10)
    weights = load_file(options.backbone)
    model.load_state_dict(
        {k: v for k, v in weights.items() if not k.startswith("fc.")}, strict=False
    )
    if recipe.frozen:
        for parameter in model.parameters():
            parameter.requires_grad = False
        model.fc.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = (
        torch.optim.SGD(trained, lr=recipe.learning_rate, momentum=recipe.momentum)
        if recipe.optimizer == "sgd"
        else torch.optim.Adam(trained, lr=recipe.learning_rate)
    )
    criterion = nn.CrossEntropyLoss()

    started = time.perf_counter()
    for _ in range(options.epochs):
        model.train(not recipe.frozen)
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for inputs, labels in evaluation:
                right += (model(inputs).argmax(1) == labels).sum().item()
    seconds = time.perf_counter() - started
    # Linux counts ru_maxrss in KiB; the loader's workers are left out, to its advantage.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "images": len(train) * options.epochs,
                "seconds": seconds,
                "peak_bytes": peak,
                "accuracy": right / len(held_out),
            }
        )
    )


if __name__ == "__main__":
    main()
