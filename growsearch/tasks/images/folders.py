"""The folder with a data set's files, as the user gave it."""

from pathlib import Path

from growsearch.trial.errors import InputError


def given_folder(data_dir: str, wanted: str) -> Path:
    """`data_dir` as a path; InputError, which says what is `wanted` there, if it is no folder."""
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise InputError(f"data_dir {data_dir!r} is not a folder; give one with {wanted}")
    return folder
