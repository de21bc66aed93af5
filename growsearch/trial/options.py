"""One option of a trial: its default, help, rule and role."""

import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, SupportsFloat

from growsearch.trial.errors import InputError

Value = str | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...] | None
"""What an option may hold. None: the option was not given, or the trial does not use it."""


class Role(StrEnum):
    """From which epoch on an option changes what is trained, and how store keys hold it.

    Keys, sharing, plans and from-scratch twins are derived from roles.
    """

    DATA = "data"
    """All epochs. Keys hold a hash of the data set that results."""
    NETWORK = "seed network"
    """All epochs. Keys hold the value."""
    EPOCH = "epoch"
    """All epochs. Keys hold the value."""
    GROWTH = "growth"
    """The epochs after a growth. The keys of growths hold the value."""
    DECISION = "decision only"
    """The epochs after a decision. Keys hold what was decided: growths and learning rates."""
    MACHINE = "machine"
    """How sums round. Keys hold the arithmetic that results."""
    RECORD = "record only"
    """Nothing that is trained."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """The rule of one option, as `rule_of` reads it from a field."""

    name: str
    kind: type
    """str, int or float; for `many` values the type of each."""
    default: Value
    help: str
    role: Role | None
    many: bool = False
    choices: tuple[str, ...] | None = None
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    parse: Callable[[Any], Any] | None = None
    shares: bool = False
    """Whether numbers of epochs may also be shares of all epochs, between 0 and 1."""
    default_help: str | None = None
    """In words, what a default of None stands for."""
    keyed_at_default: bool = True
    """False for an option that is newer than stores that are still read: see epochs/keys.py."""
    plugin: bool = False
    """Whether it is an option of a component from a user's file."""
    measures: bool = False
    """Whether validation depends on it, or how long an epoch is, though its role is not "data":
    studies that differ in it are not compared. Of a user's task those without a role count so."""

    def check(self, value: Any) -> Value:
        """`value` in its canonical form: 2.0 epochs are 2, "60 110" are two epochs.

        Raises InputError if it breaks the rule. None is accepted where it is the default.
        """
        if value is None and self.default is None:
            return None
        if self.many:
            return tuple(self._check(item) for item in self._items(value))
        return self._check(value)

    def _items(self, value: Any) -> list[Any]:
        if not isinstance(value, str):
            return list(value) if isinstance(value, Iterable) else [value]
        parts = value.split()
        if self.kind is str:
            return list(parts)
        if self.kind is int and not self.shares and not all(part.isdecimal() for part in parts):
            raise InputError(
                f"{self.name} {value!r} is not epochs separated by spaces, like '60 110'"
            )
        try:
            return [self.number(part) for part in parts]
        except ValueError as error:
            what = "epochs or shares" if self.shares else "numbers"
            example = "60 110' or '0.4 0.7" if self.shares else "0.1 0.2"
            raise InputError(
                f"{self.name} {value!r} is not {what} separated by spaces, like '{example}'"
            ) from error

    @property
    def number(self) -> Callable[[str], Any]:
        """Makes one value of text, as the command line gives it."""
        return _epochs_or_share if self.shares else self.kind

    def _check(self, value: Any) -> Any:
        if self.kind is str:
            return self._check_text(value)
        return self._check_number(value)

    def _check_text(self, value: Any) -> str:
        if self.choices is not None and value not in self.choices:
            given = shortened(value)
            raise InputError(f"unknown {self.name} {given}{suggestion(value, self.choices)}")
        if value is None:
            raise InputError(f"{self.name} must be given, but got None")
        if self.many and len(str(value).split()) != 1:
            raise InputError(
                f"{self.name} has the item {shortened(value)}, and spaces separate items; give "
                "items without spaces"
            )
        if self.parse is None:
            return str(value)
        try:
            return str(self.parse(value))
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def _check_number(self, value: Any) -> int | float:
        name = self.name
        if isinstance(value, bool) or not isinstance(value, SupportsFloat):
            raise InputError(f"{name} must be a number, but got {shortened(value)}")
        if isinstance(value, int) and abs(value) >= 2**63:
            # str() refuses integers of more than 4,300 digits
            digits = int(value.bit_length() * math.log10(2)) + 1
            raise InputError(f"{name} must be less than 2**63, but has about {digits} digits")
        try:
            number = value if isinstance(value, int) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{name} must be a finite number, but got {value!r}")
        if self.shares:
            return self._epochs_or_share(number)
        if self.kind is int and number != int(number):
            raise InputError(f"{name} must be a whole number, but got {number!r}")
        if self.least is not None and number < self.least:
            raise InputError(f"{name} must be at least {self.least}, but got {number!r}")
        if self.above is not None and number <= self.above:
            raise InputError(f"{name} must be greater than {self.above}, but got {number!r}")
        if self.most is not None and number > self.most:
            raise InputError(f"{name} must be at most {self.most}, but got {number!r}")
        if self.below is not None and number >= self.below:
            raise InputError(f"{name} must be less than {self.below}, but got {number!r}")
        return int(number) if self.kind is int else float(number)

    def _epochs_or_share(self, number: int | float) -> int | float:
        if 0 < number < 1:
            return float(number)
        if number != int(number) or number < 1:
            raise InputError(
                f"{self.name} must be whole numbers of epochs from 1 on, or shares of all epochs "
                f"between 0 and 1, but got {number!r}"
            )
        return int(number)


def _epochs_or_share(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def option(
    default: Value,
    help: str,
    /,
    *,
    role: Role | str | None = None,
    choices: Sequence[str] | None = None,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    parse: Callable[[Any], Any] | None = None,
    shares: bool = False,
    default_help: str | None = None,
    keyed_at_default: bool = True,
    measures: bool = False,
) -> Any:
    """A dataclass field that is an option. Its annotation says what it holds: str, int or float, a
    tuple of one of them, and `| None` where the default is None.

    `role` may be left out in a component, whose kind has a usual one. Numbers may have bounds:
    `least` and `most` are included, `above` and `below` are not. `parse` brings text to its
    canonical form and raises InputError for text that it does not take. With `shares`, numbers of
    epochs may be shares of all epochs too; the component makes them whole in `completed`.
    `default_help` says in words what a default of None stands for. For `measures` see Option.
    """
    rule = {
        "help": help, "role": role, "choices": tuple(choices) if choices is not None else None,
        "least": least, "above": above, "most": most, "below": below, "parse": parse,
        "shares": shares,
        "default_help": default_help, "keyed_at_default": keyed_at_default, "measures": measures,
    }  # fmt: skip
    return field(default=default, metadata={"option": rule})


def rule_of(name: str, annotation: Any, default: Any, metadata: Mapping[str, Any]) -> Option:
    """The rule of a dataclass field.

    Raises InputError for a field that is not made by `option`, whose annotation is no type of an
    option, or whose role does not exist.
    """
    if "option" not in metadata:
        raise InputError(
            f"field {name!r} states no help, rule and role; write {name}: ... = option(default, "
            '"help"), or annotate a constant as ClassVar'
        )
    kinds = [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
    kind, many = kinds[0], False
    if typing.get_origin(kind) is tuple:
        kind, many = typing.get_args(kind)[0], True
    if len(kinds) != 1 or kind not in (str, int, float):
        raise InputError(
            f"option {name!r} is annotated {annotation!r}; annotate it str, int or float, or a "
            "tuple of one of them"
        )
    given = metadata["option"]
    if given["role"] not in (None, *Role):
        known = suggestion(given["role"], [role.value for role in Role])
        raise InputError(f"option {name!r} has the role {shortened(given['role'])}{known}")
    rule = Option(name=name, kind=kind, default=None, many=many, **given)
    return rule if default is None else _with_default(rule, default)


def _with_default(rule: Option, default: Any) -> Option:
    return replace(rule, default=rule.check(default))


_LISTED = 10
"""How many of many names a message lists."""


def suggestion(value: object, known: Sequence[str]) -> str:
    """A clause like "; did you mean 'rtol'?", or one that lists `known`, of many the first."""
    close = difflib.get_close_matches(str(value)[:100], known, n=1, cutoff=0.7)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(known) > 2 * _LISTED:
        return f"; choose from {', '.join(known[:_LISTED])}, ... ({len(known)} in all)"
    return f"; choose from {', '.join(known)}"


def shortened(value: object, most: int = 100) -> str:
    """The value as an error message repeats it: at most `most` characters of one line."""
    text = repr(str(value)) if isinstance(value, str) else " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[:most]}..."


def as_text(value: Value) -> str:
    """The value as the command line takes it."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
