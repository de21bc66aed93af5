"""All checks of a task, one after the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from growsearch.checks.building import check_building
from growsearch.checks.data import check_batches, check_steps, check_values
from growsearch.checks.decisions import check_decisions
from growsearch.checks.elsewhere import (
    check_alone,
    check_importable,
    check_search,
    start_worker,
)
from growsearch.checks.evaluation import check_evaluation
from growsearch.checks.growth import check_constants, check_inheritance, check_losses
from growsearch.checks.limited import limited_name, limiting_plugin, register_limited
from growsearch.checks.outcome import CheckStatus, Fault, Held, Inapplicable, Row
from growsearch.checks.source import line_of_error
from growsearch.checks.steps import check_loss_and_gradients, check_optimizer
from growsearch.checks.subject import Subject, checked_config
from growsearch.checks.trials import check_resuming, check_store
from growsearch.tasks.task import Task
from growsearch.training.auto import resolved
from growsearch.trial.components import forgetting, registering
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.plugins import Plugin

BATCHES = 8
"""How many batches of each split and epoch the checks take."""


class Check(NamedTuple):
    """A check of a task."""

    name: str
    run: Callable[[], Held]
    method: str
    """The task's method that is named where an error has no line of the user's."""
    needs: tuple[str, ...] = ()
    """Checks that must pass before this one can run."""


BUILDS, BATCHED, VALUES, LOSS, RESUMES = "builds", "batches", "values", "loss", "resumes"


def _checks(subject: Subject, folder: Path, worker: Any) -> list[Check]:
    basis = (BUILDS, VALUES, LOSS)
    checks = [
        Check(BUILDS, lambda: check_building(subject), "build"),
        Check(BATCHED, lambda: check_batches(subject), "batches"),
        Check("steps", lambda: check_steps(subject), "batches"),
        Check(VALUES, lambda: check_values(subject), "batches", (BUILDS,)),
        Check(LOSS, lambda: check_loss_and_gradients(subject), "loss", (BUILDS, VALUES)),
        Check("evaluation", lambda: check_evaluation(subject), "evaluate", (BUILDS, VALUES)),
        Check(
            "decisions", lambda: check_decisions(subject), "build", (*basis, BATCHED, "evaluation")
        ),
        Check("optimizer", lambda: check_optimizer(subject), "optimizer", (BUILDS,)),
        Check("importable", lambda: check_importable(subject, folder, worker), "build"),
        Check("inherits", lambda: check_inheritance(subject), "build", (*basis, "optimizer")),
        Check("constants", lambda: check_constants(subject), "build", (*basis, "optimizer")),
        Check(
            RESUMES, lambda: check_resuming(subject, folder), "build",
            (*basis, BATCHED, "optimizer", "evaluation"),
        ),
        Check("store", lambda: check_store(subject, folder), "build", (RESUMES,)),
        Check("alone", lambda: check_alone(subject), "build", (RESUMES, "importable")),
    ]  # fmt: skip
    if subject.searched:
        checks.append(
            Check("search", lambda: check_search(subject, folder), "build", (RESUMES, "importable"))
        )
    needs = (*basis, "optimizer", "evaluation")
    checks.append(Check("losses", lambda: check_losses(subject), "build", needs))
    return checks


@contextmanager
def few_batches(name: str) -> Iterator[Plugin]:
    """Within it the task is also registered with few batches, by the plugin that it gives."""
    with forgetting():
        plugin = limiting_plugin(name, BATCHES)
        with registering(plugin.digest):
            register_limited(name, BATCHES)
        yield plugin


def check_task(
    name: str, plugins: tuple[Plugin, ...] = (), options: dict[str, Any] | None = None,
    *, searched: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Checks the task `name`, which one of `plugins` registers, or growsearch itself.

    `options` are those of its trial. With `searched`, two trials on Ray are part of it. Yields each
    check's row once it is done. Raises InputError if there is no such trial or no data.
    """
    with few_batches(name) as limiting, TemporaryDirectory(prefix="growsearch-check-") as folder:
        subject = Subject(name, _task(name, options or {}), (*plugins, limiting), searched)
        worker = start_worker(subject, Path(folder))
        try:
            yield from _rows(subject, _checks(subject, Path(folder), worker))
        finally:
            worker.kill()
            worker.wait()


def _task(name: str, options: dict[str, Any]) -> Task:
    try:
        return resolved(checked_config(limited_name(name), options))
    except InputError as error:
        raise InputError(_named(name, str(error))) from error
    except Exception as error:  # load() may raise anything
        line = line_of_error(error)
        at = f" ({line})" if line else ""
        raise InputError(
            f"the data of task {name!r} cannot be loaded: {type(error).__name__}: "
            f"{one_line(error)}{at}; check load and --data-dir"
        ) from error


def _named(name: str, said: str) -> str:
    """`said` of the task with few batches, by the name that the user knows."""
    return said.replace(repr(limited_name(name)), repr(name))


def _rows(subject: Subject, checks: list[Check]) -> Iterator[Row]:
    status: dict[str, CheckStatus] = {}
    for check in checks:
        bad = [n for n in check.needs if status[n] in (CheckStatus.FAILED, CheckStatus.UNCHECKED)]
        unchecked = Row(check.name, CheckStatus.UNCHECKED, f"needs {bad[0]}") if bad else None
        row = unchecked or _row(subject, check)
        status[check.name] = row.status
        yield row


def _row(subject: Subject, check: Check) -> Row:
    try:
        found = check.run()
    except Fault as fault:
        return _failed(
            subject, check, str(fault), line_of_error(fault) or subject.line(fault.method)
        )
    except Inapplicable as reason:
        return Row(check.name, CheckStatus.INAPPLICABLE, str(reason))
    except InputError as error:
        line = line_of_error(error) or subject.line(check.method)
        return _failed(subject, check, str(error), line)
    except Exception as error:  # the user's task may raise anything
        said = f"{type(error).__name__}: {one_line(error)}"
        return _failed(subject, check, said, line_of_error(error) or subject.line(check.method))
    status = CheckStatus.WARNING if found.warning else CheckStatus.OK
    return Row(check.name, status, found.said)


def _failed(subject: Subject, check: Check, said: str, line: str | None) -> Row:
    said = _named(subject.name, said)
    return Row(check.name, CheckStatus.FAILED, f"{said} ({line})" if line else said)
