"""Random changes of training images, a whole batch at once: [n, channels, height, width]."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """The images of which `which`, bool [n], is true are mirrored left to right."""
    return torch.where(which[:, None, None, None], images.flip(3), images)


def cropped(images: Tensor, padding: int, down: Tensor, right: Tensor) -> Tensor:
    """Each image cut at its size out of itself padded with zeros, at row `down`, column `right`.

    `down` and `right` are int64 [n], from 0 to 2 * `padding` pixels.
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

    Pixels are interpolated bilinearly, as float32 on the images' own scale; black comes in.
    """
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # Where an output pixel comes from, with rows counted downwards.
    origin = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(origin, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)
