"""Augmentation of a whole batch of training images: [n, channels, height, width]."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """`images`, mirrored left to right where `which`, bool [n], is true."""
    return torch.where(which[:, None, None, None], images.flip(3), images)


def cropped(images: Tensor, padding: int, down: Tensor, right: Tensor) -> Tensor:
    """Images padded with zeros by `padding` pixels on each side, then cropped to their old size.

    `down` and `right`, int64 [n], are the first row and column of each crop: 0 to 2 * `padding`.
    """
    n, _, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    rows = down[:, None] + torch.arange(height, device=images.device)
    columns = right[:, None] + torch.arange(width, device=images.device)
    image = torch.arange(n, device=images.device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Square images turned counter-clockwise about their centre by `degrees`, float [n].

    Pixels are interpolated bilinearly, as float32 on the images' own scale; empty corners are 0.
    """
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # affine_grid maps each output pixel to its source; rows count downwards
    origin = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(origin, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)
