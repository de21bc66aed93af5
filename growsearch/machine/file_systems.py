"""The file system behind a folder's path or an address, with errors within seconds."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyarrow import fs

from growsearch.machine.files import is_address
from growsearch.trial.errors import InputError, one_line

_MISSPELT = re.compile(r"(s3|gs|gcs|hdfs|abfss?|file):/?(?!/)")
_SECONDS = 5.0
"""How long storage may leave a request unanswered. pyarrow itself waits for minutes."""


def file_system(place: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or an address, and the path in it.

    A request to S3 or Google's storage is sent once; callers decide whether to try again. Raises
    OSError or ValueError for an address that cannot be used.
    """
    if not is_address(place):
        return fs.LocalFileSystem(), str(Path(place).resolve())
    files, path = fs.FileSystem.from_uri(place)
    if files.type_name == "s3":
        options = _options(files)
        for name in ("connect_timeout", "request_timeout"):
            if options[name] <= 0:  # pyarrow's default
                options[name] = _SECONDS
        once = fs.AwsStandardS3RetryStrategy(max_attempts=1)
        files = fs.S3FileSystem(**options, retry_strategy=once)
    elif files.type_name == "gcs":
        limit = timedelta(seconds=_SECONDS)
        files = fs.GcsFileSystem(**_options(files) | {"retry_time_limit": limit})
    return files, path


def check_spelling(place: str, what: str) -> None:
    """InputError, which says `what` it is, if `place` looks like an address that is misspelt."""
    if _MISSPELT.match(place):
        raise InputError(
            f"{what} {place!r} is neither a folder nor an address; give one like "
            f"{re.sub(':/?', '://', place, count=1)}, or ./{place} for a folder"
        )


def place_to_write(place: str, what: str) -> fs.SubTreeFileSystem:
    """The folder or address `place`, which is made if it is not there.

    Raises InputError, which says `what` it is, if it cannot be used.
    """
    with usable(place, what, "used"):
        base, path = file_system(place)
        base.create_dir(path, recursive=True)
    return fs.SubTreeFileSystem(path, base)


def place_to_read(place: str, what: str) -> fs.SubTreeFileSystem:
    """The folder or address `place`, which may not be there; nothing is made.

    Raises InputError, which says `what` it is, if it cannot be read.
    """
    with usable(place, what, "read"):
        base, path = file_system(place)
    return fs.SubTreeFileSystem(path, base)


@contextmanager
def usable(place: str, what: str, done: str) -> Iterator[None]:
    """Within the block, an error of storage or of the address is an InputError.

    It says `what` the place is, and that it cannot be `done`, like "read".
    """
    check_spelling(place, what)
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"{what} {place!r} cannot be {done} ({one_line(error)}); give a folder or an address "
            "like s3://bucket/folder"
        ) from error


def _options(files: fs.FileSystem) -> dict[str, Any]:
    """The arguments of its constructor, with what the address and the environment have set."""
    _, (options,) = files.__reduce__()  # pyarrow has no other way to ask
    return dict(options)
