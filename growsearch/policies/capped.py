"""The option of policies that grow up to a greatest depth."""

from dataclasses import dataclass

from growsearch.trial.architecture import Architecture
from growsearch.trial.kinds import Policy
from growsearch.trial.options import option


@dataclass(frozen=True, kw_only=True)
class Capped(Policy):
    """A policy with a greatest depth."""

    max_architecture: str | None = option(
        None, "LipGrow: the final depth, by doubling; AutoGrow: no sub-network grows deeper",
        parse=Architecture,
        default_help="LipGrow: the seed doubled twice, where the epochs suffice; AutoGrow: none",
    )  # fmt: skip
