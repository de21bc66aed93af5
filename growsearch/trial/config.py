"""What a trial is: every choice that decides what it trains, in one frozen value."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from growsearch.trial.components import KINDS, Component, component, components, name_of, users_of
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import READABLE, DataSource, Initializer
from growsearch.trial.optimizer_changes import check_changes
from growsearch.trial.options import Option, Role, Value, as_text
from growsearch.trial.own_options import trial_options
from growsearch.trial.trial_options import (
    TrialOptions,
    check_field,
    check_proposals,
    every_option,
    flat,
    is_option,
)

if TYPE_CHECKING:
    from growsearch.tasks.task import Task

Given = Value | Component


class Reader(Protocol):
    """A component that reads what is measured of epochs."""

    kind: ClassVar[str]
    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class TrialConfig(TrialOptions):
    """One trial: data, a network, how it is trained and how it grows.

    It is made from options by name, `TrialConfig(policy="lipschitz", rtol=1.2)`, or from
    components, `TrialConfig(policy=LipGrow(rtol=1.2))`. It remembers what was given; everything
    else has the defaults of the policy's paper, LipGrow's for CIFAR or AutoGrow's. So
    `dataclasses.replace(config, epochs=30)` is the trial that was given the same and 30 epochs.

    Components are attributes of their kind's name, and so are the options that belong to none.
    Values have one canonical form (2.0 epochs are 2): equal trials compare and hash equal. Raises
    InputError for a name that does not exist, a value that breaks its rule, an option of a
    component that the trial does not have, or options that do not fit together.
    """

    given: Mapping[str, Value]

    def __init__(self, *, given: Mapping[str, Given] | None = None, **options: Given) -> None:
        merged = _checked({**_kept(given or {}, options), **options})
        self._set("given", MappingProxyType(merged))
        task = cast("Task", _made("task", merged.get("task"), merged))
        self._set("task", task.of(self))
        for kind in ("dataset", "network"):
            used, name = kind in task.kinds, merged.get(kind, task.proposals.get(kind))
            self._set(kind, _made(kind, name, merged) if used else None)
        self._check_dataset()
        self.task.check_stacks()
        check_proposals(self.task.label, self.task.proposals)
        for source in (self.dataset, self.network):
            if source is not None:
                check_proposals(f"{source.kind} {source.name!r}", source.proposals)
        usual = {**self.task.proposals, **merged}
        proposed = self.task.proposed()
        wanted = {**proposed, **merged}
        self._set("policy", _made("policy", wanted.get("policy"), usual))
        self.check_reads(self.policy)
        self._set("optimizer", _made("optimizer", wanted.get("optimizer"), usual))
        of_policy = self.policy.proposed(self)
        check_proposals(f"policy {self.policy.name!r}", of_policy)
        values = {**of_policy, **self._optimizers_proposals(proposed), **merged}
        for name, rule in trial_options().items():
            self._set(name, rule.check(values.get(name, rule.default)))
        self.task.checked("architecture", self.architecture)
        self._set("initializer", None)
        if self.policy.grows:
            chosen = _made("initializer", values.get("initializer"), usual)
            self.check_reads(cast(Initializer, chosen))
            self._set("initializer", chosen)
        self._set("lipschitz", self._measure(cast("str | None", values.get("lipschitz"))))
        self._set("lr_schedule", _made("lr_schedule", values.get("lr_schedule"), usual))
        self._check_unused()
        self._set("task", self.task.completed(self).of(self))
        self._set("policy", self.policy.completed(self))
        if self.initializer is not None:
            self._set("initializer", self.initializer.completed(self))
        self._set("lr_schedule", self.lr_schedule.completed(self))
        self.lr_schedule.check(self)
        check_changes(self)

    def _optimizers_proposals(self, of_task: Mapping[str, Value]) -> dict[str, Value]:
        """What the task proposes with what the trial's optimizer proposes.

        A task's learning rate is for the optimizer that the task has if nothing chooses another.
        """
        own = self.optimizer.proposals
        check_proposals(f"optimizer {self.optimizer.name!r}", own)
        usual = of_task.get("optimizer", KINDS["optimizer"].default)
        is_usual = self.optimizer.name == usual
        return {**own, **of_task} if is_usual else {**of_task, **own}

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    if not TYPE_CHECKING:
        # for notebooks; the package itself reads options of components where they are

        def __getattr__(self, name: str) -> Value:
            """The value of a component's option; None if this trial does not use it."""
            if name.startswith("_") or not is_option(name) or name in KINDS:
                raise AttributeError(f"a trial has no option {name!r}")
            return self._component_values().get(name)

    def _measure(self, given: str | None) -> str | None:
        """How Lipschitz constants are measured; None if they are not.

        Raises InputError if the task does not have the `given` measure.
        """
        task = self.task
        if given == "layers" and not task.has_formula:
            remedy = "choose 'jacobian'" if task.residual else "leave lipschitz out"
            raise InputError(
                f"lipschitz 'layers' needs a task with a formula for its layers, and {task.label} "
                f"has none; {remedy}"
            )
        if given == "jacobian" and not task.residual:
            remedy = "choose 'layers'" if task.has_formula else "leave lipschitz out"
            raise InputError(
                "lipschitz 'jacobian' needs blocks that add a residual to their input, and those "
                f"of {task.label} do not; {remedy}"
            )
        if given is not None or task.has_formula:
            return given or "layers"
        readers: list[Reader] = [self.policy]
        if self.initializer is not None:
            readers.append(self.initializer)
        read = any("lipschitz" in reader.reads for reader in readers)
        return "jacobian" if read and task.residual else None

    def check_reads(self, chosen: "Reader") -> None:
        """InputError if a component reads numbers that the trial's task does not have."""
        for number in chosen.reads:
            if not getattr(self.task, f"has_{number}"):
                other = "metric val_loss" if chosen.kind == "metric" else f"another {chosen.kind}"
                raise InputError(
                    f"{chosen.kind} {chosen.name!r} reads {READABLE[number]}, and task "
                    f"{self.task.name!r} has none; choose {other}"
                )

    def _check_dataset(self) -> None:
        """InputError if the data set holds something else than the task learns."""
        chosen, learns = self.dataset, self.task.learns
        if "dataset" in self.task.kinds and chosen.holds != learns:
            known = cast("dict[str, type[DataSource]]", components("dataset"))
            fitting = ", ".join(name for name, cls in known.items() if cls.holds == learns)
            raise InputError(
                f"dataset {chosen.name!r} has {chosen.holds}, but task {self.task.name!r} learns "
                f"{learns}; choose {fitting}"
            )

    def _check_unused(self) -> None:
        """InputError if an option was given whose component the trial does not have."""
        unused = {kind for kind in KINDS if getattr(self, kind) is None}
        used = {*trial_options(), *KINDS, *self._component_values()} - unused
        if self.network is None and self.bn_gamma_init != "one":
            raise InputError(
                f"bn_gamma_init={self.bn_gamma_init!r} is for networks of task "
                f"'image-classification', but task is {self.task.name!r}; leave bn_gamma_init out"
            )
        for name in self.given:
            if name not in used:
                raise InputError(self._belongs(name))

    def _belongs(self, name: str) -> str:
        takers = users_of(name)
        kind = takers[0].kind if takers else name
        chosen = getattr(self, kind)
        said = f"{name}={as_text(self.given[name])} belongs to"
        if chosen is None and kind != "initializer":
            return (
                f"{said} a task that has a {kind}, but task is {self.task.name!r}; leave {name} out"
            )
        if chosen is None:
            return (
                f"{said} a policy that grows, but policy is {self.policy.name!r}; leave {name} out "
                "or choose another policy"
            )
        names = " or ".join(repr(taker.name) for taker in takers)
        return (
            f"{said} {kind} {names}, but {kind} is {chosen.name!r}; leave {name} out or choose "
            f"another {kind}"
        )

    def components(self) -> Iterator[Component]:
        """The trial's components, in the order of KINDS."""
        for kind in KINDS:
            if (chosen := getattr(self, kind)) is not None:
                yield chosen

    def _component_values(self) -> dict[str, Value]:
        return {name: v for chosen in self.components() for name, v in chosen.values().items()}

    @property
    def growing_epochs(self) -> int:
        """Epochs until fine-tuning, at most; all of them where there is none."""
        return self.epochs - (self.policy.finetune_epochs or 0)

    @property
    def notes(self) -> list[str]:
        """A line for each option that has another effect than its value says."""
        grown = self.initializer.notes(self) if self.initializer is not None else []
        return [*grown, *self.policy.notes(self)]

    def replaced(self, **options: Given) -> "TrialConfig":
        """A trial that was given the same options, except these; as `dataclasses.replace`."""
        return TrialConfig(given=self.given, **options)

    def values(self, *roles: Role) -> dict[str, Value]:
        """The options of these roles, or all, by name; components by theirs.

        An option that the trial does not use is left out.
        """
        chosen: dict[str, Value] = {c.kind: c.name for c in self.components()}
        own: dict[str, Value] = {name: getattr(self, name) for name in trial_options()}
        every = {**chosen, **own, **self._component_values()}
        rules = self.rules()
        return {name: v for name, v in every.items() if not roles or rules[name].role in roles}

    def rules(self) -> dict[str, Option]:
        """All options by name, those of the trial's own components by their rules."""
        own = (type(chosen).options() for chosen in self.components())
        return every_option() | {name: rule for rules in own for name, rule in rules.items()}

    def to_flat(self) -> dict[str, str | int | float | None]:
        """Every option as a string, number or None; a tuple of epochs becomes "60 110".

        Options that the trial does not use are None. A plugin's options are included only if the
        trial uses them.
        """
        values = self.values()
        names = [n for n, rule in self.rules().items() if n in values or not rule.plugin]
        return {name: flat(values.get(name)) for name in names}

    @classmethod
    def from_flat(cls, values: Mapping[str, Value]) -> "TrialConfig":
        """The inverse of `to_flat`; InputError for an option that does not exist."""
        return cls(given=values)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name this configuration, in any process on any host."""
        rules = self.rules()
        named = {
            name: value
            for name, value in self.to_flat().items()
            if rules[name].keyed_at_default or value not in (None, flat(rules[name].default))
        }
        text = json.dumps(named, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrialConfig) and self.to_flat() == other.to_flat()

    def __hash__(self) -> int:
        return hash(tuple(self.to_flat().items()))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"TrialConfig({given})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TrialConfig.from_flat, (dict(self.given),)


def _kept(given: Mapping[str, Given], options: Mapping[str, Given]) -> Mapping[str, Given]:
    """What of `given` stays beside `options`: a component replaces its kind's with all options."""
    kinds = {value.kind for value in options.values() if isinstance(value, Component)}
    if not kinds:
        return given
    return {n: v for n, v in given.items() if not {taker.kind for taker in users_of(n)} & kinds}


def _checked(given: Mapping[str, Given]) -> dict[str, Value]:
    """The given options in canonical form, without None; a component becomes its options."""
    found: dict[str, Value] = {}
    for name, value in given.items():
        if isinstance(value, Component):
            found |= {name: name_of(name, type(value)), **value.stated()}
        elif value is not None:
            found[name] = check_field(name, value)
    return found


def _made(kind: str, name: Value, given: Mapping[str, Value]) -> Component:
    """The chosen component, made with those of its options that were given."""
    cls = component(kind, KINDS[kind].default if name is None else name)
    return cls(**{n: given[n] for n in cls.options() if n in given})
