"""Files of a study or a store, which may come from a stranger: written whole, read within bounds.

A name from such a folder never leads out of it: links there are not followed.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from growsearch.machine.bounds import check_on_disk
from growsearch.trial.errors import InputError, because

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,99}")
UNFINISHED = ".unfinished"
"""The end of the name of a file that is still being written."""
MOST_TEXT = 64 * 2**20
"""The largest JSON or Python file of a study that is read, in bytes."""


def is_address(place: str) -> bool:
    """Whether a place is an address like s3://bucket/folder, not a folder's path."""
    return "://" in place


def check_file_name(name: object, what: str) -> str:
    """`name`, if it can name a file in any folder; InputError, which says `what` it is, if not."""
    if not is_file_name(name):
        raise InputError(
            f"{what} {str(name)[:100]!r} cannot name a file: a name has at most 100 letters, "
            "digits, '_', '-' and '.', the first a letter or digit; restore it from a copy"
        )
    return str(name)


def is_file_name(name: object) -> bool:
    """Whether `name` can name a file in any folder, and does not lead out of it."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path of a new file, which then takes the place of `path` in one step.

    `path` is not changed if the block raises an error or the process is killed. A link there is
    replaced, not followed.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)  # what a killed process has left, or a stranger's link
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Writes the file `path`, whole or not at all, and on disk before it gets its name."""
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def opened(path: Path, mode: str = "rb") -> IO[bytes]:
    """The file `path`, opened to read, or with mode "r+b" to change it.

    Raises OSError if it is a link or no file, like a pipe, which may never end, and if it is long
    but hardly a byte of it is on disk.
    """
    access = os.O_RDWR if "+" in mode else os.O_RDONLY
    file = os.fdopen(os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK), mode)
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        check_on_disk(file)
    except BaseException:
        file.close()
        raise
    return file


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError if it is a link, no file, or has over MOST_TEXT bytes;
    and UnicodeDecodeError.
    """
    with opened(path) as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise OSError(errno.EFBIG, f"it has over {MOST_TEXT >> 20} MiB", str(path))
    return content.decode()


def check_links(folder: Path, but: tuple[str, ...] = ()) -> None:
    """InputError if a link below `folder` leads out of it: what is written there would be outside.

    Raises InputError too for what is neither file nor folder, as reading that may never end.
    Folders of the names in `but` are not looked into.
    """
    inside = folder.resolve()
    for place, folders, names in os.walk(inside):
        for name in (*folders, *names):
            path = Path(place, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) and not path.resolve().is_relative_to(inside):
                raise InputError(
                    f"{str(path)!r} is a link that leads out of the study; put what it points to "
                    "in its place, or remove it"
                )
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
                raise InputError(f"{str(path)!r} is neither file nor folder; remove it")
        folders[:] = [name for name in folders if name not in but]


def storage_error(error: BaseException | None) -> OSError | None:
    """The error of a disk, such as a full one, because of which `error` was raised; None if none.

    Looks at what `error` was raised from, or while handling.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return error
        error = error.__cause__ or error.__context__
    return None


_OF_DISKS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EACCES,
    errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


def of_disk(error: OSError) -> str:
    """An error of a disk with its file, in a few words."""
    place = f": {str(error.filename)!r}" if error.filename is not None else ""
    # pyarrow's text is long, and says twice what its number says
    reason = os.strerror(error.errno) if error.errno else because(error)
    return f"{reason}{place}"
