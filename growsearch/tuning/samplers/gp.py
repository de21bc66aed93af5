"""Gaussian processes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Sampler
from growsearch.trial.components import register

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@register(
    "sampler", "gp",
    source="Daulton et al. 2020, arXiv:2006.05078; Ament et al. 2023, arXiv:2310.20708",
)  # fmt: skip
@dataclass(frozen=True, kw_only=True)
class GP(Sampler):
    """Draws by Gaussian processes and the expected hypervolume improvement, which takes about a
    second for each trial. It learns from completed and running trials, and from the same fields as
    nsga2.
    """

    def optuna_sampler(self, seed: int, startup_trials: int) -> "BaseSampler":
        from optuna.samplers import GPSampler

        return GPSampler(
            seed=seed, n_startup_trials=startup_trials, warn_independent_sampling=False
        )
