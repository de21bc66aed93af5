"""What an epoch depends on, as a key: the same in any process and on any host of one kind.

A trial is a path in a tree of epochs. The key of an epoch hashes the key of the one before with
what this one adds: its learning rate, and the growth before it. Not in it are the policy, its
thresholds, and what schedule a learning rate comes from: trials whose decisions agree so far have
the same keys so far.
"""

import hashlib
import json
from typing import Any

from growsearch.machine.arithmetic import arithmetic
from growsearch.tasks.task import Task
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig, every_option
from growsearch.trial.history import INITIALIZING, RECORD_FIELDS
from growsearch.trial.options import Role, Value
from growsearch.trial.rates import Rates

NUMERICS = 3
"""To be raised by a change of this program that changes what an epoch comes to."""
_NEWER_FIELDS = ("metrics",)
"""Fields of records that are newer than stores that are still read, and may be missing there."""


def root_key(task: Task) -> str:
    """The key before the first epoch: the data, the seed network, and the machine's arithmetic.

    The configuration's precision and compile must not be auto. What a record has is in it too: one
    of another version does not stand in for it.
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
    )


def keyed(config: TrialConfig, *roles: Role) -> dict[str, Value]:
    """The options of these roles as keys hold them; those of older keys that a trial does not use
    are None.

    An option that is newer than the oldest store that is still read is left out at its default: so
    the keys stay what they were. A component of a plugin is there with the hash of its source.
    """
    rules = every_option()
    values = config.values(*roles)
    plugins = {
        f"{chosen.kind}.plugin": chosen.plugin
        for chosen in config.components()
        if chosen.plugin is not None and chosen.role in roles
    }
    return plugins | {
        name: values.get(name)
        for name, rule in rules.items()
        if rule.role in roles
        and (not rule.plugin or name in values)
        and (rule.keyed_at_default or values.get(name) not in (None, rule.default))
    }


def epoch_key(parent: str, phase: str, taken: Rates, config: TrialConfig) -> str:
    """The key of the epoch that follows the one, or the growth, of key `parent`."""
    changed = {}
    if taken.weight_decay != config.weight_decay:  # which is the root's
        changed["weight_decay"] = taken.weight_decay.hex()
    return _hashed(
        parent=parent,
        lr=taken.lr.hex(),
        **changed,
        # fine-tuning is training; an epoch that initializes new blocks trains them alone
        apart=phase == INITIALIZING,
    )


def growth_key(parent: str, config: TrialConfig, architecture: Architecture) -> str:
    """The key of a growth after the epoch of key `parent`: the epochs that follow have it."""
    return _hashed(
        parent=parent,
        architecture=str(architecture),
        **keyed(config, Role.GROWTH),
    )


def moved_key(parent: str, root: str) -> str:
    """What follows the epoch, or the growth, of key `parent` where the root is another one."""
    return _hashed(parent=parent, root=root)


def _hashed(**parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
