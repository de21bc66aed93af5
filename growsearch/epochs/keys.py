"""Store keys: the key of an epoch is a hash of everything that the epoch depends on.

A trial is a path in a tree of epochs. An epoch's key hashes the key of the epoch before it, its own
learning rates, and the growth before it. The policy, its thresholds and the learning-rate schedule
are not hashed, only what they decided. So two trials have equal keys until their decisions differ.
Keys are the same in every process, and on every host whose arithmetic is the same.
"""

import hashlib
import json
from typing import Any

from growsearch.machine.arithmetic import arithmetic
from growsearch.tasks.task import Task
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import INITIALIZING, RECORD_FIELDS
from growsearch.trial.options import Role, Value
from growsearch.trial.plugins import code_hashes
from growsearch.trial.rates import Rates

NUMERICS = 4
"""Raise this number with every change of the program that changes the results of an epoch."""
_NEWER_FIELDS = ("metrics", "example_tokens")
"""Fields of records that are newer than stores that are still read, and may be missing there."""


def root_key(task: Task) -> str:
    """The key before the first epoch: the data, the seed network, and the machine's arithmetic.

    The configuration's precision and compile must not be auto. EpochRecord's field names are hashed
    too, so records with other fields never match.
    """
    config = task.trial
    assert config.compile != "auto"
    return _hashed(
        numerics=NUMERICS,
        record=[name for name in RECORD_FIELDS if name not in _NEWER_FIELDS],
        dataset=task.data_digest(),
        **keyed(config, Role.NETWORK, Role.EPOCH),
        **arithmetic(config, task.device),
        compiled=config.compile == "on",
        **({"lr": config.lr.hex()} if _has_own_groups(task) else {}),
    )


def _has_own_groups(task: Task) -> bool:
    """Whether a plugin makes the optimizer: groups with rates of their own are multiples of lr."""
    own_method = task.plugin is not None and type(task).optimizer is not Task.optimizer
    return own_method or task.trial.optimizer.plugin is not None


def keyed(config: TrialConfig, *roles: Role) -> dict[str, Value]:
    """The options of these roles by name, as keys hold them.

    An option that the trial does not use is None. An option with keyed_at_default=False is left out
    at its default: it is newer than stores that are still read, and their keys do not have it. A
    component from a plugin adds hashes of its code; see `code_hashes`.
    """
    rules = config.rules()
    values = config.values(*roles)
    plugins: dict[str, Value] = {}
    for chosen in config.components():
        if chosen.plugin is not None and chosen.role in roles:
            hashes = code_hashes(chosen)
            plugins |= {f"{chosen.kind}.{name}": value for name, value in hashes.items()}
    return plugins | {
        name: values.get(name)
        for name, rule in rules.items()
        if rule.role in roles
        and (not rule.plugin or name in values)
        and (rule.keyed_at_default or values.get(name) not in (None, rule.default))
    }


def epoch_key(parent: str, phase: str, taken: Rates, config: TrialConfig) -> str:
    """The key of the next epoch; `parent` is that of the last epoch, or of the growth after it."""
    changed = {}
    if taken.weight_decay != config.weight_decay:  # the root's key holds this one
        changed["weight_decay"] = taken.weight_decay.hex()
    return _hashed(
        parent=parent,
        # a list where steps differ: the values alone, whatever schedule has them
        lr=taken.lr.hex() if taken.lrs is None else [lr.hex() for lr in taken.lrs],
        **changed,
        # fine-tuning is training; an epoch that initializes new blocks trains them alone
        apart=phase == INITIALIZING,
    )


def growth_key(parent: str, config: TrialConfig, architecture: Architecture) -> str:
    """The key of a growth after the epoch of key `parent`; it is the next epoch's parent key."""
    return _hashed(
        parent=parent,
        architecture=str(architecture),
        **keyed(config, Role.GROWTH),
    )


def moved_key(parent: str, root: str) -> str:
    """The next parent key after `parent`, for a trial that goes on with another root key."""
    return _hashed(parent=parent, root=root)


def _hashed(**parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
