"""What is checked: a task of a trial that grows once."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from growsearch.checks.source import line_of
from growsearch.growth.inherit import OldNames, block_sources
from growsearch.tasks.task import Task
from growsearch.training.epoch import train_epoch
from growsearch.training.growth import grow
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import component, components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.path import TrialPath
from growsearch.trial.plugins import Plugin

EPOCHS, GROWTH = 3, 2
"""Epochs of the trial, and after which of them it grows, to twice the depth or to one block."""
OWN = ("policy", "epochs", "growth_epochs", "growth_architectures", "compile")
"""Options that a check chooses."""


PLAIN = "default"
"""The initializer that changes nothing that is inherited."""


def checked_config(task: str, options: dict[str, Any]) -> TrialConfig:
    """The trial by which `task` is checked; InputError for an option that the check chooses."""
    for name in OWN:
        if name in options:
            raise InputError(
                f"{name}={options[name]} is chosen by check-task, whose trial grows after epoch "
                f"{GROWTH} of {EPOCHS}; leave it out"
            )
    chosen = {
        "task": task, "policy": "fixed", "epochs": EPOCHS, "growth_epochs": (GROWTH,),
        "compile": "off", "precision": "float32", "device": "cpu",
    }  # fmt: skip
    return TrialConfig(**{**chosen, **options})


def with_initializer(config: TrialConfig, name: str) -> TrialConfig:
    """The trial with this initializer, without the options that only others have."""
    others = {option for cls in components("initializer").values() for option in cls.options()}
    left_out = others - set(component("initializer", name).options())
    kept = {option: value for option, value in config.given.items() if option not in left_out}
    return TrialConfig(given={**kept, "initializer": name})


@dataclass
class Subject:
    """The task, its trial, and what checks share."""

    name: str
    """The name that the user gave the task."""
    task: Task
    """With few batches, on its device."""
    plugins: tuple[Plugin, ...]
    """What registers the task, and then the task with few batches."""
    searched: bool = False
    """Whether a search on Ray is part of the check."""
    learned: dict[str, Any] = field(default_factory=dict)
    """What a check keeps for a later one."""

    @property
    def config(self) -> TrialConfig:
        return self.task.trial

    @property
    def seed(self) -> Architecture:
        """The architecture that the trial begins with."""
        return Architecture(self.config.architecture)

    @property
    def grown(self) -> Architecture:
        """The architecture that it grows to."""
        return self.seed.deepened()

    def line(self, method: str) -> str | None:
        """Where the task defines the method."""
        return line_of(type(self.task), method)

    @cached_property
    def trained(self) -> TrainState:
        """The state after one epoch; it is not to be changed."""
        state = TrainState.initial(self.task)
        train_epoch(state, TrialPath(self.config).rates.taken(self.task.steps), self.task)
        return state

    def with_initializer(self, name: str) -> Task:
        """The task of a trial with this initializer; InputError if it does not take it."""
        config = with_initializer(self.config, name)
        return config.task.on(self.task.device, self.task.loaded)

    def grow(self, task: Task) -> TrainState:
        """The trained state, grown as the trial of `task` does."""
        return grow(self.trained, self.grown, task, 1)

    def old_names(self, task: Task, grown: nn.Module) -> OldNames:
        """What tensors of the grown network were called in the trained one."""
        sources = block_sources(self.seed, self.grown, task.trial)
        return OldNames(sources, task.stacks, self.trained.network, grown)
