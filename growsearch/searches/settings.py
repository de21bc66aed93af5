"""How a search runs, apart from what it searches: kept in its study, for `growsearch resume`."""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from growsearch.searches.kinds import Log, Sampler, Scheduler
from growsearch.trial.components import SEARCH_KINDS, Component, component, components
from growsearch.trial.errors import InputError
from growsearch.trial.options import Option, Value, suggestion
from growsearch.trial.trial_options import is_option

_LONGEST_TIMEOUT = 1e9
CHOSEN = ("scheduler", "sampler", "log")
"""The kinds of components whose options are settings too."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Each setting, and the components that the search is put together from.

    Raises InputError for a value that breaks its rule, or settings that do not fit together.
    """

    cpus_per_trial: int = 1
    """Cores, which are a trial's threads."""
    gpus_per_trial: float | None = None
    """None: one where the cluster has any."""
    max_concurrent: int | None = None
    from_scratch: bool = False
    """Add a trial for each network that a trial has grown to."""
    store: str | None = None
    """Where epochs are remembered, each trained once; None: in the study; "none": nowhere."""
    keep_states: str = "forks"
    """Which states stay in the store: see Branch."""
    state_megabytes: float | None = None
    copy_to: str | None = None
    """Where a copy of the study is kept up to date, apart from its store; see StudyCopy."""
    max_failures: int = 2
    """How often a trial starts again after its actor has failed."""
    auto_precision: str | None = None
    """What precision "auto" comes to in this search, on all hosts; None: what it does on each."""
    epoch_timeout: float | None = None
    """Seconds after which an epoch counts as hanging, and its actor has failed."""
    sampler: Sampler | None = None
    """None: grid and random."""
    scheduler: Scheduler = field(default_factory=lambda: _made("scheduler", [None], {})[0])
    costs: Sequence[str] = ("ppe",)
    metric: str = "val_accuracy"
    """What accuracy is."""
    budget: str | None = None
    """Like "param_epochs=5e7": see Budget."""
    log: tuple[Log, ...] = ()
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names the search where epochs are claimed."""

    def __post_init__(self) -> None:
        from growsearch.epochs.store import in_bytes

        gpus = self.gpus_per_trial
        in_bytes(self.state_megabytes)
        if self.max_concurrent is not None and self.max_concurrent < 1:
            raise InputError(
                f"max_concurrent={self.max_concurrent} is no number of trials; give 1 or more"
            )
        if self.cpus_per_trial < 1:
            raise InputError(
                f"cpus_per_trial={self.cpus_per_trial} is no number of cores; give 1 or more"
            )
        if gpus is not None and not 0 <= gpus < math.inf:
            raise InputError(f"gpus_per_trial={gpus} is no share of GPUs; give 0 or more")
        if self.max_failures < 0:
            raise InputError(f"max_failures={self.max_failures} is less than 0; give 0 or more")
        for cost in self.costs:
            component("cost", cost)
        pauses, scheduler = self.scheduler.pauses, self.scheduler.name
        if pauses and self.store == "none":
            raise InputError(
                f"{pauses} pauses trials, which go on from a store; leave out store 'none'"
            )
        if self.scheduler.tune_starts and self.max_concurrent is not None:
            raise InputError(
                f"max_concurrent={self.max_concurrent} cannot be with scheduler {scheduler!r}, "
                "which has Tune start trials; set cpus_per_trial instead"
            )
        if self.scheduler.draws and self.sampler is not None:
            raise InputError(
                f"scheduler {scheduler!r} draws trials itself, and so does sampler "
                f"{self.sampler.name!r}; leave one of them out"
            )
        if self.sampler is not None and (self.scheduler.tune_starts or self.scheduler.orders):
            raise InputError(
                f"sampler {self.sampler.name!r} draws each trial from those before, and scheduler "
                f"{scheduler!r} needs all of them at the start; leave one of them out"
            )
        if self.epoch_timeout is not None and not 0 < self.epoch_timeout <= _LONGEST_TIMEOUT:
            raise InputError(
                f"epoch_timeout={self.epoch_timeout} is no time; give seconds, above 0 and at "
                f"most {_LONGEST_TIMEOUT:g}"
            )

    @classmethod
    def from_flat(
        cls, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None
    ) -> "SearchSettings":
        """From settings and options of components by name; components by theirs, or themselves.

        `stored` are those of an earlier run of the search, which hold where `given` has no other.
        The options of a component hold as long as it is chosen: another one has its own defaults,
        also for options of the same name. InputError for a name that does not exist, or an
        option that is given without its component.
        """
        known, rules = [f.name for f in fields(cls)], search_options()
        values, options = {}, {}
        stored = stored or {}
        chosen = {k: stored.get(k) if given.get(k) is None else given[k] for k in CHOSEN}
        stay = _used(
            {k: stored.get(k) for k in CHOSEN if _named(chosen[k]) & _named(stored.get(k))}
        )
        kept = {n: v for n, v in stored.items() if n in stay or n not in rules}
        for name, value in {**kept, **given}.items():
            if name not in known and name not in rules:
                known += rules
                raise InputError(f"a search has no setting {name!r}{suggestion(name, known)}")
            if name in known:
                values[name] = value
            elif value is not None:
                options[name] = value
        (values["scheduler"],) = _made("scheduler", [values.get("scheduler")], options)
        if values.get("sampler") is not None:
            (values["sampler"],) = _made("sampler", [values["sampler"]], options)
        values["log"] = _made("log", values.get("log") or (), options)
        settings = cls(**values)
        used = {name for chosen in settings.components() for name in chosen.options()}
        for name in given:
            if name in options and name not in used:
                raise InputError(settings._belongs(name, options[name]))
        return settings

    def _belongs(self, name: str, value: Any) -> str:
        takers = [c for kind in CHOSEN for c in components(kind).values() if name in c.options()]
        kind = takers[0].kind
        chosen = [repr(c.name) for c in self.components() if c.kind == kind]
        names = " or ".join(repr(taker.name) for taker in takers)
        given = f"{value:g}" if isinstance(value, float) else value
        return (
            f"{name}={given} belongs to {kind} {names}, but {kind} is "
            f"{', '.join(chosen) or 'not given'}; leave {name} out or choose {names}"
        )

    def components(self) -> list[Component]:
        """The chosen components of the kinds whose options are settings too."""
        sampler = [self.sampler] if self.sampler is not None else []
        return [self.scheduler, *sampler, *self.log]

    def to_flat(self) -> dict[str, Any]:
        """The inverse of `from_flat`, in JSON's types.

        Options that no chosen component has are there with their defaults, but for plugins'.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["scheduler"] = self.scheduler.name
        values["sampler"] = self.sampler.name if self.sampler is not None else None
        values["log"] = [log.name for log in self.log]
        for name, rule in search_options().items():
            if not rule.plugin:
                values[name] = rule.default
        for chosen in self.components():
            values |= chosen.values()
        return values


def search_options() -> dict[str, Option]:
    """The options of all components that a search may choose, by name.

    Raises InputError if one has the name of a setting or of a trial's option.
    """
    rules: dict[str, Option] = {}
    settings = {f.name for f in fields(SearchSettings)}
    for kind in CHOSEN:
        for cls in components(kind).values():
            for name, rule in cls.options().items():
                if name in settings or is_option(name):
                    raise InputError(
                        f"option {name!r} of {kind} {cls.name!r} is also one of searches or "
                        "trials; rename it"
                    )
                rules[name] = rule
    return rules


def _used(flat: Mapping[str, Any]) -> set[str]:
    """The options of the components that `flat` names; others in it are defaults."""
    used: set[str] = set()
    for kind in CHOSEN:
        names = flat.get(kind) or ()
        for name in (names,) if isinstance(names, str) else names:
            if name in components(kind):  # not one of a plugin that is gone
                used |= components(kind)[name].options().keys()
    return used


def _named(chosen: Any) -> set[str]:
    """The names of components: of one, or of several, given by name, by class or themselves."""
    several = isinstance(chosen, list | tuple)
    return {str(getattr(part, "name", part)) for part in (chosen if several else [chosen])}


def _made(kind: str, names: Iterable[object], options: Mapping[str, Value]) -> Any:
    """The components of these names, each with those of the `options` that it has.

    The name None stands for the kind's default.
    """
    made = []
    for name in dict.fromkeys(names):
        if isinstance(name, Component) and name.kind == kind:
            cls, own = type(name), name.values()
        else:
            cls = component(kind, SEARCH_KINDS[kind].default if name is None else name)
            own = {}
        made.append(cls(**own | {n: options[n] for n in cls.options() if n in options}))
    return tuple(made)
