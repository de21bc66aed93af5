"""What an epoch depends on, as a key: the same in any process and on any host of one kind.

A trial is a path in a tree of epochs. The key of an epoch hashes the key of the one before with
what this one adds: its learning rate, and the growth before it. Not in it are the policy, its
thresholds, and what schedule a learning rate comes from: trials whose decisions agree so far have
the same keys so far.
"""

import hashlib
import json
from dataclasses import fields
from typing import Any

import torch

from growsearch.architecture import Architecture
from growsearch.choices import GROWING
from growsearch.config import TrialConfig
from growsearch.data import Dataset
from growsearch.history import INITIALIZING, EpochRecord
from growsearch.lr_schedules import Rates
from growsearch.machine import bfloat16_instructions
from growsearch.ranks import ranks

NUMERICS = 3
"""To be raised by a change of this program that changes what an epoch comes to."""


def root_key(config: TrialConfig, dataset: Dataset, device: torch.device) -> str:
    """The key before the first epoch: the data, the seed network, and the machine's arithmetic.

    The configuration's precision and compile must not be auto. What a record has is in it too: one
    of another version does not stand in for it.
    """
    assert config.compile != "auto"
    return _hashed(
        numerics=NUMERICS,
        record=[f.name for f in fields(EpochRecord)],
        dataset=dataset.digest,
        network=config.network,
        architecture=config.architecture,
        bn_gamma_init=config.bn_gamma_init,
        batch_size=config.batch_size,
        weight_decay=config.weight_decay,
        seed=config.seed,
        **arithmetic(config, device),
        compiled=config.compile == "on",
    )


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
        **{name: getattr(config, name) for name in GROWING},
    )


def moved_key(parent: str, root: str) -> str:
    """What follows the epoch, or the growth, of key `parent` where the root is another one."""
    return _hashed(parent=parent, root=root)


def arithmetic(config: TrialConfig, device: torch.device) -> dict[str, Any]:
    """What decides the last bits of sums and products, but for the compiler."""
    assert config.precision != "auto"
    made: dict[str, Any] = {"torch": torch.__version__, "precision": config.precision}
    if (count := ranks().count) > 1:
        made["ranks"] = count
    if device.type == "cuda":
        versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
        return made | versions | {"device": torch.cuda.get_device_name(device)}
    if config.precision == "bfloat16":
        made["instructions"] = bfloat16_instructions()
    capability = torch.backends.cpu.get_cpu_capability()
    return made | {"device": f"cpu {capability}", "threads": torch.get_num_threads()}


def _hashed(**parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
