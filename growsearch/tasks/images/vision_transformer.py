"""A vision transformer (Dosovitskiy et al. 2021), from images to logits.

Images are [batch, channels, height, width], and tokens [batch, tokens, width].
"""

from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from growsearch.machine.randomness import seeded
from growsearch.tasks.images.patches import check_patch
from growsearch.tasks.scores import count_parameters, macs_of
from growsearch.tasks.transformer.blocks import STD, transformer_stack

POSITIONS_STD = 0.5
"""Deviation of new positions. Patches of normalized pixels come to about 1, beside which positions
of 0.02 are learned late: 25 epochs of 1,200 digits then end at 88 % instead of 96 %."""


class VisionForm(NamedTuple):
    """All of a vision transformer but its depth and its weights."""

    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: int
    width: int
    heads: int
    patch: int
    """Height and width of a patch."""
    pooling: str
    """ "mean" of the patches' tokens, or "token": one more token, which is learned."""
    mlp: str
    """As `TransformerBlock` has it."""


class VisionTransformer(nn.Module):
    """Patches and learned positions, a stack of transformer blocks, a normalization, and logits.

    A token is a linear map of a patch's pixels, as a convolution of the patch's size and stride
    computes it. `blocks` may be empty. Weights of that map are drawn so that it keeps the variance,
    N(0, 1 / sqrt(pixels)), positions and learned token from N(0, 0.5), and the head from N(0,
    0.02), as blocks are. Biases are zero. Raises InputError if patches do not divide the images, or
    heads the width.
    """

    def __init__(self, depth: int, form: VisionForm) -> None:
        super().__init__()
        check_patch(form.patch, form.image_shape)
        channels, height, width = form.image_shape
        patches = (height // form.patch) * (width // form.patch)
        self.patch = form.patch
        self.embedding = nn.Linear(channels * form.patch**2, form.width)
        # one dimension, so that weight decay on matrices leaves it
        self.token = nn.Parameter(torch.empty(form.width)) if form.pooling == "token" else None
        tokens = patches if self.token is None else 1 + patches
        self.positions = nn.Parameter(torch.empty(tokens, form.width))
        self.ln = nn.LayerNorm(form.width)
        self.head = nn.Linear(form.width, form.classes)
        nn.init.normal_(self.embedding.weight, std=self.embedding.in_features**-0.5)
        nn.init.normal_(self.positions, std=POSITIONS_STD)
        if self.token is not None:
            nn.init.normal_(self.token, std=POSITIONS_STD)
        nn.init.normal_(self.head.weight, std=STD)
        for layer in (self.embedding, self.head):
            nn.init.zeros_(layer.bias)
        self.blocks = transformer_stack(depth, form.width, form.heads, causal=False, mlp=form.mlp)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes]."""
        x = self.embedding(patches_of(images, self.patch))
        if self.token is not None:
            x = torch.cat((self.token.to(x.dtype).expand(len(x), 1, -1), x), dim=1)
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.ln(x).to(self.head.weight.dtype)
        pooled = x.mean(dim=1) if self.token is None else x[:, 0]
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 the largest two may tie
            return cast(Tensor, self.head(pooled))


def patches_of(images: Tensor, patch: int) -> Tensor:
    """Squares of the images row by row, [batch, patches, channels * patch * patch]."""
    batch, channels, height, width = images.shape
    rows, columns = height // patch, width // patch
    squares = images.reshape(batch, channels, rows, patch, columns, patch)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, -1)


@cache
def transformer_size(form: VisionForm, depth: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates for one image."""
    with seeded(0):
        model = VisionTransformer(depth, form)
    return count_parameters(model), image_macs(model, form.image_shape)


def image_macs(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates for one image; the model is in evaluation mode afterwards."""
    model.eval()
    image = torch.zeros(1, *image_shape, device=next(model.parameters()).device)
    return round(macs_of(lambda: model(image)))
