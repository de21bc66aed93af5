"""The rule of attention heads."""

from growsearch.trial.errors import InputError


def check_heads(width: int, heads: int, rotary: bool = False) -> None:
    """InputError unless heads have equal whole sizes, even ones if positions are rotary."""
    if width % heads:
        raise InputError(
            f"heads={heads} does not divide width={width}; choose a multiple of {heads} for "
            "width, or other heads"
        )
    if rotary and width // heads % 2:
        raise InputError(
            f"rotary positions turn pairs of numbers, but width={width} with heads={heads} gives "
            f"heads of {width // heads}; choose a multiple of {2 * heads} for width, or other heads"
        )
