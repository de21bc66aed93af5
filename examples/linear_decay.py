"""A learning-rate schedule of your own: a straight line, with warm-up.

growsearch train --plugin examples/linear_decay.py --lr-schedule linear-decay --warm-up 3
"""

from dataclasses import dataclass

from growsearch import History, Schedule, TrialConfig, option, register


@register("lr_schedule", "linear-decay")
@dataclass(frozen=True, kw_only=True)
class LinearDecay(Schedule):
    """A line that rises for some epochs, and falls to zero at the end."""

    reads_data = False
    warm_up: int = option(0, "epochs in which the learning rate rises", least=0)

    def rate(self, trial: TrialConfig, history: History, lr: float) -> float:
        epoch = len(history)
        if epoch < self.warm_up:
            return lr * (epoch + 1) / (self.warm_up + 1)
        return lr * (trial.growing_epochs - epoch) / (trial.growing_epochs - self.warm_up)
