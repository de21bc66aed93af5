"""What the command line shows: a line for each epoch, and tables of results."""

import math
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from growsearch.stopping.cost import Metric
from growsearch.trial.errors import counted
from growsearch.trial.history import (
    FINE_TUNING,
    INITIALIZING,
    OWN,
    EpochRecord,
    History,
    in_words,
)
from growsearch.trial.kinds import Decision
from growsearch.trial.status import Status

if TYPE_CHECKING:
    import pandas as pd

STATUS_STYLE = {
    Status.COMPLETED: "green",
    Status.STOPPED: "yellow",
    Status.PAUSED: "yellow",
    Status.DIVERGED: "red",
    Status.FAILED: "red",
    Status.RUNNING: "cyan",
    Status.WAITING: "",
}
_EPOCH_HEADER = (
    "                                     loss         accuracy %",
    "epoch  network   params     lr   train     val    val   test Lipschitz     PPE",
)


def parameters(count: float) -> str:
    """A number of parameters: millions with three decimals from 0.1 M on, thousands with one."""
    if count >= 1e5:
        return f"{count / 1e6:.3f} M"
    return f"{count / 1e3:.1f} k" if count >= 1e3 else f"{count:.0f}"


def amount(value: float) -> str:
    """A cost with four digits: "113.2 G" for 1.132e11."""
    for factor, sign in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.4g} {sign}"
    return f"{value:.4g}"


def short(value: object) -> str:
    """A configuration's value in a table. None and NaN are "-"; whole floats lose their ".0"."""
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.4g}"
    return str(value)


def percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def number(value: float | None) -> str:
    """A loss or a task's own number: four decimals, or six digits where these say more."""
    if value is None or math.isnan(value):
        return "-"
    digits, decimals = f"{value:.6g}", f"{value:.4f}"
    return decimals if float(decimals) == float(digits) else digits


def measured(metric: Metric, record: EpochRecord) -> str:
    """The metric of an epoch."""
    value = metric.of(record)
    return percent(value) if metric.unit == "percent" else number(value)


def validated(record: EpochRecord) -> str:
    """What validation says of the epoch: its accuracy, or its loss where there is no accuracy."""
    if record.val_accuracy is None:
        return f"validation loss {number(record.val_loss)}"
    return f"validation {percent(record.val_accuracy)} %"


def _tested(record: EpochRecord) -> str:
    if record.test_accuracy is not None:
        return f", test {percent(record.test_accuracy)} %"
    loss = record.metrics.get("test_loss")
    return "" if loss is None else f", test loss {number(loss)}"


def show_notes(console: Console, notes: Iterable[str]) -> None:
    """Prints each of TrialConfig.notes on a line."""
    for note in notes:
        console.print(f"note: {note}", style="yellow", highlight=False, soft_wrap=True)


class EpochDisplay:
    """Prints a line for each epoch and each growth; a terminal also has a progress bar."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.progress = Progress(
            TextColumn("epochs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.console = console
        self.initializing = False
        self.begun = False
        self.task = self.progress.add_task("", total=epochs)

    def __enter__(self) -> "EpochDisplay":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.progress.stop()

    def _note(self, text: str) -> None:
        self.console.print(f"       ↳ {text}", style="bold cyan", highlight=False, soft_wrap=True)

    def show(self, record: EpochRecord, decision: Decision | None) -> None:
        if not self.begun:  # a trial may have no epoch left, or fail in its first
            self.begun = True
            for line in _EPOCH_HEADER:
                self.console.print(line, style="bold", soft_wrap=True)
        if (record.phase == INITIALIZING) != self.initializing:
            self.initializing = not self.initializing
            self._note(
                "only new blocks are trained"
                if self.initializing
                else "all blocks are trained again"
            )
        self.console.print(
            f"{record.epoch:5d}  {record.architecture:<8} {parameters(record.parameters):>7} "
            f"{record.lr:6.4f} {record.train_loss:7.4f} {record.val_loss:7.4f} "
            f"{percent(record.val_accuracy):>6} {percent(record.test_accuracy):>6} "
            f"{_constant(record.lipschitz):>9} {parameters(record.ppe):>7}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        if decision is not None:
            self._note(str(decision))
        self.progress.update(self.task, completed=record.epoch)


def _constant(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def trial_summary(history: History) -> str:
    """The last lines that a trial shows."""
    last = history[-1]
    best = max(history, key=lambda record: record.quality)
    depths = list(dict.fromkeys(record.architecture for record in history))
    path = " → ".join(depths if len(depths) <= 6 else [*depths[:3], "...", depths[-1]])
    counts = [
        f"{n} {phase}"
        for phase in (INITIALIZING, FINE_TUNING)
        if (n := sum(record.phase == phase for record in history))
    ]
    phases = f" ({', '.join(counts)})" if counts else ""
    return "\n".join(
        (
            f"{last.status} after {counted(last.epoch, 'epoch')}{phases}, "
            f"{sum(record.seconds for record in history):.1f} s",
            f"architecture   {path} (growths after epochs: {in_words(history.growth_epochs)})",
            f"last epoch     {validated(last)}{_tested(last)}",
            f"best epoch     {validated(best)}{_tested(best)} (epoch {best.epoch}, "
            f"{best.architecture})",
            f"PPE            {last.ppe:,.0f} of {last.parameters:,} final parameters "
            f"({last.ppe / last.parameters:.0%})",
        )
    )


def _distinct(trials: "pd.DataFrame") -> "Iterator[tuple[str, pd.Series]]":
    """The first trial of each configuration, with the names of all that have it."""
    options = [str(column) for column in trials if str(column).startswith("config/")]
    rows: dict[tuple[str, ...], list[pd.Series]] = {}
    for _, trial in trials.iterrows():
        rows.setdefault(tuple(repr(trial[name]) for name in options), []).append(trial)
    for same in rows.values():
        yield ", ".join(trial["trial_id"] for trial in same), same[0]


def _signed(points: float) -> str:
    return "-" if math.isnan(points) else f"{points:+.2f}"


_FOUND = ("trial_id", "policy", "interval", "initializer", "start", "found")


def found_table(found: "pd.DataFrame") -> Table:
    """The networks found by growing, most accurate first; Δ compares with training from scratch."""
    table = Table(
        title="Found networks (Δ: percentage points above training from scratch)",
        title_justify="left",
        title_style="bold",
        box=None,
    )
    for column in ("trial", "policy", "K", "initializer", "start", "found"):
        table.add_column(column, overflow="fold")
    for column in ("epochs", "PPE", "val. %", "Δ", "test %", "Δ"):
        table.add_column(column, justify="right", no_wrap=True)
    for _, trial in found.sort_values("val_accuracy", ascending=False).iterrows():
        table.add_row(
            *(short(trial[name]) for name in _FOUND),
            short(trial["epochs"]),
            parameters(trial["ppe"]),
            percent(trial["val_accuracy"]),
            _signed(trial["val_delta"]),
            percent(trial["test_accuracy"]),
            _signed(trial["test_delta"]),
        )
    return table


def front_table(
    front: "pd.DataFrame", searched: list[str], metric: str = "val_accuracy",
    cost: str = "ppe", *, together: bool = False,
) -> Table:  # fmt: skip
    """The Pareto front by the columns `cost` and `metric`, cheapest first.

    A row for each trial; trials of one configuration share one, which names all of them. Each
    of `searched` has a column, or all have one `together`, for a terminal without that much room.
    """
    table = Table(title="Pareto front", title_justify="left", title_style="bold", box=None)
    table.add_column("trial", overflow="fold")
    by_accuracy = metric == "val_accuracy"
    for column in (
        "PPE" if cost == "ppe" else cost.removeprefix("cost/").replace("_", " "),
        *(("val. %", "test %") if by_accuracy else (metric.removeprefix(OWN).replace("_", " "),)),
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("depth", "grew after"):
        table.add_column(column, overflow="fold")
    for name in ("searched",) if together else searched:
        table.add_column(name, justify="left" if together else "right", overflow="fold")
    for names, trial in _distinct(front):
        values = [short(trial[f"config/{name}"]) for name in searched]
        if together:
            values = [", ".join(map(" ".join, zip(searched, values, strict=True)))]
        table.add_row(
            names,
            parameters(trial["ppe"]) if cost == "ppe" else amount(trial[cost]),
            *(
                (percent(trial["val_accuracy"]), percent(trial["test_accuracy"]))
                if by_accuracy
                else (number(trial[metric]),)
            ),
            trial["architecture"],
            in_words(trial["growth_epochs"].split()),
            *values,
        )
    return table
