"""The training state: everything but the configuration that the next epoch depends on."""

from collections import Counter
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.machine.compiling import compile_blocks
from growsearch.machine.files import replacing
from growsearch.machine.randomness import derived_seed
from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.tasks.seed_models import built
from growsearch.tasks.task import Task
from growsearch.training.apart import apart_parameters
from growsearch.training.gradients import Gradients, gradients_on
from growsearch.training.param_groups import note_multiples
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import FINE_TUNING, INITIALIZING, TRAINING, EpochRecord, History
from growsearch.trial.options import shortened

_CONTENTS = {
    "architecture", "network", "optimizer", "apart_optimizer", "phase", "lipschitz_vectors",
}  # fmt: skip
"""What `TrainState.contents` has."""


@dataclass
class TrainState:
    """The training state between epochs. No random state: draws depend on (seed, epoch)."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    architecture: Architecture
    apart_optimizer: torch.optim.Optimizer | None = None
    """For the epochs that initialize new blocks, if these have one of their own."""
    phase: str = TRAINING
    """Phase of the next epoch."""
    history: History = field(default_factory=History)
    lipschitz_vectors: dict[str, Tensor] = field(default_factory=dict)
    """What the task's Lipschitz constants keep from epoch to epoch, by the name of a module."""
    gradients: Gradients = field(init=False)
    """Computes the gradients of a step that trains the whole network."""

    def __post_init__(self) -> None:
        self.gradients = gradients_on(next(self.network.parameters()).device)

    @classmethod
    def initial(cls, task: Task) -> "TrainState":
        """The state before the first epoch."""
        architecture = Architecture(task.trial.architecture)
        network = new_network(task, architecture)
        return cls(network, new_optimizer(task, network), architecture)

    def save(self, path: Path, task: Task, root: str) -> None:
        """Writes the state to `path`, whole or not at all; `root` is the last epoch's root key.

        What describes the task's data is written too.
        """
        contents = self.contents() | {
            "root": root,
            "data": task.description(),
            "config": task.trial.to_flat(),
            "history": [record.to_dict() for record in self.history],
        }
        with replacing(path) as unfinished:
            save_tensors(contents, unfinished)

    def contents(self) -> dict[str, Any]:
        """The state without its history, as tensors, numbers and strings."""
        return {
            "architecture": str(self.architecture),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "apart_optimizer": self.apart_optimizer and self.apart_optimizer.state_dict(),
            "phase": self.phase,
            "lipschitz_vectors": self.lipschitz_vectors,
        }

    @classmethod
    def restored(cls, contents: dict[str, Any], history: History, task: Task) -> "TrainState":
        """The state with `contents`, after `history`, on the task's device.

        Raises RuntimeError if they lack a parameter of the network, or have another one, or a state
        of the optimizer that is none of its parameter's.
        """
        architecture = Architecture(contents["architecture"])
        # built as at its growth: what `build` draws and the state dict lacks is the same again
        is_new = bool(history) and str(architecture) != history[-1].architecture
        earlier = history if is_new else History(history[:-1])
        network = new_network(task, architecture, earlier.last_growth)
        network.load_state_dict(contents["network"])
        optimizer = new_optimizer(task, network)
        _load(optimizer, contents["optimizer"])
        vectors = {name: v.to(task.device) for name, v in contents["lipschitz_vectors"].items()}
        state = cls(network, optimizer, architecture, None, TRAINING, history, vectors)
        state.enter(contents["phase"], task.trial)
        if state.apart_optimizer is not None:
            _load(state.apart_optimizer, contents["apart_optimizer"])
        return state

    def enter(self, phase: str, config: TrialConfig) -> None:
        """Prepares the state for an epoch of `phase`."""
        if phase != INITIALIZING:
            self.apart_optimizer = None
        elif self.apart_optimizer is None and config.initializer is not None:
            parameters = apart_parameters(self.network, self.architecture, self.history, config)
            self.apart_optimizer = config.initializer.apart_optimizer(parameters)
        self.phase = phase


_OF_ELEMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "sum")
"""What torch's optimizers keep for each element of a parameter; Muon keeps it of a matrix."""


def _load(optimizer: torch.optim.Optimizer, contents: dict[str, Any]) -> None:
    """Loads what `state_dict` has returned.

    Raises RuntimeError if a tensor is of another shape. torch does not look: its fused steps then
    read and write beyond the tensor's memory. Where torch takes no steps any shape may be right.
    """
    by_torch = _steps_by_torch(optimizer)
    optimizer.load_state_dict(contents)
    if not by_torch:
        return
    for parameter, kept in optimizer.state.items():
        if "step" in kept and torch.as_tensor(kept["step"]).numel() != 1:
            raise RuntimeError("the step of a parameter's optimizer state is no number")
        for name in _OF_ELEMENTS:
            value = kept.get(name)
            if value is None:
                continue
            like = parameter if value.shape == parameter.shape else parameter.detach().flatten(1)
            if value.shape != like.shape:
                raise RuntimeError(
                    f"{name} of shape {tuple(value.shape)} is not of a parameter of shape "
                    f"{tuple(parameter.shape)}"
                )
            if value.stride() != like.stride():
                kept[name] = torch.empty_like(like, dtype=value.dtype).copy_(value)


def _steps_by_torch(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer of torch may take the steps: by inheritance, or with its groups."""
    bases = set(type(optimizer).__mro__) - {torch.optim.Optimizer, object}
    ours = any(base.__module__.partition(".")[0] in ("torch", "growsearch") for base in bases)
    return ours or any("fused" in group for group in optimizer.param_groups)


def read_state(path: Path) -> tuple[TrialConfig, History, dict[str, Any]]:
    """Configuration, history and contents of a file that `TrainState.save` wrote.

    Raises InputError for any other file.
    """
    try:
        contents = load_tensors(path)
    except Exception as error:  # of many types
        raise InputError(
            f"{str(path)!r} is not a saved state ({one_line(error)[:200]}); give the "
            "state.safetensors that train wrote"
        ) from error
    try:
        history = History(EpochRecord(**record) for record in contents.pop("history"))
        given = dict(contents.pop("config"))
        missing = _CONTENTS - set(contents)
        if missing or contents["phase"] not in (TRAINING, INITIALIZING, FINE_TUNING):
            lacking = f"it lacks {', '.join(sorted(missing))}"
            raise ValueError(lacking if missing else f"its phase is {contents['phase']!r:.100}")
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"{str(path)!r} is damaged ({type(error).__name__}: {one_line(error)[:200]}); restore "
            "it from a copy"
        ) from error
    try:
        return TrialConfig.from_flat(given), history, contents
    except InputError as error:
        raise InputError(
            f"the trial of {str(path)!r} cannot be made ({error}); if a plugin has its components, "
            "load it first, by --plugin FILE (in Python: growsearch.load_plugins([FILE]))"
        ) from error


def new_network(task: Task, architecture: Architecture, epoch: int = 0) -> nn.Module:
    """The network of `architecture` that a trial starts with, or grows to after `epoch` epochs.

    Raises InputError if the task's `build` does not make such a network.
    """
    config = task.trial
    network = built(task, architecture, derived_seed(config.seed, epoch, "weights"))
    network.to(task.device)
    if config.compile == "on":
        compile_blocks(chain.from_iterable(task.blocks(network)))
    return network


def new_optimizer(task: Task, network: nn.Module) -> torch.optim.Optimizer:
    """The task's optimizer of all parameters of `network`.

    Raises InputError if it is none that growsearch can step, or if a parameter is in none of its
    groups, or in two.
    """
    optimizer, named = task.optimizer(network), f"optimizer of task {task.name!r}"
    if type(task).optimizer is Task.optimizer:
        named = f"optimizer {task.trial.optimizer.name!r}"
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"{named} is built as {shortened(optimizer)}; return a torch.optim.Optimizer of the "
            "parameters"
        )
    try:
        signature(optimizer.step).bind()
    except TypeError as error:
        raise InputError(
            f"{named} is built as {type(optimizer).__name__}, whose step cannot be taken "
            f"({error}); return one whose step needs no closure"
        ) from error
    counts = Counter(id(p) for group in optimizer.param_groups for p in group["params"])
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and counts[id(parameter)] != 1:
            where = "two groups" if counts[id(parameter)] else "no group"
            raise InputError(
                f"{named} has parameter {name!r} in {where}; give it each parameter of the model "
                "once"
            )
    trial = task.trial
    return note_multiples(optimizer, lr=trial.lr, weight_decay=trial.weight_decay)
