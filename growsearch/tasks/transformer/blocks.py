"""Transformer blocks with normalization before each residual, and stacks of them.

A block takes and gives [batch, tokens, width]. Heads see [batch, heads, tokens, width / heads].
"""

from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.growth.step_sizes import StepSize
from growsearch.tasks.transformer.heads import check_heads as check_heads

STD = 0.02
"""Deviation of new weights (Radford et al. 2019, GPT-2)."""
ROTARY_BASE = 10_000.0
"""Base of the angles' geometric series (Su et al. 2021, RoPE, section 3.4.3)."""
MLPS = ("gelu", "swiglu")
"""The kinds of MLP; see `TransformerBlock`."""


class TransformerBlock(nn.Module):
    """x + attention(ln1(x)), and then x + mlp(ln2(x)) (Xiong et al. 2020, pre-LN).

    The MLP "gelu" is down(gelu(up(x))) with 4 * width units; "swiglu" is down(silu(gate(x)) *
    up(x)) with 8 / 3 * width units, rounded up to a multiple of 8, and so about as many parameters
    (Shazeer 2020). `rotary` is the largest number of tokens if queries and keys are turned by their
    positions, and 0 without. There is no dropout. Weights are drawn from N(0, 0.02), biases are
    zero.

    Raises InputError as `check_heads` does.
    """

    cosines: Tensor
    sines: Tensor
    step: StepSize | None = None
    """Its explicit step is a factor of both residuals; None: 1."""

    def __init__(
        self, width: int, heads: int, *, causal: bool, mlp: str = "gelu", rotary: int = 0
    ) -> None:
        super().__init__()
        check_heads(width, heads, bool(rotary))
        assert mlp in MLPS, mlp
        self.heads, self.causal, self.gated, self.rotary = heads, causal, mlp == "swiglu", rotary
        units = 8 * -(-width // 3) if self.gated else 4 * width
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, (1 + self.gated) * units), nn.Linear(units, width)
        for layer in (self.qkv, self.proj, self.up, self.down):
            nn.init.normal_(layer.weight, std=STD)
            nn.init.zeros_(layer.bias)
        if rotary:
            cosines, sines = rotations(rotary, width // heads)
            self.register_buffer("cosines", cosines, persistent=False)
            self.register_buffer("sines", sines, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._scaled(self.attention(self.ln1(x)))
        return x + self._scaled(self.mlp(self.ln2(x)))

    def _scaled(self, residual: Tensor) -> Tensor:
        return residual if self.step is None else self.step.explicit * residual

    def attention(self, x: Tensor) -> Tensor:
        """What each token takes from the others; from those before it if the block is causal."""
        batch, tokens, width = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind()
        if self.rotary:
            q, k = self._turned(q).type_as(v), self._turned(k).type_as(v)
        taken = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return cast(Tensor, self.proj(taken.transpose(1, 2).reshape(batch, tokens, width)))

    def _turned(self, x: Tensor) -> Tensor:
        tokens = x.shape[2]
        one, other = x.chunk(2, dim=-1)
        turned = torch.cat((-other, one), dim=-1)
        return x * self.cosines[:tokens] + turned * self.sines[:tokens]

    def mlp(self, x: Tensor) -> Tensor:
        """What each token makes of itself."""
        if not self.gated:
            return cast(Tensor, self.down(F.gelu(self.up(x))))
        gate, up = self.up(x).chunk(2, dim=-1)
        return cast(Tensor, self.down(F.silu(gate) * up))

    # what initializers of residuals call; there is no `last_normalization`, since both residuals
    # end in a projection, and so initializers that need one are refused

    @torch.no_grad()
    def silence_residual(self) -> None:
        """Make both residuals zero, and leave them free to learn: their last projections are 0."""
        for layer in (self.proj, self.down):
            layer.weight.zero_()
            layer.bias.zero_()

    @torch.no_grad()
    def scale_residual(self, step: float, statistics: bool = True) -> None:
        """Make each of the two residuals `step` times what it was, by its last projection.

        The clone operator (LipGrow, section 4.1) makes a step of a discretized ODE smaller. A block
        is two such steps, one by attention a and one by the MLP m, as splitting integrates x' =
        a(x) + m(x). Both get smaller: the block then adds step * a(x) + step * m(x + step * a(x)).
        That is not `step` times what the whole block added, a(x) + m(x + a(x)), because the MLP
        sees less of what attention adds; no scale of weights gives that. There are no running
        `statistics` to scale.
        """
        for layer in (self.proj, self.down):
            layer.weight.mul_(step)
            layer.bias.mul_(step)


def rotations(tokens: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [tokens, size] of rotary positions: the number i of a head's first half
    turns with the number i of its second half, by position * 10,000 ** (-2 * i / size)."""
    speeds = ROTARY_BASE ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), speeds).repeat(1, 2)
    return angles.cos().float(), angles.sin().float()


def transformer_stack(
    depth: int, width: int, heads: int, *, causal: bool, mlp: str = "gelu", rotary: int = 0
) -> nn.ModuleList:
    """`depth` TransformerBlocks, their last projections drawn from N(0, 0.02 / sqrt(2 * depth)).

    So the sum of all residuals has the same deviation in networks of any depth (Radford et al.
    2019, section 2.3).
    """
    blocks = [
        TransformerBlock(width, heads, causal=causal, mlp=mlp, rotary=rotary) for _ in range(depth)
    ]
    for block in blocks:
        block.scale_residual(1 / sqrt(2 * depth))
    return nn.ModuleList(blocks)
