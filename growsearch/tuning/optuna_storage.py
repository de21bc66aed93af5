"""The file in which Optuna keeps a search's trials, and what can be wrong with it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection

from growsearch.trial.errors import InputError, one_line


def opened_study(
    path: str | Path | None, name: str, directions: list[StudyDirection]
) -> optuna.Study:
    """The study in the file, which is made if it is missing; in memory if there is no `path`."""
    storage = None
    if path is not None:
        storage = optuna.storages.RDBStorage(f"sqlite:///{Path(path).resolve()}")
    return optuna.create_study(
        study_name=name, directions=directions, storage=storage, load_if_exists=True
    )


@contextmanager
def read_from(path: str | Path | None) -> Iterator[None]:
    """InputError for whatever is wrong with the file `path`, if a search has one."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # from SQLAlchemy, alembic, Optuna, or of a value in the file
        if path is None:
            raise
        raise InputError(
            f"storage {str(path)!r} cannot be opened: {one_line(error)}; restore it from a copy, "
            "give a new file, or one that a search has written"
        ) from error


@contextmanager
def written_to(path: str | Path | None) -> Iterator[None]:
    """OSError, with the file's name, if its disk or the database fails: Optuna raises its own."""
    try:
        yield
    except StorageInternalError as error:
        raise OSError(errno.EIO, one_line(error), str(path)) from error
