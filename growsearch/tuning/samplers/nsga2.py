"""The genetic algorithm NSGA-II."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Sampler
from growsearch.trial.components import register

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@register("sampler", "nsga2", source="Deb et al. 2002")
@dataclass(frozen=True, kw_only=True)
class NSGA2(Sampler):
    """Draws by the genetic algorithm NSGA-II, whose population is the first random trials. It
    learns from completed trials. With several spaces it learns only "space" and the fields that
    all spaces draw in the same way; other fields stay random.
    """

    def optuna_sampler(self, seed: int, startup_trials: int) -> "BaseSampler":
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=startup_trials)
