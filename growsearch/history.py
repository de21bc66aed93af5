"""What happened: one record an epoch, never changed afterwards."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One trained epoch. Accuracies are in percent, losses mean cross-entropy in nats.

    Two records are equal when training was: wall time is not compared.
    """

    epoch: int
    """Epochs completed, this one included: the first is 1."""
    architecture: str
    """What was trained in this epoch."""
    parameters: int
    param_epochs: int
    """Parameters summed over the epochs so far."""
    ppe: float
    """Parameters per epoch so far (LipGrow, section 5.3): param_epochs / epoch."""
    lr: float
    train_loss: float
    val_loss: float
    val_accuracy: float
    test_accuracy: float
    """Recorded only: no decision reads it."""
    lipschitz: float
    """Mean Lipschitz constant of the residual blocks after the epoch."""
    grew: bool
    """Whether the network grew after this epoch."""
    seconds: float = field(compare=False)
    """Wall time of the epoch: training, evaluation and Lipschitz constants."""
    status: str
    """running, or how the trial ended here: completed, diverged, failed."""


class History(tuple[EpochRecord, ...]):
    """The records of a trial so far, in order; `plus` returns a longer one."""

    __slots__ = ()

    def plus(self, record: EpochRecord) -> "History":
        return History((*self, record))

    @property
    def growth_epochs(self) -> tuple[int, ...]:
        return tuple(record.epoch for record in self if record.grew)

    @property
    def last_growth(self) -> int:
        """Epochs completed at the last growth; 0 before the first."""
        return max(self.growth_epochs, default=0)

    @property
    def since_growth(self) -> tuple[EpochRecord, ...]:
        """The records of the present architecture."""
        return self[self.last_growth :]
