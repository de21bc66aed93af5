"""Norms of the Jacobians of residual blocks, for blocks of which no closed form is known.

LipGrow's constant is of the residual f in x + f(x), not of x + f(x): its section 4.3 multiplies the
constants of the residual's layers and leaves the shortcut out. A network's residual has no
constant that could be computed. What can be is the norm of its Jacobian f'(x), the largest
singular value, at the inputs that examples give the block. It is at most the constant.

A stream is what a block adds its residual to, [examples, ...]: one row for each example, the whole
sequence where an example is one. Vectors of a block are [examples, n], n numbers a row.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.growth.lanczos import Product, largest_singular_values
from growsearch.machine.batches import mapped, tensors
from growsearch.machine.compiling import uncompiled
from growsearch.machine.memory import is_out_of_memory
from growsearch.machine.randomness import generator, seeded
from growsearch.trial.errors import InputError, one_line

SAMPLES = 2
"""Examples whose Jacobians are taken, always the same ones."""
FIRST_PRODUCTS = 12
"""Products J^T J v for a block without vectors from the epoch before."""
PRODUCTS = 8
"""At most, for a block with them."""
LOOKS = (3, 4, 6)
"""After these numbers of products such a block may have converged."""
CONVERGED = 0.1
"""See lanczos.CONVERGED; it is a part of the square of a norm."""
FRESH = 0.1
"""See lanczos.FRESH."""


@dataclass(frozen=True)
class Call:
    """What a model called a block with: the stream is the first tensor of floating point in it."""

    inputs: tuple[Any, ...]
    named: Mapping[str, Any]

    @property
    def stream(self) -> Tensor:
        return next(t for t in self._tensors() if t.is_floating_point())

    @property
    def has_stream(self) -> bool:
        return any(t.is_floating_point() for t in self._tensors())

    def _tensors(self) -> Iterator[Tensor]:
        return tensors((self.inputs, dict(self.named)))

    def at(self, stream: Tensor) -> "Call":
        """The call with another stream; everything else is held fixed."""
        old = self.stream

        def change(tensor: Tensor) -> Tensor:
            return stream if tensor is old else tensor

        return Call(mapped(self.inputs, change), mapped(dict(self.named), change))


def difference(block: nn.Module, *inputs: Any, **named: Any) -> Tensor:
    """block(x) - x for what a model calls the block with, x its first tensor of floating point.

    Raises InputError if the block returns no tensor of the shape of x.
    """
    call = Call(inputs, named)
    x = call.stream
    changed = call.at(x.clone())  # a block may add to its input in place
    out = block(*changed.inputs, **changed.named)
    if not isinstance(out, Tensor) or out.shape != x.shape:
        given = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise InputError(
            f"lipschitz 'jacobian' needs blocks that return a tensor of their input's shape, and a "
            f"{type(block).__name__} returns {given} for {tuple(x.shape)}; define added(self, "
            "block, ...) in the task, what the block adds to its input"
        )
    return out - x


def jacobian_norms(
    model: nn.Module, blocks: Mapping[str, nn.Module], run: Callable[[], Any], examples: int,
    added: Callable[..., Tensor], vectors: dict[str, Tensor], seed: int,
) -> dict[str, Tensor]:  # fmt: skip
    """By the name of each block, the norms [examples] of its residual's Jacobians.

    `run` runs the model on a batch of `examples` examples, which shows what blocks are called with;
    `added(block, ...)` is the residual of a block for that call. A norm is an estimate from below.
    `vectors` holds a start for each block by its name, [examples, n], which the call brings up to
    date. All is computed in the precision of the weights and in evaluation mode. Modes, buffers,
    gradients and random states are afterwards what they were.

    Raises InputError for a block that is not called, or cannot be differentiated twice.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    norms = {}
    # the other kernels of attention cannot be differentiated twice
    with _unchanged(model), seeded(0), uncompiled(), sdpa_kernel(SDPBackend.MATH):
        calls = _calls(blocks, run, examples)
        for name, block in blocks.items():
            call = calls.pop(name)
            with torch.enable_grad(), _told(block):
                product, shape = _product(block, call, added, seed)
                known = vectors.get(name)
                if known is not None and known.shape != shape:
                    known = None  # of other examples
                norms[name], vectors[name] = _norms(product, shape, known, seed, call.stream.device)
    return norms


def _norms(
    product: Product, shape: tuple[int, int], known: Tensor | None, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    drawn = torch.randn(shape[1], generator=generator(seed, 0, f"Jacobian of {shape[1]} numbers"))
    start = F.normalize(drawn, dim=0).to(device).expand(shape)
    looks: tuple[int, ...] = ()
    products = FIRST_PRODUCTS
    if known is not None:
        start, products, looks = known + FRESH * start, PRODUCTS, LOOKS

    def operators(left: Tensor) -> Product:
        if len(left) == shape[0]:
            return product

        def some(v: Tensor) -> Tensor:
            every = v.new_zeros(shape)
            every[left] = v
            return product(every)[left]

        return some

    return largest_singular_values(operators, start, products, looks, CONVERGED)


def _product(
    block: nn.Module, call: Call, added: Callable[..., Tensor], seed: int
) -> tuple[Product, tuple[int, int]]:
    """v -> J^T J v for each example's Jacobian J of the residual, and the shape of v.

    J^T u is a backward pass. It is linear in u, so J v is the backward pass of that backward pass.
    Both go through graphs that are made once. In evaluation mode examples do not see each other:
    J^T J of the batch has a block for each of them.
    """
    x = call.stream.detach().clone().requires_grad_()
    changed = call.at(x)
    y = added(block, *changed.inputs, **changed.named)
    # its values do not matter for the graphs; random ones let the first product be checked
    draw = torch.randn(y.shape, generator=generator(seed, 0, "Jacobian's output"))
    u = draw.to(y).requires_grad_()
    (pulled,) = torch.autograd.grad(y, x, u, create_graph=True, materialize_grads=True)
    checked = False

    def product(v: Tensor) -> Tensor:
        nonlocal checked
        v = v.reshape(x.shape).to(x.dtype)
        (pushed,) = torch.autograd.grad(pulled, u, v, retain_graph=True, materialize_grads=True)
        if not checked:
            checked = True
            _check_adjoint(v, pushed.detach(), u.detach(), pulled.detach())
        (back,) = torch.autograd.grad(y, x, pushed, retain_graph=True, materialize_grads=True)
        return back.reshape(len(x), -1).float()

    return product, (len(x), x[0].numel())


def _check_adjoint(v: Tensor, pushed: Tensor, u: Tensor, pulled: Tensor) -> None:
    """Raises RuntimeError unless (J v) u = v (J^T u).

    Where a function of one's own cannot be differentiated twice, torch may leave out its part of
    J v without an error.
    """
    rounding = 1e3 * torch.finfo(v.dtype).eps * (pushed.norm() + v.norm() * pulled.norm())
    if ((pushed * u).sum() - (v * pulled).sum()).abs() > rounding:
        raise RuntimeError("the gradient of its gradient is wrong")


def _calls(
    blocks: Mapping[str, nn.Module], run: Callable[[], Any], examples: int
) -> dict[str, Call]:
    """What each block is first called with while the model runs."""
    calls: dict[str, Call] = {}

    def hook(name: str) -> Any:
        def seen(block: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            call = Call(inputs, named)
            if name not in calls and call.has_stream:
                calls[name] = call.at(call.stream.detach().clone())

        return seen

    hooks = [
        block.register_forward_pre_hook(hook(name), with_kwargs=True)
        for name, block in blocks.items()
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in hooks:
            handle.remove()
    for name in blocks:
        if name not in calls:
            raise InputError(
                f"lipschitz 'jacobian' needs the inputs of block {name!r}, and the model does not "
                "call it with a tensor in evaluation mode; call blocks by block(x)"
            )
        if (shape := tuple(calls[name].stream.shape)) and shape[0] == examples:
            continue
        raise InputError(
            f"lipschitz 'jacobian' needs blocks whose input has a row for each example, and block "
            f"{name!r} gets one of shape {shape} for {examples} examples; put the examples first"
        )
    return calls


@contextmanager
def _told(block: nn.Module) -> Iterator[None]:
    """Raises InputError where torch cannot differentiate the block twice."""
    for module in block.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is None:
            raise InputError(
                f"lipschitz 'jacobian' needs examples that do not see each other, and a "
                f"{type(block).__name__} has a batch normalization without running statistics; "
                "set track_running_stats=True"
            )
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"lipschitz 'jacobian' differentiates blocks twice, and torch cannot do that with a "
            f"{type(block).__name__} ({one_line(error)[:200]}); choose a policy that reads no "
            "Lipschitz constants"
        ) from error


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """The model is in evaluation mode within; afterwards modes and buffers are what they were."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone(), buffer._version) for buffer in model.buffers()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, before, version in buffers:
                if buffer._version != version:
                    buffer.copy_(before)
