"""The options of trials: those that belong to no component, and what is known of all by name."""

import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import KINDS, components, trial_components, users_of
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import DataSource, Family, Initializer, Optimizer, Policy, Schedule
from growsearch.trial.optimizer_changes import parse_change
from growsearch.trial.options import (
    Option,
    Role,
    Value,
    option,
    rule_of,
    shortened,
    suggestion,
)

if TYPE_CHECKING:
    from growsearch.tasks.task import Task

_NEWER_KINDS = ("task", "optimizer")
"""Kinds that are newer than stores that are still read: see Option.keyed_at_default."""


class TrialOptions:
    """The options that belong to no component."""

    data_dir: str | None = option(
        None, "file or folder with the task's or data set's data", role=Role.DATA
    )
    architecture: str = option(
        None, "sub-modules (residual blocks) per sub-network to start from", parse=Architecture,
        default_help="2 in each; AutoGrow: 1 in each", role=Role.NETWORK,
    )  # fmt: skip
    bn_gamma_init: str = option(
        "one", "scales of batch normalizations to start from: one, or uniform in [0, 1] as in "
        "the PyTorch of AutoGrow's program", choices=("one", "uniform"), role=Role.NETWORK,
    )  # fmt: skip
    epochs: int = option(
        None, "number of epochs; for AutoGrow the largest number. Epochs that only initialize new "
        "blocks (adam, partial) are not counted", least=1, default_help="164; AutoGrow: 5000",
        role=Role.DECISION,
    )  # fmt: skip
    batch_size: int = option(
        None, "examples a training step", least=2, default_help="128",
        role=Role.EPOCH,
    )  # fmt: skip
    lr: float = option(
        None, "the largest learning rate", above=0,
        default_help="0.5; AutoGrow: 0.1",
        role=Role.DECISION,
    )  # fmt: skip
    optimizer_changes: tuple[str, ...] | None = option(
        None, "changes of the largest lr or of weight_decay after an epoch, like 10:lr=0.05; "
        "scheduler pbt sets them", parse=parse_change, role=Role.DECISION,
    )  # fmt: skip
    weight_decay: float = option(
        None, "sgd: L2 penalty on all parameters; adamw, muon: what a step shrinks weights by, as "
        "a multiple of the learning rate", least=0,
        default_help="2e-4; AutoGrow: 5e-4, on imagenet 1e-4",
        role=Role.EPOCH,
    )  # fmt: skip
    clip_norm: float | None = option(
        None, "the largest norm of the gradient of all parameters together, in each training step; "
        "a larger one is scaled down to it", above=0, default_help="off", role=Role.EPOCH,
        keyed_at_default=False,
    )  # fmt: skip
    seed: int = option(0, "seed of all random numbers", least=0, role=Role.EPOCH)
    lipschitz: str | None = option(
        "layers", "what Lipschitz constants are: the product of the constants of a block's layers, "
        "or the mean norm of its residual's Jacobian at some validation examples",
        choices=("layers", "jacobian"), role=Role.EPOCH, keyed_at_default=False,
        default_help="layers where the task has a formula (images); otherwise jacobian if the "
        "policy or initializer reads the constants, and else they are not measured",
    )  # fmt: skip
    record_lipschitz: str = option(
        "subnetworks", "the smallest parts whose Lipschitz constants are recorded",
        choices=("subnetworks", "blocks", "layers"), role=Role.RECORD,
    )  # fmt: skip
    device: str = option(
        "auto", "where the trial runs; auto is the GPU, or the CPU if there is no GPU",
        choices=("auto", "cpu", "cuda"), role=Role.MACHINE,
    )  # fmt: skip
    precision: str = option(
        "auto", "number format of training and evaluation; auto is bfloat16 if it is faster, "
        "which is measured once on each machine", choices=("auto", "float32", "bfloat16"),
        role=Role.MACHINE,
    )  # fmt: skip
    compile: str = option(
        "auto", "whether training steps are compiled, block by block (torch.compile); auto "
        "compiles if that saves time within the trial. This is measured once for each machine and "
        "kind of trial, and only for trials of ten minutes or more",
        choices=("auto", "on", "off"), role=Role.MACHINE,
    )  # fmt: skip

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


@cache
def trial_options() -> dict[str, Option]:
    """The options that belong to no component, by name."""
    rules = {}
    hints = typing.get_type_hints(TrialOptions)
    for name, spec in vars(TrialOptions).items():
        if isinstance(spec, Field):
            default = None if spec.default is MISSING else spec.default
            rule = rule_of(name, hints[name], default, spec.metadata)
            assert rule.role is not None, f"option {name!r} states no role"
            rules[name] = replace(rule, measures=rule.role is Role.DATA)
    return rules


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
            measures=role is Role.DATA or kind == "task",
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
