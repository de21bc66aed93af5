"""How deep each sub-network of a network is, written as the papers write it: "3-3-3"."""

from collections.abc import Iterable
from dataclasses import dataclass

from growsearch.trial.errors import InputError

_MOST_DIGITS = 15


@dataclass(frozen=True, init=False)
class Architecture:
    """Residual blocks (sub-modules) per sub-network. Most tasks need at least one in each.

    >>> Architecture("2-2-2").doubled()
    Architecture("4-4-4")

    Raises InputError for anything that is not whole numbers joined by dashes.
    """

    blocks: tuple[int, ...]

    def __init__(self, blocks: "str | Architecture | Iterable[int]") -> None:
        if isinstance(blocks, Architecture):
            blocks = blocks.blocks
        if isinstance(blocks, str):
            parts = blocks.split("-")
        else:
            parts = [str(n) for n in (blocks if isinstance(blocks, Iterable) else [blocks])]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise InputError(
                f"architecture {'-'.join(parts)!r} is not blocks per sub-network joined by dashes, "
                "each a whole number; write it like 2-2-2"
            )
        if any(len(part) > _MOST_DIGITS for part in parts):
            given = "-".join(part if len(part) <= 20 else f"{part[:20]}..." for part in parts)
            raise InputError(
                f"architecture {given!r} has a number of over {_MOST_DIGITS} digits; write it like "
                "2-2-2"
            )
        object.__setattr__(self, "blocks", tuple(int(part) for part in parts))

    def __str__(self) -> str:
        return "-".join(str(n) for n in self.blocks)

    def __repr__(self) -> str:
        return f'Architecture("{self}")'

    def check_least(self, name: str, least: int, owner: str) -> None:
        """InputError unless every sub-network has at least `least` blocks, as `owner` needs.

        `name` is the option that has this value.
        """
        if min(self.blocks) < least:
            example = Architecture(max(n, least) for n in self.blocks)
            raise InputError(
                f"{name} {str(self)!r} has a sub-network of {min(self.blocks)} blocks, but "
                f"{owner} needs at least {least} in each; write it like {example}"
            )

    def deepened(self) -> "Architecture":
        """Every sub-network twice as deep; one without blocks gets its first."""
        return Architecture(max(2 * n, 1) for n in self.blocks)

    def doubled(self, times: int = 1) -> "Architecture":
        """Every sub-network twice as deep, `times` times over (LipGrow, section 4.1).

        Raises InputError if one has no blocks: it would stay without.
        """
        if not all(self.blocks):
            example = Architecture(max(n, 1) for n in self.blocks)
            raise InputError(
                f"architecture {self} cannot be doubled: twice no blocks are none; start from "
                f"{example}, or grow to given depths by policy 'fixed' with growth_architectures"
            )
        return Architecture(n * 2**times for n in self.blocks)

    def grown(self, subnetwork: int) -> "Architecture":
        """One more sub-module in one sub-network, counted from 0 (AutoGrow, algorithm 1)."""
        return Architecture(n + (i == subnetwork) for i, n in enumerate(self.blocks))

    def fits_in(self, cap: "Architecture") -> bool:
        """Whether no sub-network is deeper than `cap`'s."""
        return all(n <= most for n, most in zip(self.blocks, cap.blocks, strict=True))

    def doublings_to(self, target: "Architecture") -> int:
        """How often this architecture is doubled to reach `target`; InputError if it never is."""
        self.doubled()  # refuses a sub-network without blocks
        times = max(target.blocks[0] // self.blocks[0], 1).bit_length() - 1
        if self.doubled(times) != target:
            reachable = ", ".join(str(self.doubled(k)) for k in range(1, 4))
            raise InputError(
                f"doubling never leads from architecture {self} to {target}; "
                f"it leads to {reachable}, ..."
            )
        return times
