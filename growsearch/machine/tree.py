"""Nested plain values with tensors in them, as values of JSON and tensors by name.

What JSON lacks is an object with one name, which says what it is:

    {"tensor": NAME}      a tensor; with "dtype" if it is there as bytes, and with "order" if its
                          axes lie in memory in another order
    {"bytes": NAME}       bytes, as a tensor of them
    {"float": "inf"}      a number that is not finite
    {"tuple": [...]}, {"set": [...]}
    {"dict": {...}}       or, if not all keys are texts, {"dict": [[KEY, VALUE], ...]}
    {"ordered": {...}}    an OrderedDict; with "metadata", the versions of a network's modules
"""

import math
import numbers
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from growsearch.trial.errors import InputError

PLAIN = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
"""What the tensors of `Packed` are of."""
_AS_BYTES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64,
        torch.float8_e4m3fn, torch.float8_e5m2,
    )
}  # fmt: skip
"""What becomes tensors of bytes."""


class Packed:
    """`contents` as `values` of JSON, and `tensors` on the CPU, contiguous, by their places.

    Tensors that share their memory, as tied weights do, are one. Raises InputError for a value that
    is no tensor, number, text, None, bytes, dict, list, tuple or set.
    """

    def __init__(self, contents: Any) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._known: dict[tuple[object, ...], dict[str, Any]] = {}
        self.values = self._value(contents, ())

    def _value(self, value: Any, place: tuple[str, ...]) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if isinstance(value, bytes):
            return {"bytes": self._named(torch.tensor(list(value), dtype=torch.uint8), place)}
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, numbers.Real):
            number = float(value)
            return number if math.isfinite(number) else {"float": str(number)}
        if isinstance(value, list | tuple | set):
            values = [self._value(item, (*place, str(n))) for n, item in enumerate(value)]
            if isinstance(value, list):
                return values
            return {"tuple" if isinstance(value, tuple) else "set": values}
        if isinstance(value, Mapping):
            return self._mapping(value, place)
        raise _refused(f"of type {type(value).__name__}", place)

    def _mapping(self, value: Mapping[Any, Any], place: tuple[str, ...]) -> dict[str, Any]:
        kind = "ordered" if isinstance(value, OrderedDict) else "dict"
        items = {key: self._value(item, (*place, str(key))) for key, item in value.items()}
        if all(type(key) is str for key in items):
            found: dict[str, Any] = {kind: items}
        else:
            found = {kind: [[self._value(key, place), item] for key, item in items.items()]}
        if (metadata := getattr(value, "_metadata", None)) is not None:
            found["metadata"] = self._value(metadata, (*place, "metadata"))
        return found

    def _tensor(self, value: Tensor, place: tuple[str, ...]) -> dict[str, Any]:
        if value.layout is not torch.strided or value.is_quantized:
            raise _refused(f"a tensor of {value.layout} and {value.dtype}", place)
        memory = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        if memory not in self._known:
            self._known[memory] = self._new(value.detach(), place)
        return self._known[memory]

    def _new(self, tensor: Tensor, place: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if not tensor.is_contiguous():
            strides = tensor.stride()
            found["order"] = sorted(range(tensor.dim()), key=lambda n: -strides[n])
        tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
        if tensor.dtype not in PLAIN:
            dtype = str(tensor.dtype).removeprefix("torch.")
            if dtype not in _AS_BYTES:
                raise _refused(f"a tensor of {tensor.dtype}", place)
            found |= {"dtype": dtype, "shape": list(tensor.shape)}
            tensor = tensor.reshape(-1).view(torch.uint8)
        return {"tensor": self._named(tensor, place)} | found

    def _named(self, tensor: Tensor, place: tuple[str, ...]) -> str:
        name = "/".join(place)
        while name in self.tensors or name == "__metadata__":
            name += "'"
        self.tensors[name] = tensor
        return name


class Unpacked:
    """The `contents` that `values` of JSON and `tensors` were packed from.

    `most` is how many bytes the tensors may have, each counted wherever it stands. Raises an error
    of any type for other values.
    """

    def __init__(self, values: Any, tensors: Mapping[str, Tensor], most: int) -> None:
        self._tensors, self._left = tensors, most
        self.contents = self._value(values)

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, dict):
            return value
        (kind, content), *more = value.items()
        match kind:
            case "tensor":
                return self._tensor(content, dict(more))
            case "bytes":
                return self._named(content).numpy().tobytes()
            case "float":
                return float(content)
            case "tuple":
                return tuple(self._value(content))
            case "set":
                return set(self._value(content))
            case "dict":
                return dict(self._items(content))
            case "ordered":
                found = OrderedDict(self._items(content))
                if more:
                    found._metadata = self._value(dict(more)["metadata"])  # type: ignore[attr-defined]
                return found
        raise ValueError(f"it holds a value of unknown kind {kind[:100]!r}")

    def _items(self, content: Any) -> list[tuple[Any, Any]]:
        pairs = content.items() if isinstance(content, dict) else content
        return [(self._value(key), self._value(item)) for key, item in pairs]

    def _tensor(self, name: str, more: Mapping[str, Any]) -> Tensor:
        tensor = self._named(name)
        if "dtype" in more:
            tensor = tensor.view(_AS_BYTES[more["dtype"]]).reshape(more["shape"])
        if "order" in more:
            inverse = [more["order"].index(n) for n in range(tensor.dim())]
            tensor = tensor.permute(more["order"]).contiguous().permute(inverse)
        return tensor

    def _named(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        self._left -= tensor.numel() * tensor.element_size()
        if self._left < 0:
            raise ValueError("it holds far more than its file has")
        return tensor


def _refused(what: str, place: tuple[str, ...]) -> InputError:
    return InputError(
        f"{'/'.join(place)} is {what}, which cannot be saved; keep tensors, numbers and texts, "
        "and dicts, lists, tuples and sets of these"
    )
