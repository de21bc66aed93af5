"""What a growth policy may decide, and the phase of training that follows."""

from dataclasses import dataclass

from growsearch.trial.architecture import Architecture
from growsearch.trial.choices import PLAIN
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import FINE_TUNING, INITIALIZING, TRAINING, History

ADAM_EPOCHS = 10
"""AdamInit's epochs at most (AutoGrow, section 2.2)."""
ADAM_TOLERANCE = 0.5
"""Percentage points that training accuracy may then lack (AutoGrow's program)."""


@dataclass(frozen=True)
class Grow:
    """Go on as a deeper network."""

    architecture: Architecture
    reason: str

    def __str__(self) -> str:
        return f"grows to {self.architecture}: {self.reason}"


@dataclass(frozen=True)
class FineTune:
    """Grow no more, and train the network that was found to its end."""

    reason: str

    def __str__(self) -> str:
        return f"fine-tunes: {self.reason}"


Decision = Grow | FineTune


def next_phase(config: TrialConfig, history: History, decision: Decision | None) -> str:
    """The phase of the epoch that follows `history` and the decision at its end."""
    if isinstance(decision, FineTune):
        return FINE_TUNING
    if isinstance(decision, Grow):
        return INITIALIZING if _initializes_apart(config) else TRAINING
    if history[-1].phase == INITIALIZING and _initialized(config, history):
        return TRAINING
    return history[-1].phase


def completes(config: TrialConfig, history: History) -> bool:
    """Whether the last epoch of `history` is the trial's last."""
    if history[-1].phase == INITIALIZING:
        return False
    tuned = sum(record.phase == FINE_TUNING for record in history)
    return tuned == config.finetune_epochs or len(history.trained) == config.epochs


def _initializes_apart(config: TrialConfig) -> bool:
    """Plain networks lack the normalization that adam trains."""
    adam = config.initializer == "adam" and config.network not in PLAIN
    return adam or config.initializer == "partial"


def _initialized(config: TrialConfig, history: History) -> bool:
    """partial: after an epoch (Istrate et al. 2018). adam: when training accuracy is what it was
    before the growth, or after 10 epochs (AutoGrow, section 2.2).
    """
    if config.initializer == "partial":
        return True
    before = history[history.last_growth - 1].train_accuracy
    short = before - history[-1].train_accuracy
    return len(history.since_growth) >= ADAM_EPOCHS or short <= ADAM_TOLERANCE
