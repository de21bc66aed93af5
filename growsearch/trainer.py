"""The only training loop: iterate over a Trainer, get an EpochRecord an epoch."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.costs import count_parameters
from growsearch.data import Images, load_dataset
from growsearch.errors import InputError
from growsearch.growth import grow
from growsearch.growth_policies import Grow, decide
from growsearch.history import EpochRecord, History
from growsearch.initializers import new_parameters
from growsearch.lipschitz import LipschitzConstants, lipschitz_constants
from growsearch.lr_schedules import learning_rate
from growsearch.networks import ResidualNetwork
from growsearch.theory import measure_growth
from growsearch.train_state import TrainState, read_state

EVALUATION_BATCH = 500


class Trainer(Iterator[EpochRecord]):
    """One trial. Each step of the iteration trains an epoch, and grows the network if it is due.

    >>> for record in Trainer(TrialConfig(epochs=30)):
    ...     print(record.epoch, record.architecture, record.val_accuracy)

    Stopping early is to stop iterating. Equal configurations give equal records on one machine
    and number of threads. Raises InputError if data or device are not there.
    """

    def __init__(self, config: TrialConfig, *, saved: dict[str, Any] | None = None) -> None:
        self.config = config
        device = _device(config.device)
        dataset = load_dataset(config.dataset, config.data_dir, config.split)
        if config.train_size is not None:
            dataset = dataset.subset(config.train_size, config.seed)
        self.dataset = dataset.to(device)
        if saved is None:
            self.state = TrainState.initial(config, self.dataset, device)
        else:
            self.state = TrainState.restored(saved, config, self.dataset, device)
        self._in_epoch = False
        self.decision: Grow | None = None
        """What the policy decided after the last epoch."""

    @classmethod
    def load(cls, path: str | Path) -> "Trainer":
        """A trainer that goes on from what `save` wrote, as if it had never stopped."""
        config, contents = read_state(Path(path))
        return cls(config, saved=contents)

    def save(self, path: str | Path) -> None:
        """Write what `load` goes on from; InputError if an epoch was interrupted in its middle."""
        self._check_between_epochs()
        self.state.save(Path(path), self.config)

    def _check_between_epochs(self) -> None:
        if self._in_epoch:
            raise InputError(
                f"epoch {len(self.history) + 1} was interrupted and its weights are half trained; "
                "go on from the last saved state with Trainer.load, or start again"
            )

    @property
    def history(self) -> History:
        return self.state.history

    @property
    def finished(self) -> bool:
        return bool(self.history) and self.history[-1].status != "running"

    def __next__(self) -> EpochRecord:
        if self.finished:
            raise StopIteration
        self._check_between_epochs()
        self._in_epoch = True
        started = time.perf_counter()
        record, constants = self._epoch()
        running = record.status == "running"
        self.decision = decide(self.config, self.history.plus(record)) if running else None
        grown = None
        if self.decision is not None:
            grown, record = self._grown(record, constants, self.decision)
        record = replace(record, seconds=time.perf_counter() - started)
        history = self.history.plus(record)
        self.state = grown or self.state
        self.state.history = history
        self._in_epoch = False
        return record

    def _epoch(self) -> tuple[EpochRecord, LipschitzConstants]:
        config, network, history = self.config, self.state.network, self.history
        lr = learning_rate(config, history)
        started = time.perf_counter()
        train_loss = self._train(lr)
        trained = time.perf_counter()
        val_loss, val_accuracy = self._evaluate(network, self.dataset.val)
        _, test_accuracy = self._evaluate(network, self.dataset.test)
        evaluated = time.perf_counter()
        constants = lipschitz_constants(
            network, self.dataset.image_shape[1:], self.state.lipschitz_vectors, config.seed,
            settled=bool(history) and not history[-1].grew,
        )  # fmt: skip
        measured = time.perf_counter()
        epoch = len(history) + 1
        parameters = count_parameters(network)
        param_epochs = parameters + (history[-1].param_epochs if history else 0)
        if not all(map(math.isfinite, (train_loss, val_loss, constants.mean))):
            status = "diverged"
        else:
            status = "completed" if epoch == config.epochs else "running"
        detail = config.record_lipschitz
        record = EpochRecord(
            epoch=epoch,
            architecture=str(self.state.architecture),
            parameters=parameters,
            param_epochs=param_epochs,
            ppe=param_epochs / epoch,
            lr=lr,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            test_accuracy=test_accuracy,
            lipschitz=constants.mean,
            lipschitz_subnetworks=constants.subnetworks,
            lipschitz_blocks=constants.blocks if detail in ("blocks", "layers") else None,
            lipschitz_layers=constants.layers if detail == "layers" else None,
            grew=False,
            grown_val_loss=None,
            grown_val_accuracy=None,
            temporal_error=None,
            functional_difference=None,
            temporal_bound=None,
            seconds=measured - started,
            train_seconds=trained - started,
            eval_seconds=evaluated - trained,
            lipschitz_seconds=measured - evaluated,
            status=status,
        )
        return record, constants

    def _grown(
        self, record: EpochRecord, constants: LipschitzConstants, decision: Grow
    ) -> tuple[TrainState, EpochRecord]:
        """The state after the growth, and the record with what the growth did."""
        old = self.state
        grown = grow(old, decision.architecture, self.config, self.dataset, record.epoch)
        images = next(self.dataset.evaluation_batches(self.dataset.val, EVALUATION_BATCH)).images
        measures = measure_growth(old.network, grown.network, constants, images)
        val_loss, val_accuracy = self._evaluate(grown.network, self.dataset.val)
        return grown, replace(
            record,
            grew=True,
            grown_val_loss=val_loss,
            grown_val_accuracy=val_accuracy,
            temporal_error=measures.temporal_error,
            functional_difference=measures.functional_difference,
            temporal_bound=measures.temporal_bound,
        )

    def _train(self, lr: float) -> float:
        """One pass over the training images; their mean loss while training."""
        network, optimizer = self.state.network, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = lr
        network.train()
        self._freeze_old_blocks()
        total = torch.zeros((), dtype=torch.float64, device=self.dataset.train.labels.device)
        for batch in self.dataset.training_batches(
            self.config.batch_size, self.config.seed, epoch=len(self.history) + 1
        ):
            loss = F.cross_entropy(network(batch.images), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        network.requires_grad_(True)
        return float(total) / len(self.dataset.train)

    def _freeze_old_blocks(self) -> None:
        """With initializer "partial", the epoch after a growth trains the new blocks alone."""
        if self.config.initializer != "partial" or not self.history or not self.history[-1].grew:
            return
        old = Architecture(self.history[-1].architecture)
        new = new_parameters(old, self.state.network, self.config.initializer)
        for name, parameter in self.state.network.named_parameters():
            parameter.requires_grad_(name in new)

    @torch.no_grad()
    def _evaluate(self, network: ResidualNetwork, split: Images) -> tuple[float, float]:
        """Mean loss and accuracy in percent."""
        network.eval()
        total = torch.zeros(2, dtype=torch.float64, device=split.labels.device)
        for batch in self.dataset.evaluation_batches(split, EVALUATION_BATCH):
            logits = network(batch.images)
            total[0] += F.cross_entropy(logits, batch.labels, reduction="sum")
            total[1] += (logits.argmax(dim=1) == batch.labels).sum()
        loss, accuracy = (total / len(split)).tolist()
        return loss, 100 * accuracy


def _device(name: str) -> torch.device:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device 'cuda' was asked for, but torch finds none; use auto or cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda")
