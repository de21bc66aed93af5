"""Transformer blocks, against a plain re-implementation that attends token by token."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from growsearch.tasks.transformer.blocks import TransformerBlock, rotations, transformer_stack
from growsearch.trial.errors import InputError

WIDTH, HEADS, TOKENS = 12, 3, 7
FORMS = [
    {"causal": causal, "mlp": mlp, "rotary": rotary}
    for causal in (True, False)
    for mlp in ("gelu", "swiglu")
    for rotary in (0, TOKENS + 2)
]


def block_of(**form) -> TransformerBlock:
    torch.manual_seed(0)
    block = TransformerBlock(WIDTH, HEADS, **form)
    for parameter in block.parameters():  # nothing is zero, and the residuals are not small
        nn.init.normal_(parameter, std=0.3)
    return block.double()


def turned_plainly(x, position):
    """A head's pairs (i, i + half) turned by their angles, as complex numbers."""
    half = len(x) // 2
    pairs = torch.complex(x[:half], x[half:])
    angles = [position * 10_000 ** (-2 * i / len(x)) for i in range(half)]
    rotated = pairs * torch.tensor([complex(math.cos(a), math.sin(a)) for a in angles])
    return torch.cat([rotated.real, rotated.imag])


def plain(block, x, causal, mlp, rotary):
    """The block for one sequence x [tokens, width], by loops over heads and tokens."""
    size = WIDTH // HEADS
    normed = F.layer_norm(x, (WIDTH,), block.ln1.weight, block.ln1.bias)
    q, k, v = (normed @ block.qkv.weight.T + block.qkv.bias).split(WIDTH, dim=1)
    taken = torch.zeros_like(x)
    for h in range(HEADS):
        part = slice(h * size, (h + 1) * size)
        for i in range(len(x)):
            seen = range(i + 1 if causal else len(x))
            query = turned_plainly(q[i, part], i) if rotary else q[i, part]
            keys = [turned_plainly(k[j, part], j) if rotary else k[j, part] for j in seen]
            scores = torch.stack([query @ key for key in keys]) / math.sqrt(size)
            weights = scores.exp() / scores.exp().sum()
            taken[i, part] = sum(w * v[j, part] for w, j in zip(weights, seen, strict=True))
    x = x + taken @ block.proj.weight.T + block.proj.bias
    normed = F.layer_norm(x, (WIDTH,), block.ln2.weight, block.ln2.bias)
    units = normed @ block.up.weight.T + block.up.bias
    if mlp == "swiglu":
        gate, units = units[:, : units.shape[1] // 2], units[:, units.shape[1] // 2 :]
        units = gate * torch.sigmoid(gate) * units
    else:
        units = units * 0.5 * (1 + torch.erf(units / math.sqrt(2)))
    return x + units @ block.down.weight.T + block.down.bias


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_block_computes_what_loops_over_heads_and_tokens_do(form):
    block, x = block_of(**form), torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    expected = torch.stack([plain(block, sequence, **form) for sequence in x])
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)


def test_rotary_scores_depend_on_distances_alone():
    cosines, sines = rotations(20, 8)
    q, k = torch.randn(8), torch.randn(8)

    def turned(x, position):
        one, other = x.chunk(2)
        return x * cosines[position] + torch.cat((-other, one)) * sines[position]

    for shift in (1, 7, 12):
        score = turned(q, 5 + shift) @ turned(k, 2 + shift)
        torch.testing.assert_close(score, turned(q, 5) @ turned(k, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_silent_block_is_the_identity_to_the_bit_and_can_learn(form):
    block, x = block_of(**form), torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    block.silence_residual()
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.proj.weight.grad.abs().sum() > 0
    assert block.down.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_scaling_makes_each_residual_a_step_of_that_size(mlp):
    block, x = block_of(causal=True, mlp=mlp), torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    middle = x + 0.25 * block.attention(block.ln1(x))
    expected = middle + 0.25 * block.mlp(block.ln2(middle))
    block.scale_residual(0.25)
    torch.testing.assert_close(block(x), expected)


def test_small_steps_add_the_step_times_the_sum_of_both_residuals():
    """What is left out is of the second order: half the step, a quarter of the error."""
    x = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    whole = block_of(causal=True)
    derivative = whole.attention(whole.ln1(x)) + whole.mlp(whole.ln2(x))
    errors = []
    for step in (1e-3, 5e-4):
        block = block_of(causal=True)
        block.scale_residual(step)
        errors.append((block(x) - x - step * derivative).norm().item())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_deeper_stacks_have_smaller_last_projections():
    torch.manual_seed(0)
    for depth in (1, 4):
        stack = transformer_stack(depth, 64, 2, causal=True)
        assert len(stack) == depth
        for block in stack:
            assert block.up.weight.std().item() == pytest.approx(0.02, rel=0.05)
            for layer in (block.proj, block.down):
                expected = 0.02 / math.sqrt(2 * depth)
                assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert len(transformer_stack(0, 64, 2, causal=True)) == 0


def test_swiglu_has_about_as_many_parameters_as_gelu():
    sizes = [
        sum(p.numel() for p in TransformerBlock(96, 4, causal=True, mlp=mlp).parameters())
        for mlp in ("gelu", "swiglu")
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


def test_heads_that_do_not_divide_the_width_are_one_line():
    with pytest.raises(InputError, match="heads=5 does not divide width=12"):
        TransformerBlock(12, 5, causal=True)


def test_heads_of_odd_size_cannot_be_turned():
    with pytest.raises(InputError, match="heads of 3; choose a multiple of 8 for width"):
        TransformerBlock(12, 4, causal=True, rotary=5)
    TransformerBlock(12, 4, causal=True)
