"""The tree-structured Parzen estimator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Sampler
from growsearch.trial.components import register

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@register("sampler", "tpe", source="Bergstra et al. 2011; Ozaki et al. 2022, JAIR")
@dataclass(frozen=True, kw_only=True)
class TPE(Sampler):
    """Draws by a tree-structured Parzen estimator, which models each field by itself. It learns
    from completed trials, and from stopped and running trials as bad ones. While completed trials
    are less than a tenth of the completed and stopped ones, some stopped trials count as good.
    """

    def optuna_sampler(self, seed: int, startup_trials: int) -> "BaseSampler":
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, n_startup_trials=startup_trials)
