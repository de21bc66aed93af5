"""Values as texts that are the same in every process, by which keys know them."""

import hashlib
import io
import linecache
import pickle
import sys
import uuid
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import FunctionType, SimpleNamespace
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_SETTINGS = (Namespace, SimpleNamespace)
_UNKNOWN: dict[int, tuple[Any, str]] = {}
"""Values without a text, which stay in memory so that no other has their id, and a random one."""


def is_constant(value: Any) -> bool:
    """Whether code does not change the value: a number, a text, or settings made of them."""
    if isinstance(value, tuple | frozenset):
        return all(map(is_constant, value))
    if isinstance(value, _SETTINGS):
        return all(is_constant(v) or isinstance(v, list) for v in vars(value).values())
    if is_dataclass(value) and not isinstance(value, type):
        frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
        return frozen and all(is_constant(getattr(value, f.name)) for f in fields(value))
    return isinstance(value, (*_PLAIN, Enum, PurePath))


def text_of(value: Any) -> str:
    """The value's text: equal texts are of equal values.

    A value that cannot be pickled never equals one of another process: its text is random.
    """
    try:
        return _text(value)
    except Exception:  # pickling runs code that may raise anything
        return _UNKNOWN.setdefault(id(value), (value, uuid.uuid4().hex))[1]


def _text(value: Any) -> str:
    kind = type(value).__qualname__
    if type(value) in _PLAIN:
        return repr(value)
    if type(value) in (tuple, list):
        return f"{kind}({', '.join(map(_text, value))})"
    if type(value) in (set, frozenset):
        return f"{kind}({', '.join(sorted(map(_text, value)))})"
    if type(value) is dict:
        return f"{kind}({_named(value.items())})"
    if type(value) in _SETTINGS:
        return f"{kind}({_named(vars(value).items())})"
    if isinstance(value, PurePath | Enum):
        return f"{kind}({value})"
    content = io.BytesIO()
    _Pickler(content, protocol=4).dump(value)
    return f"{kind}({hashlib.sha256(content.getvalue()).hexdigest()})"


def _named(items: Iterable[tuple[Any, Any]]) -> str:
    return ", ".join(f"{_text(name)}: {_text(value)}" for name, value in items)


class _Pickler(pickle.Pickler):
    """Pickles tensors by their bits, and functions by the file or cell that defines them."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            code = value.__code__
            lines = "".join(linecache.getlines(code.co_filename))
            return str, (f"{value.__qualname__} {code.co_firstlineno} {lines}",)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous().reshape(-1)
            content = plain.view(torch.uint8).numpy().tobytes()
            return tuple, ((str(value.dtype), tuple(value.shape), content),)
        return NotImplemented
