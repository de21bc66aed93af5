"""A checksum in a Parquet file, which other readers do not see.

Parquet's readers find the footer from the end of the file, and the values by what the footer says.
So the bytes before the footer that no column points to are free: a mark and the SHA-256 hash of all
other bytes stand there. Files of older versions have none.

    columns ... | growsearch-sha256:<64 digits> | footer | length of the footer, 4 bytes | PAR1
"""

import hashlib
from pathlib import Path

_MARK = b"growsearch-sha256:"
_LENGTH = len(_MARK) + 64
_END = 8


def seal(path: Path) -> None:
    """Adds the checksum to the Parquet file at `path`, which has none."""
    content = path.read_bytes()
    footer = _footer(content)
    mark = _MARK + hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content[:footer] + mark + content[footer:])


def check_seal(content: bytes) -> None:
    """ValueError if a Parquet file has a checksum, and is not what was written."""
    at = content.rfind(_MARK)
    if at < 0:
        return
    rest = content[:at] + content[at + _LENGTH :]
    if content[at + len(_MARK) : at + _LENGTH] != hashlib.sha256(rest).hexdigest().encode():
        raise ValueError("its checksum is wrong: it was changed after it was written")


def _footer(content: bytes) -> int:
    """Where the footer begins."""
    return len(content) - _END - int.from_bytes(content[-_END:-4], "little")
