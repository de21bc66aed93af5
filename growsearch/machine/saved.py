"""Files of tensors and plain values: safetensors, whose metadata has the values as JSON.

    8 bytes     the length of the header, little-endian
    header      JSON: of each tensor its dtype, shape and place; and "__metadata__"
    the rest    the bytes of the tensors

(https://github.com/huggingface/safetensors#format.) Any reader of safetensors finds the tensors,
by names like "network/fc.weight". The metadata has the values (see tree.py), and a checksum of the
file. The package safetensors is not used, because the local trainer needs torch, numpy, pyarrow and
rich alone. What older versions wrote is read by pickled.py.
"""

import io
import json
import math
import zlib
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from growsearch.machine import pickled
from growsearch.machine.bounds import most_of
from growsearch.machine.files import opened
from growsearch.machine.tree import PLAIN, Packed, Unpacked

SUFFIX, OLD_SUFFIX = ".safetensors", ".pt"
_METADATA, _VALUES, _CHECKSUM = "__metadata__", "values", "crc32"
_LONGEST_HEADER = 100_000_000
"""Of any reader of safetensors."""
_MOST_ELEMENTS = 2**48
_CODES = dict(
    zip(PLAIN, ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"), strict=True)
)
_DTYPES = {code: dtype for dtype, code in _CODES.items()}


def save_tensors(contents: dict[str, Any], file: BinaryIO | Path) -> None:
    """Writes `contents`; see Packed for what they may be, and for the error that it raises."""
    packed = Packed(contents)
    # large elements first, so that each tensor lies at a multiple of the size of its elements
    tensors = sorted(packed.tensors.items(), key=lambda item: -item[1].element_size())
    header, end = {}, 0
    for name, tensor in tensors:
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _CODES[tensor.dtype], "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }  # fmt: skip
    values = _dumped(packed.values)
    checksum = zlib.crc32((_dumped(header) + values).encode())
    for _, tensor in tensors:
        checksum = zlib.crc32(_bytes_of(tensor), checksum)
    text = _dumped({_METADATA: {_VALUES: values, _CHECKSUM: str(checksum)}} | header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") if isinstance(file, Path) else nullcontext(file) as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for _, tensor in tensors:
            stream.write(_bytes_of(tensor))


def load_tensors(file: Path | bytes) -> dict[str, Any]:
    """The dict of a file, or of its content, on the CPU.

    Raises an error of any type for something else: a link, a pipe, another object than a dict, or a
    file whose parts or checksum are not what it says; before it takes far more memory than the file
    has.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else opened(file) as stream:
        size = stream.seek(0, io.SEEK_END) - 8
        stream.seek(0)
        start = stream.read(8)
        if start.startswith(b"PK"):
            return pickled.load_tensors(file)
        length = int.from_bytes(start, "little")
        if size < 0 or length > min(size, _LONGEST_HEADER):
            raise ValueError("it is no file of safetensors")
        header = json.loads(stream.read(length))
        metadata = header.pop(_METADATA)
        values, tensors = metadata[_VALUES], {}
        checksum = zlib.crc32((_dumped(header) + values).encode())
        for name, about in _in_order(header, size - length):
            tensor = torch.empty(about["shape"], dtype=_DTYPES[about["dtype"]])
            content = _bytes_of(tensor)
            content[:] = stream.read(len(content))
            checksum = zlib.crc32(content, checksum)
            tensors[name] = tensor
    if metadata[_CHECKSUM] != str(checksum):
        raise ValueError("its checksum is wrong")
    contents = Unpacked(json.loads(values), tensors, most_of(size)).contents
    if not isinstance(contents, dict):
        raise TypeError(f"it holds no dict but {type(contents).__name__}")
    return contents


def saved_file(path: Path) -> Path:
    """`path`, which has SUFFIX, or what an older version wrote in its place, if that is there."""
    old = path.with_suffix(OLD_SUFFIX)
    return old if old.exists() and not path.exists() else path


def saved_files(folder: Path, name: str = "*", after: str = "") -> list[Path]:
    """The files of this version and of older ones in `folder`, sorted: `name` is a pattern without
    the suffix, and `after` one of what follows it.
    """
    return sorted(p for suffix in (SUFFIX, OLD_SUFFIX) for p in folder.glob(name + suffix + after))


def _in_order(header: dict[str, Any], size: int) -> list[tuple[str, dict[str, Any]]]:
    """The tensors by place. ValueError unless they fill the `size` bytes, one after the other."""
    tensors = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    places = [about["data_offsets"] for _, about in tensors]
    if any(end != start for (_, end), (start, _) in pairwise([(0, 0), *places, (size, size)])):
        raise ValueError("its tensors do not lie one after the other")
    for name, about in tensors:
        (start, end), shape = about["data_offsets"], about["shape"]
        whole = all(isinstance(n, int) and n >= 0 for n in shape)
        if not whole or math.prod(n or 1 for n in shape) > _MOST_ELEMENTS:
            raise ValueError(f"tensor {name[:100]!r} has no shape that can be")
        if math.prod(shape) * _DTYPES[about["dtype"]].itemsize != end - start:
            raise ValueError(f"tensor {name[:100]!r} has another size than its shape")
    return tensors


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _dumped(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"))
