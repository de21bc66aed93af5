"""The folder of a data set's files that the user names."""

from pathlib import Path

from growsearch.trial.errors import InputError


def given_folder(data_dir: str, wanted: str) -> Path:
    """`data_dir` as a path. Raises InputError, naming the `wanted` files, if it is no folder."""
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise InputError(f"data_dir {data_dir!r} is not a folder; give one with {wanted}")
    return folder
