"""How much memory a file of a stranger may take: what it says it holds is not believed."""

import errno
import gzip
import os
import zipfile
from pathlib import Path
from typing import IO

MOST_TIMES, LITTLE = 100, 2**28
"""A file is not read if it is or unpacks to more than MOST_TIMES the bytes that are on disk, unless
that is at most LITTLE bytes."""


def most_of(size: int) -> int:
    """The most bytes that reading a file of `size` bytes on disk may give."""
    return max(MOST_TIMES * size, LITTLE)


def most_bytes(file: IO[bytes]) -> int:
    """`most_of` what is on disk of the file."""
    return most_of(_on_disk(file.fileno()))


def check_on_disk(file: IO[bytes]) -> None:
    """OSError if the file is long, but has hardly a byte on disk: reading it would not end."""
    size = os.fstat(file.fileno()).st_size
    if size > LITTLE and size > most_of(held := _on_disk(file.fileno())):
        raise OSError(errno.EFBIG, f"it has {size} bytes, of which {held} are on disk")


def whole(path: Path) -> bytes:
    """The bytes of a file. Raises OSError if hardly a byte of them is on disk."""
    with path.open("rb") as file:
        check_on_disk(file)
        return file.read()


def unpacked_gzip(path: Path) -> bytes:
    """What a gzip file holds.

    Raises OSError, EOFError or zlib.error if it is none, and ValueError if that is too much.
    """
    parts, length = [], 0
    with path.open("rb") as file:
        most = most_bytes(file)
        with gzip.open(file) as stream:
            while part := stream.read(2**20):
                length += len(part)
                if length > most:
                    raise ValueError(f"it unpacks to more than {most} bytes")
                parts.append(part)
    return b"".join(parts)


def check_archive(file: IO[bytes]) -> None:
    """ValueError if what a zip archive says its members hold is too much to be unpacked.

    Python's reader gives no more than that. What is no archive passes.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > most_bytes(file):
            raise ValueError(f"it unpacks to {unpacked} bytes, too many for what is on disk of it")
    file.seek(0)


def _on_disk(descriptor: int) -> int:
    """The bytes of a file that are no holes; all of them where the file system cannot tell."""
    size, end, found = os.fstat(descriptor).st_size, 0, 0
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        while end < size:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            found += end - start
    except OSError as error:
        if error.errno != errno.ENXIO:  # there is no data after `end`
            return size
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)
    return found
