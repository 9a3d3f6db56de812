"""The peer that `bench.app` measures ours against: four models in a plain Gradio app, written as
Gradio's and torchvision's documentation have it.

`python -m bench.peer`, on the port in GRADIO_SERVER_PORT.
"""

import gradio as gr
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import transforms
from torchvision.models import ResNet, resnet18

from trainer.recipe import CLASSES, IMAGE_MEAN, IMAGE_STD, RECIPE_NAMES


def load(name: str) -> ResNet:
    """One model from its checkpoint."""
    model = resnet18(num_classes=len(CLASSES))
    model.load_state_dict(load_file(f"checkpoints/{name}.safetensors"))
    return model.eval()


models = [load(name) for name in RECIPE_NAMES]
prepare = transforms.Compose(
    [
        transforms.Resize(32),
        transforms.CenterCrop(32),
        transforms.ToTensor(),
        transforms.Normalize(IMAGE_MEAN, IMAGE_STD),
    ]
)


def classify(image: Image.Image) -> list[dict[str, float]]:
    """Class to probability, from each of the four models."""
    inputs = prepare(image)[None]
    with torch.no_grad():
        return [
            dict(zip(CLASSES, model(inputs)[0].softmax(dim=0).tolist(), strict=True))
            for model in models
        ]


demo = gr.Interface(
    classify,
    gr.Image(type="pil"),
    [gr.Label(label=name, num_top_classes=3) for name in RECIPE_NAMES],
    api_name="classify",
)

if __name__ == "__main__":
    demo.launch()
