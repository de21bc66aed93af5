"""The multiply-accumulates of networks for images."""

from typing import Any

import torch
from torch import Tensor, nn

from growsearch.machine.compiling import uncompiled


@uncompiled()
@torch.no_grad()
def count_macs(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """The number of multiply-accumulates of convolutions and linear layers for one image.

    `image_shape` is (channels, height, width). Leaves the network in evaluation mode.
    """
    total = 0

    def count(layer: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    network.eval()
    network(torch.zeros(1, *image_shape, device=next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    return total
