"""Looks at where studies and epochs are kept: room, and a file that goes there and back."""

import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from pyarrow import fs

from growsearch.doctor.finding import Finding, failed, fine, warning
from growsearch.epochs.claims import LIFETIME
from growsearch.machine.file_systems import file_system
from growsearch.machine.files import is_address
from growsearch.trial.errors import because, one_line

_NO_ROOM, _LITTLE_ROOM = 1e8, 5e9
_WITHOUT_FOLDERS = ("s3", "gcs", "abfs")
"""File systems where a file needs no folder."""


def room(name: str, place: str) -> Finding:
    """The free bytes of the disk that a folder is on, or will be on."""
    folder = existing(Path(place))
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB are free for {place}"
    if free < _NO_ROOM:
        return failed(name, said, "make room, or give another folder")
    if free < _LITTLE_ROOM:
        return warning(name, said, "make room: states take up to some GB (--state-megabytes)")
    return fine(name, said)


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def round_trip(name: str, place: str) -> Finding:
    """Whether a small file can be written, read, listed, moved and removed at `place`.

    `place` is a folder or an address. Nothing is left there, nor is a folder that was not there;
    but on S3 pyarrow leaves the empty object `place/`, which marks a folder. The time that the
    storage gives the file is compared with this machine's clock.
    """
    local = not is_address(place)
    there = existing(Path(place)) if local else None
    if there is not None and not there.is_dir():
        return failed(name, f"{there} is a file", "give another folder")
    probe, content = f".doctor-{uuid.uuid4().hex}", os.urandom(64)
    try:
        files, base = file_system(place if there is None else str(there))
        while files.type_name not in _WITHOUT_FOLDERS and not _is_there(files, base):
            base = str(Path(base).parent)
        first, moved = f"{base}/{probe}", f"{base}/{probe}-moved"
        try:
            with files.open_output_stream(first) as stream:
                stream.write(content)
            with files.open_input_stream(first) as stream:
                if stream.read() != content:
                    return failed(name, f"{place} gave back other bytes", "use other storage")
            changed = files.get_file_info(first).mtime_ns
            files.move(first, moved)
            listed = files.get_file_info(fs.FileSelector(base))
            if not any(Path(info.path).name == f"{probe}-moved" for info in listed):
                return failed(
                    name, f"{place} does not list a file that was just written",
                    "use storage that is consistent, as S3 and POSIX file systems are",
                )  # fmt: skip
        finally:
            for path in (first, moved):
                with suppress(OSError):
                    files.delete_file(path)
    except (OSError, ValueError) as error:
        why = because(error) if isinstance(error, OSError) and local else one_line(error)[:300]
        return failed(
            name, f"{place} cannot be used ({why})",
            "make the folder writable, or give another" if local else
            "give an address like s3://bucket/folder, and check its credentials",
        )  # fmt: skip
    apart = time.time() - changed / 1e9
    if abs(apart) > LIFETIME / 2:
        return warning(
            name, f"its clock and this machine's are {abs(apart):,.0f} s apart",
            "set the clocks by NTP: searches tell by them which epochs are still being trained",
        )  # fmt: skip
    return fine(name, f"a file was written to {place}, read, listed, moved and removed")


def _is_there(files: fs.FileSystem, path: str) -> bool:
    return path == str(Path(path).parent) or files.get_file_info(path).type != fs.FileType.NotFound
