"""Files of torch.save, which older versions wrote: read without code, within their size."""

import io
import pickletools
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from growsearch.machine.bounds import most_of
from growsearch.machine.files import opened


def load_tensors(file: Path | bytes) -> dict[str, Any]:
    """The dict of a file, or of its content, on the CPU.

    Raises an error of any type for something else: a link, a pipe, another object than a dict, or
    an archive whose content may be far larger than the file: one that is compressed, that torch may
    read otherwise than it is checked here, or that calls anything but what makes a tensor. The
    checksums of a file's parts are compared, which torch does not; who has the content has compared
    its hash.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else opened(file) as stream:
        size = stream.seek(0, io.SEEK_END)
        with zipfile.ZipFile(stream) as archive:
            parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise ValueError("it is compressed, which torch.save never does")
            if sum(part.file_size for part in parts) > size:
                raise ValueError("it says that it holds more than it does")
            _check_end(stream, size)
            if isinstance(file, Path) and (part := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {part} is wrong")
            pickles = [archive.read(part) for part in parts if part.filename.endswith(".pkl")]
        for pickled in pickles:
            _check_calls(pickled)
        stream.seek(0)
        contents = torch.load(stream, map_location="cpu", weights_only=True)
    if not isinstance(contents, dict):
        raise TypeError(f"it holds no dict but {type(contents).__name__}")
    _check_repeats(contents, sum(map(len, pickles)), most_of(size))
    return contents


def _check_repeats(contents: dict[str, Any], pickled: int, most: int) -> None:
    """ValueError if what takes a few bytes in a file is there again and again in its contents.

    Each value took at least one of the `pickled` bytes. Texts may be repeated, and tensors may
    repeat a number, up to `most` bytes in all.
    """
    left: list[Any] = [contents]
    values = taken = 0
    while left:
        value = left.pop()
        values += 1
        if isinstance(value, dict):
            left += (*value.keys(), *value.values())
        elif isinstance(value, list | tuple | set):
            left += value
        elif isinstance(value, torch.Tensor):
            taken += value.numel() * value.element_size()
        elif isinstance(value, str | bytes):
            taken += len(value)
        if values + len(left) > pickled or taken > most:
            raise ValueError("it holds far more than its file has")


TAIL = struct.Struct("<4sQHHIIQQQQ 4sIQI 4sHHHHIIH")
"""The end of a zip archive as torch.save writes it: the zip64 record, its locator, the old end."""


def _check_end(stream: IO[bytes], size: int) -> None:
    """ValueError unless there is one place where the archive's directory can be looked for."""
    stream.seek(max(size - TAIL.size, 0))
    tail = stream.read(TAIL.size)
    if len(tail) == TAIL.size:
        record, *_, length, start, locator, _, where, _, end = TAIL.unpack(tail)[:15]
        signs = (record, locator, end) == (b"PK\6\6", b"PK\6\7", b"PK\5\6")
        if signs and start + length == where == size - TAIL.size:
            return
    raise ValueError("it does not end as torch.save ends a file")


_CALLED = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
}  # fmt: skip
_STORAGE = re.compile(r"torch \w+Storage", re.ASCII)


def _check_calls(pickled: bytes) -> None:
    """ValueError if reading calls anything but what makes a tensor, like bytearray(10**12)."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"it has {opcode.name}, which torch.save never writes")
        named = opcode.name == "GLOBAL"
        if named and argument not in _CALLED and not _STORAGE.fullmatch(str(argument)):
            raise ValueError(f"it calls {str(argument)[:100]!r}")
