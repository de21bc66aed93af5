"""The option of schedules that fall to a last learning rate."""

from dataclasses import dataclass
from typing import ClassVar

from growsearch.trial.kinds import Schedule
from growsearch.trial.options import option


@dataclass(frozen=True, kw_only=True)
class ToFinal(Schedule):
    """A schedule that ends at a share of the largest learning rate."""

    reads_data = False
    usual_last: ClassVar[float] = 0.0
    """Where it ends if nothing is said, or at the largest learning rate if that is less."""
    final_lr: float | None = option(
        None, "where the learning rate ends, as a share of the largest", least=0, below=1,
        default_help="at 0; cosines: at 0.001", keyed_at_default=False,
    )  # fmt: skip

    def last(self, lr: float) -> float:
        """Where a fall from `lr` ends."""
        return min(self.usual_last, lr) if self.final_lr is None else self.final_lr * lr
