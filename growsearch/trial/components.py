"""Components: what a trial is put together from, each under a kind and a name.

A component is a frozen, keyword-only dataclass. Its fields are its options, its methods its
behaviour, its docstring its help. `register` makes it known; whatever lists components or options
asks here.

    @register("policy", "plateau")
    @dataclass(frozen=True, kw_only=True)
    class Plateau(Policy):
        \"""Grow when validation loss has not fallen for some epochs.\"""

        patience: int = option(5, "epochs without a lower loss", least=1)

        def decide(self, trial, history): ...
"""

import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Self, TypeVar

from growsearch.trial.errors import InputError
from growsearch.trial.installed import load_installed
from growsearch.trial.options import Option, Role, Value, rule_of, shortened, suggestion
from growsearch.trial.own_options import trial_options
from growsearch.trial.sources import source_of


@dataclass(frozen=True, kw_only=True)
class Component:
    """The base of all components. InputError for an option that breaks its rule."""

    kind: ClassVar[str]
    """The kind, like "policy"; it is also the name of the option that chooses the component."""
    role: ClassVar[Role]
    """The role of the choice, and of options that state none."""
    name: ClassVar[str]
    """What the component is chosen by."""
    source: ClassVar[str] = ""
    """Where it is published: paper, section."""
    plugin: ClassVar[str | None] = None
    """A hash of the user's source that the component comes from; None for growsearch's own."""

    def __new__(cls, *args: object, **given: object) -> Self:
        made = super().__new__(cls)
        vars(made)["_given"] = frozenset(given)  # the class may be frozen
        return made

    def __post_init__(self) -> None:
        for name, rule in type(self).options().items():
            object.__setattr__(self, name, rule.check(getattr(self, name)))

    @classmethod
    def options(cls) -> dict[str, Option]:
        """The rules of its options, by name."""
        return _options(cls)  # type: ignore[arg-type]  # mypy takes a class for its instances

    @classmethod
    def summary(cls) -> str:
        """The first sentence of its docstring."""
        text = " ".join((cls.__doc__ or "").split())
        if text.startswith(f"{cls.__name__}("):  # what @dataclass writes where there is none
            return ""
        return text.partition(". ")[0].rstrip(".")

    @classmethod
    def flaw(cls) -> str | None:
        """Why the class cannot be registered, in words that follow its name; None if it can."""
        return None

    def values(self) -> dict[str, Value]:
        """Its options' values, by name."""
        return {name: getattr(self, name) for name in type(self).options()}

    def stated(self) -> dict[str, Value]:
        """Its options that it was made with, by name; those that are None are left to be made out.

        They have their values also where a task or a data set proposes others.
        """
        given = vars(self)["_given"]
        return {n: v for n, v in self.values().items() if n in given and v is not None}

    def with_defaults(self, **values: Value) -> Self:
        """With `values` for those options that are None."""
        missing = {n: v for n, v in values.items() if getattr(self, n) is None}
        return replace(self, **missing) if missing else self


@cache
def _options(cls: Any) -> dict[str, Option]:
    hints = typing.get_type_hints(cls)
    rules = {}
    for spec in fields(cls):
        if spec.init:
            rule = rule_of(spec.name, hints[spec.name], spec.default, spec.metadata)
            role, plugin = Role(rule.role or cls.role), cls.plugin is not None
            unsaid = rule.role is None and plugin and cls.kind == "task"
            measures = rule.measures or unsaid
            rules[spec.name] = replace(rule, role=role, plugin=plugin, measures=measures)
    return rules


C = TypeVar("C", bound=type[Component])
_REGISTRY: dict[str, dict[str, type[Component]]] = {}
_ITSELF: set[type[Component]] = set()
_SOURCE: ContextVar[str | None] = ContextVar("source of the components", default=None)


@contextmanager
def registering(source: str) -> Iterator[None]:
    """Within it, components are registered as those of a plugin whose hash is `source`.

    If the block raises, none of them is registered.
    """
    for kind in EVERY_KIND:  # so that names and options that are taken are known
        _load(kind)
    before = {kind: dict(known) for kind, known in _REGISTRY.items()}
    token = _SOURCE.set(source)
    try:
        yield
    except BaseException:
        _REGISTRY.clear()
        _REGISTRY.update(before)
        raise
    finally:
        _SOURCE.reset(token)


@contextmanager
def forgetting() -> Iterator[None]:
    """Components that are registered within it are forgotten afterwards."""
    for kind in EVERY_KIND:
        _load(kind)
    before = {kind: dict(known) for kind, known in _REGISTRY.items()}
    try:
        yield
    finally:
        _REGISTRY.clear()
        _REGISTRY.update(before)


class Kind(typing.NamedTuple):
    """A kind of component."""

    help: str
    """What the option that chooses among the components says."""
    package: str
    """Where growsearch's own components are: each module of it may register some."""
    default: str | None
    """The component that a trial has if nothing chooses another; None: the policy proposes it."""
    also: tuple[str, ...] = ()
    """Further packages of them."""
    by_name: bool = False
    """Its components are chosen by name alone, so they have no options."""


KINDS = {
    "task": Kind(
        "what is trained: a model and its data", "growsearch.tasks.builtin", "image-classification"
    ),
    "dataset": Kind(
        "the images or the text to learn", "growsearch.tasks.images.datasets", "digits",
        also=("growsearch.tasks.language.texts",),
    ),
    "network": Kind("the network family", "growsearch.tasks.images.families", "basic3resnet"),
    "policy": Kind("when the network grows", "growsearch.policies", "lipschitz"),
    "initializer": Kind("weights of new blocks", "growsearch.growth.initializers", None),
    "lr_schedule": Kind(
        "the learning-rate schedule until fine-tuning, which has a staircase",
        "growsearch.schedules", None,
    ),
    "optimizer": Kind("the optimizer", "growsearch.training.optimizers", "sgd"),
}  # fmt: skip
"""What a trial is put together from, in the order in which a trial is completed."""
SEARCH_KINDS = {
    "cost": Kind(
        "the costs that scheduler and sampler minimize, one or more", "growsearch.stopping.costs",
        "ppe", by_name=True,
    ),
    "metric": Kind(
        "the metric that scheduler and sampler optimize", "growsearch.stopping.metrics",
        "val_accuracy", by_name=True,
    ),
    "scheduler": Kind(
        "which trials stop, pause or join while others run", "growsearch.tuning.schedulers", "none"
    ),
    "sampler": Kind(
        "Optuna's sampler, which draws the trials and learns from how they end; without one they "
        "are grid and random", "growsearch.tuning.samplers", None,
    ),
    "log": Kind(
        "where epochs are written besides the study, one or more", "growsearch.tuning.logs", None
    ),
}  # fmt: skip
"""What a search is put together from, besides its trials."""
EVERY_KIND = {**KINDS, **SEARCH_KINDS}


_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def register(kind: str, name: str, *, source: str = "") -> Callable[[C], C]:
    """Makes the decorated class known as the component `name` of `kind`.

    Raises InputError for a kind that does not exist, a name that is taken, a class that is no
    component of that kind, or an option that a component of another kind or a trial has, or one of
    the same kind with another type or role.
    """

    def registered(cls: C) -> C:
        _check_kind(kind)
        if not _NAME.fullmatch(name):
            raise InputError(
                f"a {kind} cannot be called {name!r}; use letters, digits, '-', '_' and '.'"
            )
        is_class = isinstance(cls, type)
        where = f"{cls.__module__}.{cls.__qualname__}" if is_class else shortened(cls)
        is_component = is_class and issubclass(cls, Component) and is_dataclass(cls)
        if not is_component or any(isinstance(value, Field) for value in vars(cls).values()):
            raise InputError(
                f"{kind} {name!r} ({where}) is no component; derive it from growsearch's base "
                "class for the kind and decorate it with @dataclass(frozen=True, kw_only=True)"
            )
        if getattr(cls, "kind", None) != kind:
            raise InputError(
                f"{where} is registered as {kind}, but its base class is for the kind "
                f"{getattr(cls, 'kind', None)!r}; derive it from the base class of {kind}"
            )
        known = _REGISTRY.setdefault(kind, {})
        if name in known and not _is_same(known[name], cls):
            raise InputError(_taken(kind, known[name], cls))
        cls.name, cls.source, cls.plugin = name, source, _SOURCE.get() or _own_source(cls)
        if cls.plugin is not None and _SOURCE.get() is None:
            _ITSELF.add(cls)
        if abstract := sorted(getattr(cls, "__abstractmethods__", ())):
            raise InputError(f"{kind} {name!r} ({where}) must define {', '.join(abstract)}")
        if unstated := _unstated(cls):
            raise InputError(f"{kind} {name!r} ({where}) must state {', '.join(unstated)}")
        if flaw := cls.flaw():
            raise InputError(f"{kind} {name!r} ({where}) {flaw}")
        _check_options(cls)
        known[name] = cls
        return cls

    return registered


def _taken(kind: str, known: type[Component], cls: type[Component]) -> str:
    mine, theirs = _place(cls), _place(known)
    if mine == theirs and known.plugin:
        return (
            f"{mine} was changed since its {kind} {known.name!r} was loaded from it; start Python "
            "again"
        )
    return f"{kind} {known.name!r} is taken by {theirs}; register that of {mine} under another name"


def _place(cls: type[Component]) -> str:
    """The file of a user's component, or the name of its class."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None or cls.__module__.partition(".")[0] == "growsearch":
        return f"{cls.__module__}.{cls.__qualname__}"
    return re.sub(r"^<plugin (.*) \w+>$", r"\1", file)  # see Plugin.load


def _own_source(cls: type[Component]) -> str | None:
    found = source_of(cls)
    return found and found.digest


def _is_same(one: type[Component], other: type[Component]) -> bool:
    """Whether a module that is loaded again registers its own component again."""
    if one.plugin and one.plugin == (_SOURCE.get() or _own_source(other)):
        return one.__qualname__ == other.__qualname__
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _unstated(cls: type[Component]) -> list[str]:
    """The class constants without a value, which its base classes announce as ClassVar."""
    announced = {
        name: None
        for base in reversed(cls.__mro__)
        for name, annotation in inspect.get_annotations(base).items()
        if str(annotation).startswith("typing.ClassVar")
    }
    return [name for name in announced if not hasattr(cls, name)]


def _check_options(cls: type[Component]) -> None:
    own = cls.options()
    for name in own:
        if EVERY_KIND[cls.kind].by_name:
            raise InputError(
                f"{cls.kind} {cls.name!r} has option {name!r}, but a {cls.kind} is chosen by its "
                "name alone; make it a constant of the class"
            )
        if name in trial_options() and cls.kind in KINDS:
            raise InputError(
                f"option {name!r} of {cls.kind} {cls.name!r} is also one of every trial; rename it"
            )
        if name in EVERY_KIND:
            raise InputError(
                f"option {name!r} of {cls.kind} {cls.name!r} is named like a kind of component; "
                "rename it"
            )
        if name == "given" or _is_used(name, cls):
            raise InputError(
                f"option {name!r} of {cls.kind} {cls.name!r} is named like an attribute that "
                "growsearch uses itself; rename it"
            )
    for kind, components in _REGISTRY.items():
        for other in components.values():
            for name in own.keys() & other.options().keys():
                if not _is_same(cls, other) and not _share(name, cls, other):
                    raise InputError(
                        f"option {name!r} of {cls.kind} {cls.name!r} is also one of {kind} "
                        f"{other.name!r}, of another kind, type or role; rename it"
                    )


def _is_used(name: str, cls: type[Component]) -> bool:
    """Whether a base class of growsearch has an attribute of the name that is no option."""
    for base in cls.__mro__[1:]:
        if base is object or base.__module__.partition(".")[0] == "growsearch":
            has = name in vars(base) or name in inspect.get_annotations(base)
            if has and not (is_dataclass(base) and name in {field.name for field in fields(base)}):
                return True
    return False


def _share(name: str, one: type[Component], other: type[Component]) -> bool:
    """Whether both may have the option: a trial has one component of a kind, whose rule holds."""
    mine, others = (cls.options()[name] for cls in (one, other))
    same = (mine.kind, mine.many, mine.role) == (others.kind, others.many, others.role)
    return one.kind == other.kind and same


def _check_kind(kind: str) -> None:
    if kind not in EVERY_KIND:
        raise InputError(f"unknown kind {kind!r}{suggestion(kind, tuple(EVERY_KIND))}")


_LOADED: set[str] = set()


def _load(kind: str) -> None:
    """Import growsearch's own components of `kind`, and those of installed packages."""
    if kind in _LOADED:
        return
    _LOADED.add(kind)
    about = EVERY_KIND[kind]
    packages = [import_module(name) for name in (about.package, *about.also)]
    token = _SOURCE.set(None)
    try:
        for package in packages:
            for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                import_module(module.name)
    finally:
        _SOURCE.reset(token)
    if "installed" not in _LOADED:
        _LOADED.add("installed")  # a plugin asks for components while it is loaded
        try:
            load_installed(registering)
        except InputError:
            _LOADED.discard("installed")
            _LOADED.discard(kind)
            raise


def components(kind: str) -> Mapping[str, type[Component]]:
    """The components of `kind` by name, in the order of their names; InputError for no kind."""
    _check_kind(kind)
    _load(kind)
    return dict(sorted(_REGISTRY.get(kind, {}).items()))


def trial_components() -> tuple[tuple[type[Component], ...], ...]:
    """The components that trials are put together from; equal while none joins and none leaves."""
    for kind in KINDS:
        _load(kind)
    return tuple(tuple(_REGISTRY.get(kind, {}).values()) for kind in KINDS)


def component(kind: str, name: object) -> type[Component]:
    """The component `name` of `kind`; InputError, which names the nearest, if there is none."""
    known = components(kind)
    if name not in known:
        raise InputError(f"unknown {kind} {str(name)[:100]!r}{suggestion(name, tuple(known))}")
    return known[str(name)]


def name_of(kind: str, cls: type[Component]) -> str:
    """The name of a class that is given as the `kind` of a trial or search.

    A subclass of a registered class has no name of its own until it is registered, too. Raises
    InputError if it is not, or if the class is of another kind.
    """
    if "name" not in vars(cls):
        raise InputError(
            f"{kind}={cls.__name__} is not registered; decorate the class with "
            f"@register({cls.kind!r}, NAME)"
        )
    if cls.kind != kind:
        raise InputError(
            f"{kind}={cls.__name__} is {cls.kind} {cls.name!r}; "
            f"give it as {cls.kind}={cls.__name__}"
        )
    return cls.name


def registered() -> Iterator[type[Component]]:
    """All components that are known, of every kind."""
    for kind in EVERY_KIND:
        yield from components(kind).values()


def registers_itself(cls: type[Component]) -> bool:
    """Whether a script, module or notebook has registered the class, not a plugin."""
    return cls in _ITSELF


def is_loading() -> bool:
    """Whether a plugin is being loaded."""
    return _SOURCE.get() is not None


def users_of(option: str) -> list[type[Component]]:
    """The components that have the option."""
    return [c for kind in KINDS for c in components(kind).values() if option in c.options()]
