"""What a search shows while it runs: a live table, or without a terminal a line for each trial."""

import time
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from growsearch.searches.ledger import Ledger, SearchTrial
from growsearch.searches.messages import trial_name
from growsearch.stopping.cost import Metric, metric_of
from growsearch.stopping.judge import ParetoStopping
from growsearch.study.console import PlainConsole
from growsearch.study.terminal import (
    STATUS_STYLE,
    measured,
    parameters,
    short,
    show_notes,
    validated,
)
from growsearch.trial.errors import counted
from growsearch.trial.history import EpochRecord
from growsearch.trial.status import Status

FINISHED_SHOWN = 8


class SearchProgress(tune.Callback):
    """Shows the search of `ledger`.

    `searched` are the fields that the search space varies. `judge`, if given, has the front and the
    audit. `notes` are lines that are shown first. `metric` is what trials are compared by.
    """

    def __init__(
        self, ledger: Ledger, searched: list[str], judge: ParetoStopping | None = None,
        notes: Sequence[str] = (), metric: Metric | None = None,
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.judge = judge
        self.searched = searched
        self.notes = notes
        self.metric = metric or metric_of("val_accuracy")
        self.left: list[str] = []
        """Trials that have ended or paused, the latest last."""
        self.started = time.monotonic()
        self.ended_before = 0
        self.live: Live | None = None

    def setup(self, *args: Any, **info: Any) -> None:
        # made here, not in __init__: the Tuner pickles its callbacks, and Live has a lock
        self.started, self.ended_before = time.monotonic(), self._ended()
        self.console = PlainConsole()
        show_notes(self.console, self.notes)
        if self.console.is_terminal:
            self.live = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=4
            )
            self.live.start()

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._left(trial)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._left(trial)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        if self.live is not None:
            self.live.stop()
        if self.judge is not None:
            safe, count = self.judge.safe, self._count
            self.console.print(
                f"pareto   {counted(count(Status.STOPPED), 'trial')} stopped, "
                f"{count(Status.PAUSED)} paused; audit: {safe.false_stops} of "
                f"{safe.judged} stops would have been wrong",
                highlight=False,
            )

    def _left(self, tunes: Trial) -> None:
        trial = self.ledger.trials[trial_name(tunes.config)]
        if trial.status is Status.WAITING and not trial.failures:
            return  # it waits for another search
        self.left = [*(name for name in self.left if name != trial.name), trial.name]
        if self.live is None:
            line = f"[{self._ended()}/{len(self.ledger.trials)}] trial {trial.name} "
            line += "goes on" if trial.status is Status.WAITING else trial.status
            if trial.history:
                last = trial.history[-1]
                line += (
                    f": {last.architecture} after {counted(last.epoch, 'epoch')}, "
                    f"{self._validated(last)}, PPE {parameters(last.ppe)}"
                    f" ({self._searched(trial)})"
                )
            line += f": {trial.reason}" if trial.reason else ""
            self.console.print(line, highlight=False, soft_wrap=True)

    def _validated(self, record: EpochRecord) -> str:
        if self.metric.column in ("val_accuracy", "val_loss"):
            return validated(record)
        return f"{self.metric.title} {measured(self.metric, record)}"

    def _count(self, status: Status) -> int:
        return len(self.ledger.with_status(status))

    def _ended(self) -> int:
        return sum(trial.status.ended for trial in self.ledger.trials.values())

    def _time_left(self, seconds: float) -> list[str]:
        """The time that is left, if each remaining trial takes as long as those that have ended."""
        ended = self._ended() - self.ended_before
        rest = len(self.ledger.trials) - self._ended()
        return [f", about {_clock(seconds * rest / ended)} left"] if ended and rest else []

    def _front(self) -> list[str]:
        """The number of trials on the front, and its hypervolume."""
        if self.judge is None or self.judge.hypervolume is None:
            return []
        members, history = self.judge.safe.front.members, self.judge.hypervolume.values
        return [f"   front of {len(members)}, hypervolume {history[-1]:.3f}"]

    def _searched(self, trial: SearchTrial) -> str:
        flat = trial.config.to_flat()
        return ", ".join(f"{name} {short(flat[name])}" for name in self.searched)

    def _render(self) -> RenderableType:
        seconds, trials = time.monotonic() - self.started, self.ledger.trials
        epochs = sum(trial.history[-1].epoch for trial in trials.values() if trial.history)
        headline = Text.assemble(
            (f"{self._ended()} of {counted(len(trials), 'trial')}", "bold"),
            f"   {counted(epochs, 'epoch')}, {self.ledger.paid['epochs']:.0f} paid   ",
            _clock(seconds),
            *self._time_left(seconds),
            *self._front(),
        )
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("trial", "status", "epochs", "architecture"):
            table.add_column(column)
        is_accuracy = self.metric.column == "val_accuracy"
        for column in ("val. acc." if is_accuracy else self.metric.title, "PPE"):
            table.add_column(column, justify="right")
        table.add_column(", ".join(self.searched), overflow="fold")
        running = self.ledger.with_status(Status.RUNNING)
        left = [trials[name] for name in self.left if trials[name].status is not Status.RUNNING]
        for trial in [*running, *reversed(left[-FINISHED_SHOWN:])]:
            status = trial.status
            cells: list[RenderableType] = [trial.name, Text(status, STATUS_STYLE[status])]
            if trial.history:
                last = trial.history[-1]
                total = trial.config.epochs
                bar = ProgressBar(
                    total=total, completed=last.epoch, width=16, complete_style="cyan"
                )
                cells += [
                    bar if status is Status.RUNNING else f"{last.epoch}",
                    last.architecture,
                    measured(self.metric, last),
                    parameters(last.ppe),
                    self._searched(trial),
                ]
            table.add_row(*cells)
        counts = {s: self._count(s) for s in (Status.WAITING, Status.PAUSED, Status.STOPPED)}
        left_out = len(left) - FINISHED_SHOWN
        notes = [f"{counted(n, 'trial')} {status}" for status, n in counts.items() if n]
        notes += [f"{left_out} earlier ones not shown"] if left_out > 0 else []
        return Group(headline, table, Text("; ".join(notes), "dim"))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
