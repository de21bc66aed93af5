"""How the figure of a definition is drawn; `figures` draws it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Points:
    """A point for each row and group, the mean and deviation over seeds, beside the paper's."""

    quantity: str


@dataclass(frozen=True)
class Against:
    """A point for each row, the mean over seeds, `quantity` against `x`.

    With `joined`, rows whose names begin alike (up to the last word) are joined by a line; with
    `starred`, the rows on the front of low `x` and high `quantity` are stars.
    """

    quantity: str
    x: str
    joined: bool = False
    starred: bool = False


@dataclass(frozen=True)
class Curves:
    """Error over seconds of training for each row, the mean over seeds (LipGrow, Figure 3)."""


Drawing = Points | Against | Curves
