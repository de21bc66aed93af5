"""What a search shows while it runs: a live table on a terminal, a line a trial elsewhere."""

import time
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from growsearch.config import TrialConfig
from growsearch.terminal import STATUS_STYLE, megas, percent, short, show_notes
from growsearch.tuning.awaited import AWAITS

FINISHED_SHOWN = 8


class SearchProgress(tune.Callback):
    """Follows a search of `total` trials, and of those that follow from them.

    `searched` are the fields that tell them apart, `notes` lines to be shown first.
    """

    def __init__(self, total: int, searched: list[str], notes: Sequence[str] = ()) -> None:
        self.total = total
        self.searched = searched
        self.notes = notes
        self.latest: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, TrialConfig] = {}
        self.ended: list[str] = []
        self.epochs = 0
        self.returned = 0
        self.started = time.monotonic()
        self.live: Live | None = None

    def setup(self, *args: Any, **info: Any) -> None:
        # made here and not before: the Tuner pickles its callbacks, and a Live holds a lock
        self.started = time.monotonic()
        self.console = Console()
        show_notes(self.console, self.notes)
        if self.console.is_terminal:
            self.live = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=4
            )
            self.live.start()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if AWAITS in result:
            self.returned += 1
            self.epochs -= self.latest.pop(trial.trial_id, {}).get("epoch", 0)
            return
        if trial.trial_id not in self.configs:
            self.configs[trial.trial_id] = TrialConfig.from_flat(trial.config["trial"])
        self.total = max(self.total, len(trials) - self.returned)
        self.latest[trial.trial_id] = result
        self.epochs += 1

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        if trial.trial_id in self.latest:
            self._end(trial.trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._end(trial.trial_id, status="failed")

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        if self.live is not None:
            self.live.stop()

    def _end(self, trial_id: str, status: str | None = None) -> None:
        self.ended.append(trial_id)
        last = self.latest.setdefault(trial_id, {})
        last["status"] = status or last.get("status", "completed")
        if self.live is None:
            line = f"[{len(self.ended)}/{self.total}] trial {trial_id} {last['status']}"
            if "epoch" in last:
                line += (
                    f": {last['architecture']} after {last['epoch']} epochs, validation "
                    f"{percent(last['val_accuracy'])} %, PPE {megas(last['ppe'])}"
                    f" ({self._searched(trial_id)})"
                )
            self.console.print(line, highlight=False, soft_wrap=True)

    def _searched(self, trial_id: str) -> str:
        if trial_id not in self.configs:
            return ""
        flat = self.configs[trial_id].to_flat()
        return ", ".join(f"{name} {short(flat[name])}" for name in self.searched)

    def _render(self) -> RenderableType:
        seconds = int(time.monotonic() - self.started)
        headline = Text.assemble(
            (f"{len(self.ended)} of {self.total} trials", "bold"),
            f"   {self.epochs} epochs   {seconds // 60}:{seconds % 60:02d}",
        )
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("trial", "status", "epochs", "architecture"):
            table.add_column(column)
        for column in ("val. acc.", "PPE"):
            table.add_column(column, justify="right")
        table.add_column(", ".join(self.searched), overflow="fold")
        running = [trial_id for trial_id in self.latest if trial_id not in self.ended]
        for trial_id in [*running, *reversed(self.ended[-FINISHED_SHOWN:])]:
            last = self.latest[trial_id]
            status = last.get("status", "running")
            cells: list[RenderableType] = [trial_id, Text(status, STATUS_STYLE.get(status, ""))]
            if "epoch" in last:
                epochs = self.configs[trial_id].epochs
                done = last["epoch"]
                bar = ProgressBar(total=epochs, completed=done, width=16, complete_style="cyan")
                cells += [
                    bar if trial_id in running else f"{done}",
                    last["architecture"],
                    percent(last["val_accuracy"]),
                    megas(last["ppe"]),
                    self._searched(trial_id),
                ]
            table.add_row(*cells)
        waiting = self.total - len(self.ended) - len(running)
        left_out = len(self.ended) - FINISHED_SHOWN
        notes = [f"{waiting} trials wait"] if waiting else []
        notes += [f"{left_out} earlier ones not shown"] if left_out > 0 else []
        return Group(headline, table, Text("; ".join(notes), "dim"))
