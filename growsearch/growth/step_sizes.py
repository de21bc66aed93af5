"""Step sizes of residual blocks, and a guard against weights that were made for others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

STEP_SIZES = "step_sizes"
"""Key of a state dict, or of its metadata, for the step sizes that its weights are made for."""


@dataclass(frozen=True)
class StepSize:
    """What growing by cloning has multiplied a block's residual with (LipGrow, section 4.1).

    `implicit` is in the weights: only the eps of some layers need to know it. `explicit` is a
    factor of the residual.
    """

    implicit: float = 1.0
    explicit: float = 1.0


def guard_step_sizes(network: "nn.Module", steps: Sequence[StepSize]) -> None:
    """Lets the network's state dict say its `steps` in the metadata, and refuse other weights.

    A file of weights has them as a tensor [stacks, 2] beside the weights. Weights that were trained
    with other step sizes do not load: `load_state_dict` raises RuntimeError.
    """
    own = tuple((step.implicit, step.explicit) for step in steps)
    network.register_state_dict_post_hook(partial(_write, own))
    network.register_load_state_dict_pre_hook(partial(_check, own))


_Own = tuple[tuple[float, float], ...]


def _write(
    own: _Own, network: "nn.Module", state: Any, prefix: str, metadata: dict[str, Any]
) -> None:
    metadata[STEP_SIZES] = own


def _check(
    own: _Own, network: "nn.Module", state: dict[str, Any], prefix: str, metadata: dict[str, Any],
    strict: bool, missing: list[str], unexpected: list[str], errors: list[str],
) -> None:  # fmt: skip
    """Adds an error if the weights are made for other step sizes than the network's."""
    found = metadata.get(STEP_SIZES)  # older states have none
    beside = state.pop(prefix + STEP_SIZES, None)
    if beside is not None:
        found = beside.tolist()
    if found is not None and [tuple(step) for step in found] != list(own):
        errors.append(
            f"the weights are made for step sizes (implicit, explicit) of {found}, but the network "
            f"has {list(own)}: give build_network these `steps`, or load an exported file with "
            "growsearch.load_network"
        )
