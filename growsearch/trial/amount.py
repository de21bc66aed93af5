"""Amounts that components give, like learning rates and costs."""

from contextlib import suppress
from math import isfinite


def as_amount(value: object) -> float | None:
    """`value` as a float of Python, also if it is of numpy or a tensor.

    None if it is no finite number of at least 0.
    """
    with suppress(TypeError, ValueError, OverflowError, RuntimeError):
        amount = float(value)  # type: ignore[arg-type]
        if isfinite(amount) and amount >= 0 and not isinstance(value, str | bytes):
            return amount
    return None
