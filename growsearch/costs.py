"""What training costs."""

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters: the running statistics of batch normalization are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())
