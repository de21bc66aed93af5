"""A learning-rate schedule of your own: it falls with the square root of time.

growsearch train --plugin examples/inverse_root.py --lr-schedule inverse-root --flat 3
"""

from dataclasses import dataclass

from growsearch import History, Schedule, TrialConfig, option, register


@register("lr_schedule", "inverse-root", source="Vaswani et al. 2017, section 5.3")
@dataclass(frozen=True, kw_only=True)
class InverseRoot(Schedule):
    """The largest rate for some epochs, then its product with the square root of flat / epochs."""

    reads_data = False
    flat: int = option(1, "epochs at the largest learning rate", least=1)

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        return lr * min(1.0, (self.flat / (len(history) + 1)) ** 0.5)

    def full_epochs(self, trial: TrialConfig) -> float:
        return min(self.flat, trial.growing_epochs)
