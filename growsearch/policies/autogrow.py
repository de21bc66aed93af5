"""AutoGrow's policies (KDD 2020, algorithm 1), which grow one sub-network after the other.

They look at the running maximum of validation accuracy, in percent, over the whole trial: accuracy
has risen in W epochs unless that maximum rose by less than tau. Nothing is kept between epochs;
which sub-networks still grow, and whose turn it is, is counted anew from the accuracies.
"""

from itertools import accumulate

from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History
from growsearch.trial.phases import Decision, FineTune, Grow


def periodic(config: TrialConfig, history: History) -> Decision | None:
    """p-AutoGrow: one more sub-module every K epochs (AutoGrow, section 2.3).

    The sub-network that grew last stops growing if accuracy has not risen in J epochs. When none
    grows any more, fine-tuning begins.
    """
    assert config.patience
    interval = config.interval_epochs
    growing, stopped, grown, best = _Growing(config), None, None, _best(history)
    for epoch in range(interval, len(history) + 1, interval):
        flat = not _risen(config, best, epoch, config.patience)
        stopped = growing.stop_last() if flat else None
        grown = growing.grow_next()
    return _decision(config, history, growing, grown, stopped, config.patience)


def convergent(config: TrialConfig, history: History) -> Decision | None:
    """c-AutoGrow: one more sub-module once accuracy has not risen in K epochs (section 2.3).

    A sub-network that grew stops growing if accuracy has not risen in the K epochs since. When none
    grows any more, fine-tuning begins.
    """
    interval = config.interval_epochs
    growing, stopped, grown, best = _Growing(config), None, None, _best(history)
    for epoch in range(interval, len(history) + 1, interval):
        flat = not _risen(config, best, epoch, interval)
        stopped = growing.stop_last() if flat and grown is not None else None
        grown = growing.grow_next() if flat else None
    return _decision(config, history, growing, grown, stopped, interval)


class _Growing:
    """The circular list of the sub-networks that still grow."""

    def __init__(self, config: TrialConfig) -> None:
        self.architecture = Architecture(config.architecture)
        cap = config.max_architecture
        self.cap = Architecture(cap) if cap else None
        self.subnetworks = [i for i in range(len(self.architecture.blocks)) if not self._is_full(i)]
        self.turn = 0
        self.last: int | None = None

    def _is_full(self, i: int) -> bool:
        return self.cap is not None and self.architecture.blocks[i] >= self.cap.blocks[i]

    def stop_last(self) -> int | None:
        """The sub-network that grew last, now taken off the list; None if none was on it."""
        if self.last not in self.subnetworks:
            return None
        self.subnetworks.remove(self.last)
        return self.last

    def grow_next(self) -> int | None:
        """The sub-network whose turn it was, now one deeper; None if the list is empty."""
        if not self.subnetworks:
            return None
        n = len(self.architecture.blocks)
        self.last = min(self.subnetworks, key=lambda i: (i - self.turn) % n)
        self.architecture = self.architecture.grown(self.last)
        self.turn = (self.last + 1) % n
        if self._is_full(self.last):
            self.subnetworks.remove(self.last)
        return self.last


def _risen(config: TrialConfig, best: list[float], epoch: int, epochs: int) -> bool:
    """Whether accuracy has risen in the `epochs` before `epoch`; so it counts if they are few."""
    assert config.tau
    if epoch <= epochs:
        return True
    return best[epoch - 1] - best[epoch - 1 - epochs] >= config.tau


def _best(history: History) -> list[float]:
    """The largest accuracy up to each epoch."""
    return list(accumulate((record.val_accuracy for record in history), max))


def _epochs(n: int) -> str:
    return "an epoch" if n == 1 else f"{n} epochs"


def _decision(
    config: TrialConfig, history: History, growing: _Growing, grown: int | None,
    stopped: int | None, epochs: int,
) -> Decision | None:  # fmt: skip
    """What the last check came to, if there was one after the last epoch."""
    if len(history) >= config.growing_epochs:
        return FineTune(f"epochs={config.epochs} leaves no more for growing")
    if len(history) % config.interval_epochs:
        return None
    flat = f"accuracy rose by less than {config.tau:g} points in {_epochs(epochs)}"
    stops = f"sub-network {stopped + 1} stops growing" if stopped is not None else ""
    if config.policy == "convergent":
        reasons = [flat, stops] if grown is not None or stopped is not None else []
    else:
        reasons = [f"{_epochs(config.interval_epochs)} since the last"] if grown is not None else []
        reasons += [f"{stops}, {flat}"] if stops else []
    if grown is not None:
        return Grow(growing.architecture, "; ".join(filter(None, reasons)))
    if growing.subnetworks:
        return None
    return FineTune("; ".join(filter(None, reasons)) or "max_architecture is reached")
