"""Largest singular values of several linear operators at once, from products with W^T W.

Vectors of G operators are [G, n], n numbers each.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Product = Callable[[Tensor], Tensor]
"""v -> W^T W v on vectors [G, n]."""
CONVERGED = 5e-3
"""Part of the largest Ritz value that another one, with its residual, may exceed it by."""
ROUNDING = 1e-6
"""A remainder shorter than this part of the longest product is rounding noise."""
FRESH = 1.0
"""Length of the random vector that a known unit vector is started with.

With 0.3, two of 200 kernels that changed by an eighth from call to call came out up to 2 % low.
"""


def largest_singular_values(
    operators: Callable[[Tensor], Product], start: Tensor, products: int,
    looks: Sequence[int] = (), converged: float = CONVERGED,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator norms [G], and vectors [G, n] to start from next time.

    `operators(left)` gives v -> W^T W v for the operators of the indices `left`. At most `products`
    products are made with each. After each number of products in `looks`, operators are left out
    whose Ritz values, with their residuals, exceed the largest by at most the part `converged`.

    Power iteration, v <- W^T W v, would keep the last of its iterates. All of them together cost
    little more and hold a far better estimate: the largest Ritz value of their span (Lanczos). It
    is at most the norm. A remainder that is rounding noise means that the span is complete. The
    rest of the basis is then zero vectors, which add nothing: a normalized remainder would not be
    orthogonal to the basis, and a Ritz value could exceed the norm.
    """
    basis = start.new_zeros(len(start), products + 1, start.shape[1])
    images = start.new_zeros(len(start), products, start.shape[1])
    basis[:, :1] = F.normalize(start, dim=1)[:, None]
    longest = start.new_zeros(len(start), 1, 1)
    norms, ended = start.new_zeros(len(start)), torch.empty_like(start)
    left = torch.arange(len(start), device=start.device)  # operators without an estimate
    apply = operators(left)
    for k in range(products):
        images[:, k : k + 1] = rest = apply(basis[:, k])[:, None]
        longest = longest.maximum(rest.norm(dim=2, keepdim=True))
        # only the last two are not orthogonal to it already, but for rounding
        for span in (basis[:, max(k - 1, 0) : k + 1], basis[:, : k + 1]):
            rest = rest - rest @ span.mT @ span
        length = rest.norm(dim=2, keepdim=True)
        length = length.where(length > ROUNDING * longest, 0)
        basis[:, k + 1 : k + 2] = (rest / length).where(length > 0, 0)
        if k + 1 == products or k + 1 in looks:
            norms[left], ended[left], bounds = _ritz(
                basis[:, : k + 1], images[:, : k + 1], length.squeeze(1)
            )
            (going,) = (bounds > 1 + converged).nonzero(as_tuple=True)
            if k + 1 == products or not len(going):
                break
            left, basis, images, longest = (t[going] for t in (left, basis, images, longest))
            apply = operators(left)
    return norms, ended


def _ritz(basis: Tensor, images: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates [G], vectors [G, n] to start from next time, and bounds [G].

    `basis` [G, k, n] has orthonormal or zero rows; `images` are their products with the operators;
    `length` [G, 1] is that of the last remainder. The bound is the highest sum of a Ritz value and
    its residual, in parts of the largest Ritz value.
    """
    values, vectors = torch.linalg.eigh((basis @ images.mT).double().nan_to_num(0, 0, 0))
    rows = vectors[:, :, -2:].mT.to(basis.dtype)
    second, first = (rows @ basis).unbind(dim=1)
    image = (rows[:, 1:] @ images).squeeze(1)
    # the largest Ritz value, as its vector has it where the basis is not quite orthonormal; the
    # vector has length 1, or it is a zero vector of the basis
    squares = (first * image).sum(dim=1) / (first * first).sum(dim=1).clamp(min=0.5)
    bounds = (values + length * vectors[:, -1].abs()).amax(dim=1) / values[:, -1]
    # the second vector goes along: training may make it the first by the next call
    return squares.clamp(min=0).sqrt(), F.normalize(first + second, dim=1), bounds
