"""What a search had paid when each of its trials completed."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from growsearch.comparing.entrants import Entrant
from growsearch.searches.ledger import Ledger
from growsearch.stopping.cost import cost_of, epoch_costs
from growsearch.study.best import cost_column
from growsearch.study.folder import LOG_FILE
from growsearch.study.results import histories_of
from growsearch.study.summary import was_paid
from growsearch.trial.history import EpochRecord
from growsearch.trial.status import Status

_ADDED = ("train_flops", "example_tokens")
"""Numbers of an epoch that the first version did not record."""


class Completion(NamedTuple):
    """A trial that has completed."""

    trial: str
    paid: float
    """The cost of all epochs that the search had trained by then."""
    nominal: float
    """The cost of all epochs that its trials had by then, those from a store included."""


class Progress(NamedTuple):
    completions: list[Completion]
    """In the order of time; without the search's log, in that of names."""
    paid: float
    """What all trials cost, also those that did not complete."""
    nominal: float
    logged: bool
    """Whether the order is that of the search's log."""


def progress(study: Entrant, unit: str) -> Progress:
    """How the study's search went, counted in the cost `unit`, which is a sum over epochs.

    A study that was recorded, or written by `growsearch train`, has no log. Raises InputError for a
    log that is damaged, or if the study does not have this cost.
    """
    nominal, paid = _prices(study, unit)
    ends = study.trials.set_index("trial_id")["status"]
    done = dict.fromkeys(nominal, 0)
    found, spent, whole = list[Completion](), 0.0, 0.0
    logged = (study.folder / LOG_FILE).is_file()
    for name, epochs in [*(_results(study) if logged else ()), *_rest(nominal)]:
        if epochs <= done.get(name, epochs):
            continue
        spent += sum(paid[name][done[name] : epochs])
        whole += sum(nominal[name][done[name] : epochs])
        done[name] = min(epochs, len(nominal[name]))
        if done[name] == len(nominal[name]) and ends[name] == Status.COMPLETED:
            found.append(Completion(name, spent, whole))
    return Progress(found, spent, whole, logged)


def _results(study: Entrant) -> Iterator[tuple[str, int]]:
    return Ledger(study.folder).results()


def _rest(prices: dict[str, list[float]]) -> Iterator[tuple[str, int]]:
    """All epochs of each trial: those that no log has come last."""
    for name, epochs in prices.items():
        yield name, len(epochs)


def _prices(study: Entrant, unit: str) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """By trial, what each epoch costs, and what was paid for it: nothing if a store had it."""
    cost_column(study.trials, unit)  # InputError if an older growsearch did not record it
    cost = cost_of(unit)
    trained = was_paid(study.epochs).groupby(study.epochs["trial_id"]).agg(list)
    nominal, paid = {}, {}
    for name, recorded in histories_of(study.table).items():
        history = [_numbered(record) for record in recorded]
        nominal[name] = epoch_costs(cost, history)
        paid[name] = [
            price if new else 0.0 for price, new in zip(nominal[name], trained[name], strict=True)
        ]
    return nominal, paid


def _numbered(record: EpochRecord) -> EpochRecord:
    """The record, with NaN for what an older growsearch did not record."""
    missing: dict[str, Any] = {name: math.nan for name in _ADDED if getattr(record, name) is None}
    return replace(record, **missing) if missing else record
