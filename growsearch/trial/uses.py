"""What the code of a user's class uses: functions, classes, and the values that it names."""

import dis
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field
from functools import cached_property
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

GENERATED = "<string>"
"""The file of methods that dataclasses write."""
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_STORES = ("STORE_GLOBAL", "DELETE_GLOBAL")


class Uses(NamedTuple):
    """What the code of a class uses."""

    functions: list[FunctionType]
    """Its methods and, in turn, the functions and the methods of classes that they name."""
    values: list[tuple[str, Any]]
    """The other values by name: global ones, defaults, those of closures and of classes."""


def uses_of(cls: type, is_own: Callable[[str], bool]) -> Uses:
    """What `cls` uses of the modules of which `is_own` is true; see `Uses`.

    What its functions assign to a global name is state, and does not count.
    """
    walk = _Walk(is_own)
    walk.left += [base for base in cls.__mro__ if is_own(base.__module__)]
    walk.run()
    values = [(name, v) for name, names, v in walk.values if (name, names) not in walk.assigned]
    return Uses(walk.functions, values)


class _Walk:
    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self.is_own = is_own
        self.left: list[Any] = []
        self.seen: dict[int, Any] = {}
        self.functions: list[FunctionType] = []
        self.values: list[tuple[str, int, Any]] = []
        """Name, id of the globals that have it, value."""
        self.assigned: set[tuple[str, int]] = set()

    def run(self) -> None:
        while self.left:
            value = self.left.pop(0)
            if id(value) in self.seen:
                continue
            self.seen[id(value)] = value
            if isinstance(value, type):
                for name, member in vars(value).items():
                    if not (name.startswith("__") or name in ("_abc_impl", "plugin")):
                        self._add(f"{value.__name__}.{name}", member)
            for function in functions_of(value):
                names = function.__globals__
                if function.__code__.co_filename == GENERATED:
                    continue
                if self.is_own(str(names.get("__name__"))):
                    self.functions.append(function)
                    self._add_function(function, names)

    def _add_function(self, function: FunctionType, names: Mapping[str, Any]) -> None:
        for code in nested(function.__code__):
            for step in dis.get_instructions(code):
                if step.opname in _STORES:
                    self.assigned.add((step.argval, id(names)))
                elif step.opname in _LOADS and step.argval in names:
                    value = names[step.argval]
                    if isinstance(value, ModuleType):
                        self._add_module(value, code)
                    elif not step.argval.startswith("__"):
                        self._add(step.argval, value, id(names))
        where = function.__qualname__
        for i, default in enumerate(function.__defaults__ or ()):
            self._add(f"{where} {i}", default)
        for name, default in (function.__kwdefaults__ or {}).items():
            self._add(f"{where} {name}", default)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            try:
                self._add(f"{where} {name}", cell.cell_contents)
            except ValueError:  # not assigned yet
                continue

    def _add_module(self, module: ModuleType, code: CodeType) -> None:
        """Adds what `code`, which names the module, may use of it."""
        if self.is_own(module.__name__):
            for name in code.co_names:
                if name in vars(module):
                    self._add(f"{module.__name__}.{name}", vars(module)[name])

    def _add(self, name: str, value: Any, names: int = 0) -> None:
        if isinstance(value, ModuleType | Field):
            return
        self._add_code(value)
        is_code = isinstance(value, type) or next(functions_of(value), None) is not None
        if not (is_code or hasattr(value, "__get__") or _is_named(value)):
            self.values.append((name, names, value))

    def _add_code(self, value: Any) -> None:
        """What of the value is code is gone through, too."""
        if isinstance(value, type):
            if self.is_own(value.__module__):
                self.left.append(value)
        elif next(functions_of(value), None) is not None:
            self.left.append(value)
        elif isinstance(value, tuple | list | set | frozenset | dict):
            for part in value.values() if isinstance(value, dict) else value:
                if not isinstance(part, tuple | list | set | frozenset | dict):
                    self._add_code(part)
        elif self.is_own(type(value).__module__):
            self.left.append(type(value))


def _is_named(value: Any) -> bool:
    """Whether it is a builtin function, or another thing of a library that code is named by."""
    return callable(value) and isinstance(getattr(value, "__qualname__", None), str)


def functions_of(value: Any) -> Iterator[FunctionType]:
    """A function, with those that decorators wrap, or a class's methods."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, property):
        for function in (value.fget, value.fset):
            yield from functions_of(function)
    elif isinstance(value, cached_property):
        yield from functions_of(value.func)
    elif isinstance(value, staticmethod | classmethod):
        yield from functions_of(value.__func__)
        return
    elif isinstance(value, type):
        for member in vars(value).values():
            if not isinstance(member, type):
                yield from functions_of(member)
        return
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict | MappingProxyType) and "__wrapped__" in attributes:
        yield from functions_of(attributes["__wrapped__"])


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code, and that of functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)
