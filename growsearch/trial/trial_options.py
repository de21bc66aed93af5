"""The options of trials: what is known of all by name."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from growsearch.trial.components import KINDS, components, trial_components, users_of
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import DataSource, Family, Initializer, Optimizer, Policy, Schedule
from growsearch.trial.options import Option, Value, shortened, suggestion
from growsearch.trial.own_options import OwnOptions, trial_options

if TYPE_CHECKING:
    from growsearch.tasks.task import Task

_NEWER_KINDS = ("task", "optimizer")
"""Kinds that are newer than stores that are still read: see Option.keyed_at_default."""


class TrialOptions(OwnOptions):
    """What a trial has: its own options, and its components."""

    if TYPE_CHECKING:
        task: Task
    dataset: DataSource
    """The data set, for tasks that use one; None for others."""
    network: Family
    """The network family, for image classification; None for other tasks."""
    policy: Policy
    initializer: Initializer | None
    """None for a policy that never grows."""
    lr_schedule: Schedule
    optimizer: Optimizer


def flat(value: Value) -> str | int | float | None:
    """As one cell of a table: a tuple becomes text."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def every_option() -> dict[str, Option]:
    """All options of trials by name: the choice of each kind of component, those that belong to no
    component, and those of the components.
    """
    return dict(_every_option(trial_components()))


@lru_cache(maxsize=4)
def _every_option(registered: object) -> dict[str, Option]:
    """For the components that are `registered`: a search asks for it thousands of times."""
    rules: dict[str, Option] = {}
    for kind, about in KINDS.items():
        known = components(kind)
        role = next(iter(known.values())).role
        rules[kind] = Option(
            name=kind, kind=str, default=about.default, help=about.help, role=role,
            choices=tuple(known), keyed_at_default=kind not in _NEWER_KINDS,
            measures=kind == "task",
        )  # fmt: skip
    rules |= trial_options()
    for kind in KINDS:
        for cls in components(kind).values():
            for name, rule in cls.options().items():
                rules.setdefault(name, rule)
    return rules


def default_text(name: str, rule: Option) -> str | None:
    """An option's default in words, with those of components that have or propose another one.

    None without. What policies propose depends on the trial: the rules' default_help says it.
    """
    found: dict[str, list[str]] = {}
    for taker in users_of(name):
        found.setdefault(_in_words(taker.options()[name]) or "none", []).append(taker.name)
    usual = [text] if len(found) < 2 and (text := _in_words(rule)) else []
    own = found if len(found) > 1 else {}
    named = [
        f"{', '.join(owners)}: {value}"
        for value, owners in (*own.items(), *_proposed(name).items())
    ]
    return "; ".join([*usual, *named]) or None


def _proposed(name: str) -> dict[str, list[str]]:
    """The components that propose a default for the option, by what they propose."""
    found: dict[str, list[str]] = {}
    for kind in ("task", "dataset", "network", "optimizer"):
        for cls in components(kind).values():
            proposals = getattr(cls, "proposals", {})
            if isinstance(proposals, Mapping) and proposals.get(name) is not None:
                found.setdefault(str(flat(proposals[name])), []).append(cls.name)
    return found


def _in_words(rule: Option) -> str | None:
    return rule.default_help or (None if rule.default is None else str(flat(rule.default)))


def is_option(name: str) -> bool:
    return name in KINDS or name in trial_options() or bool(users_of(name))


def check_proposals(label: str, proposals: Mapping[str, Value]) -> None:
    """InputError if the component `label` has a default for what is no option, or has a method in
    place of defaults.
    """
    if not isinstance(proposals, Mapping):
        raise InputError(
            f"proposals of {label} are {shortened(proposals)}; write a mapping of options, like "
            "proposals = {'lr': 0.01}"
        )
    for name in proposals:
        if not is_option(name):
            raise InputError(
                f"proposals of {label} have {name!r}, which is no option of a "
                f"trial{suggestion(name, tuple(every_option()))}"
            )


def check_name(name: str) -> None:
    """InputError, with the nearest name, if a trial has no option `name`."""
    if not is_option(name):
        raise InputError(
            f"a trial has no field {str(name)[:100]!r}{suggestion(name, tuple(every_option()))}"
        )


def check_field(name: str, value: Any) -> Value:
    """`value` in its canonical form, checked against the rule of option `name` alone.

    Raises InputError if it breaks the rule, or if there is no such option.
    """
    check_name(name)
    takers = users_of(name)
    if len(takers) < 2:
        return every_option()[name].check(value)
    # which of them the trial has is not known here; its own rule is checked when it is made
    refusals = []
    for taker in takers:
        try:
            return taker.options()[name].check(value)
        except InputError as error:
            refusals.append(error)
    raise refusals[0]
