"""Everything an epoch depends on besides the configuration, and its strict saving and loading."""

import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growsearch.machine.compiling import compile_blocks
from growsearch.machine.randomness import derived_seed
from growsearch.schedules.rates import ADAM_LR
from growsearch.tasks.images.blocks import StepSize
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.families import GrowableNetwork, build_network
from growsearch.training.gradients import Gradients, gradients_on
from growsearch.training.new_blocks import apart_parameters
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import INITIALIZING, TRAINING, EpochRecord, History

MOMENTUM = 0.9


@dataclass
class TrainState:
    """What one epoch hands to the next. No random state: draws come from (seed, epoch)."""

    network: GrowableNetwork
    optimizer: torch.optim.SGD
    apart_optimizer: torch.optim.Adam | None = None
    """For the epochs that initialize new blocks, with initializer adam."""
    phase: str = TRAINING
    """Of the epoch to come."""
    history: History = field(default_factory=History)
    lipschitz_vectors: dict[str, Tensor] = field(default_factory=dict)
    """Singular vectors of the blocks' convolutions, by name; see lipschitz.py."""
    gradients: Gradients = field(init=False)
    """Of the whole network."""

    def __post_init__(self) -> None:
        self.gradients = gradients_on(next(self.network.parameters()).device)

    @property
    def architecture(self) -> Architecture:
        return self.network.architecture

    @classmethod
    def initial(cls, config: TrialConfig, dataset: Dataset, device: torch.device) -> "TrainState":
        architecture = Architecture(config.architecture)
        network = new_network(config, dataset, architecture, device)
        return cls(network, new_optimizer(config, network))

    def save(self, path: Path, config: TrialConfig, root: str) -> None:
        """Write the state to `path` at once or not at all; `root` is the last epoch's."""
        contents = self.contents() | {
            "root": root,
            "config": config.to_flat(),
            "history": [record.to_dict() for record in self.history],
        }
        unfinished = path.with_name(path.name + ".unfinished")
        torch.save(contents, unfinished)
        os.replace(unfinished, path)

    def contents(self) -> dict[str, Any]:
        """All but the history, of tensors, numbers and strings."""
        return {
            "architecture": str(self.architecture),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "apart_optimizer": self.apart_optimizer and self.apart_optimizer.state_dict(),
            "phase": self.phase,
            "lipschitz_vectors": self.lipschitz_vectors,
        }

    @classmethod
    def restored(
        cls, contents: dict[str, Any], history: History, config: TrialConfig, dataset: Dataset,
        device: torch.device,
    ) -> "TrainState":  # fmt: skip
        """The state of those contents, after `history`."""
        architecture = Architecture(contents["architecture"])
        network = new_network(config, dataset, architecture, device)
        network.load_state_dict(contents["network"])
        optimizer = new_optimizer(config, network)
        optimizer.load_state_dict(contents["optimizer"])
        vectors = {name: v.to(device) for name, v in contents["lipschitz_vectors"].items()}
        state = cls(network, optimizer, None, TRAINING, history, vectors)
        state.enter(contents["phase"], config)
        if state.apart_optimizer is not None:
            state.apart_optimizer.load_state_dict(contents["apart_optimizer"])
        return state

    def enter(self, phase: str, config: TrialConfig) -> None:
        """Make ready for an epoch of `phase`."""
        if phase != INITIALIZING:
            self.apart_optimizer = None
        elif self.apart_optimizer is None and config.initializer == "adam":
            parameters = apart_parameters(self.network, self.history, config)
            self.apart_optimizer = torch.optim.Adam(parameters, lr=ADAM_LR)
        self.phase = phase


def read_state(path: Path) -> tuple[TrialConfig, History, dict[str, Any]]:
    """Configuration, history and contents of a file that `TrainState.save` wrote.

    Raises InputError for any other file.
    """
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of another file, or of none
        raise InputError(
            f"{str(path)!r} is not a saved state ({one_line(error)[:200]}); give the state.pt that "
            "train left"
        ) from error
    history = History(EpochRecord(**record) for record in contents.pop("history"))
    return TrialConfig.from_flat(contents.pop("config")), history, contents


def new_network(
    config: TrialConfig, dataset: Dataset, architecture: Architecture, device: torch.device,
    epoch: int = 0,
) -> GrowableNetwork:  # fmt: skip
    """A network that the trial has from the start, or grows to after `epoch` epochs."""
    depths = zip(Architecture(config.architecture).blocks, architecture.blocks, strict=True)
    # the factors N/N+ of the growths so far leave their first N over their last N+
    network = build_network(
        config.network, architecture, dataset.image_shape, dataset.classes,
        derived_seed(config.seed, epoch, "weights"),
        steps=[_step_size(config.scaling, n_seed / n) for n_seed, n in depths],
        bn_gamma_init=config.bn_gamma_init,
    )  # fmt: skip
    # channels-last convolutions are the faster ones, on CPUs too
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.compile == "on":
        compile_blocks(chain.from_iterable(network.blocks))
    return network


def _step_size(scaling: str | None, step: float) -> StepSize:
    return StepSize(
        implicit=step if scaling == "paper" else 1.0,
        explicit=step if scaling == "step-size" else 1.0,
    )


def new_optimizer(config: TrialConfig, network: GrowableNetwork) -> torch.optim.SGD:
    """SGD with momentum and with weight decay on all parameters (LipGrow, section 5.2)."""
    return torch.optim.SGD(
        network.parameters(),
        lr=config.lr,
        momentum=MOMENTUM,
        weight_decay=config.weight_decay,
        foreach=True,  # the same bits in less time, on CPUs too
    )
