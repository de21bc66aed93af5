"""The training state: everything but the configuration that the next epoch depends on."""

import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growsearch.machine.compiling import compile_blocks
from growsearch.machine.randomness import derived_seed
from growsearch.tasks.images.blocks import StepSize
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.networks import GrowableNetwork, build_network
from growsearch.training.apart import apart_parameters
from growsearch.training.gradients import Gradients, gradients_on
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import INITIALIZING, TRAINING, EpochRecord, History


@dataclass
class TrainState:
    """The training state between epochs. No random state: draws depend on (seed, epoch)."""

    network: GrowableNetwork
    optimizer: torch.optim.Optimizer
    apart_optimizer: torch.optim.Optimizer | None = None
    """For the epochs that initialize new blocks, if these have one of their own."""
    phase: str = TRAINING
    """Phase of the next epoch."""
    history: History = field(default_factory=History)
    lipschitz_vectors: dict[str, Tensor] = field(default_factory=dict)
    """Singular vectors of the blocks' convolutions, by layer name; see lipschitz.py."""
    gradients: Gradients = field(init=False)
    """Computes the gradients of a step that trains the whole network."""

    def __post_init__(self) -> None:
        self.gradients = gradients_on(next(self.network.parameters()).device)

    @property
    def architecture(self) -> Architecture:
        return self.network.architecture

    @classmethod
    def initial(cls, config: TrialConfig, dataset: Dataset, device: torch.device) -> "TrainState":
        """The state before the first epoch."""
        architecture = Architecture(config.architecture)
        network = new_network(config, dataset, architecture, device)
        return cls(network, new_optimizer(config, network))

    def save(self, path: Path, config: TrialConfig, root: str, dataset: Dataset) -> None:
        """Writes the state to `path`, whole or not at all; `root` is the last epoch's root key.

        `dataset` is what the trial trains on: its digest and normalization are written.
        """
        contents = self.contents() | {
            "root": root,
            "data": dataset.description,
            "config": config.to_flat(),
            "history": [record.to_dict() for record in self.history],
        }
        unfinished = path.with_name(path.name + ".unfinished")
        torch.save(contents, unfinished)
        os.replace(unfinished, path)

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
    def restored(
        cls, contents: dict[str, Any], history: History, config: TrialConfig, dataset: Dataset,
        device: torch.device,
    ) -> "TrainState":  # fmt: skip
        """The state with `contents`, after `history`, on `device`.

        Raises RuntimeError if they lack a parameter of the network, or have another one.
        """
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
        """Prepares the state for an epoch of `phase`."""
        if phase != INITIALIZING:
            self.apart_optimizer = None
        elif self.apart_optimizer is None and config.initializer is not None:
            parameters = apart_parameters(self.network, self.history, config)
            self.apart_optimizer = config.initializer.apart_optimizer(parameters)
        self.phase = phase


def read_state(path: Path) -> tuple[TrialConfig, History, dict[str, Any]]:
    """Configuration, history and contents of a file that `TrainState.save` wrote.

    Raises InputError for any other file.
    """
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types
        raise InputError(
            f"{str(path)!r} is not a saved state ({one_line(error)[:200]}); give the state.pt that "
            "train wrote"
        ) from error
    history = History(EpochRecord(**record) for record in contents.pop("history"))
    return TrialConfig.from_flat(contents.pop("config")), history, contents


def new_network(
    config: TrialConfig, dataset: Dataset, architecture: Architecture, device: torch.device,
    epoch: int = 0,
) -> GrowableNetwork:  # fmt: skip
    """The network of `architecture` that a trial starts with, or grows to after `epoch` epochs."""
    depths = zip(Architecture(config.architecture).blocks, architecture.blocks, strict=True)
    # the product of N/N+ over all growths is the first N over the last N+
    network = build_network(
        config.network, architecture, dataset.image_shape, dataset.classes,
        derived_seed(config.seed, epoch, "weights"),
        steps=[_step_size(config, n_seed / n) for n_seed, n in depths],
        bn_gamma_init=config.bn_gamma_init,
    )  # fmt: skip
    # channels-last convolutions are faster, on CPUs too
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.compile == "on":
        compile_blocks(chain.from_iterable(network.blocks))
    return network


def _step_size(config: TrialConfig, step: float) -> StepSize:
    if config.initializer is None:
        return StepSize()
    implicit, explicit = config.initializer.step_sizes(step)
    return StepSize(implicit, explicit)


def new_optimizer(config: TrialConfig, network: GrowableNetwork) -> torch.optim.Optimizer:
    """The trial's optimizer of all parameters of `network`."""
    return config.optimizer.build(network.parameters(), config.lr, config.weight_decay)
