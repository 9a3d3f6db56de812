"""From a recipe to torch's optimizer."""

import torch
from torch import nn

from trainer.recipe import Recipe


def build_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Builds the recipe's optimizer over the network's trainable parameters, fused."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    adam = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return adam(
        parameters,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, recipe.beta2),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
