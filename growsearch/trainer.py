"""The only training loop: iterate over a Trainer, get an EpochRecord an epoch."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from growsearch.config import TrialConfig
from growsearch.costs import count_parameters
from growsearch.data import Images, load_dataset
from growsearch.errors import InputError
from growsearch.growth import grow
from growsearch.growth_policies import Grow, decide
from growsearch.history import EpochRecord, History
from growsearch.lipschitz import lipschitz_constant
from growsearch.lr_schedules import adaptive_cosine
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
        dataset = load_dataset(config.dataset, config.data_dir)
        if config.train_size is not None:
            dataset = dataset.subset(config.train_size, config.seed)
        self.dataset = dataset.to(device)
        if saved is None:
            self.state = TrainState.initial(config, self.dataset, device)
        else:
            self.state = TrainState.restored(saved, config, self.dataset, device)
        self.decision: Grow | None = None
        """What the policy decided after the last epoch."""

    @classmethod
    def load(cls, path: str | Path) -> "Trainer":
        """A trainer that goes on from what `save` wrote, as if it had never stopped."""
        config, contents = read_state(Path(path))
        return cls(config, saved=contents)

    def save(self, path: str | Path) -> None:
        self.state.save(Path(path), self.config)

    @property
    def history(self) -> History:
        return self.state.history

    @property
    def finished(self) -> bool:
        return bool(self.history) and self.history[-1].status != "running"

    def __next__(self) -> EpochRecord:
        if self.finished:
            raise StopIteration
        record = self._epoch()
        if record.status == "running":
            self.decision = decide(self.config, self.history.plus(record))
        else:
            self.decision = None
        record = replace(record, grew=self.decision is not None)
        self.state.history = self.history.plus(record)
        if self.decision is not None:
            self.state = grow(self.state, self.decision.architecture, self.config, self.dataset)
        return record

    def _epoch(self) -> EpochRecord:
        started = time.perf_counter()
        config, network, history = self.config, self.state.network, self.history
        lr = adaptive_cosine(
            len(history), last_growth=history.last_growth, epochs=config.epochs, lr_max=config.lr
        )
        train_loss = self._train(lr)
        val_loss, val_accuracy = self._evaluate(self.dataset.val)
        _, test_accuracy = self._evaluate(self.dataset.test)
        lipschitz = lipschitz_constant(
            network, self.dataset.image_shape[1:], self.state.lipschitz_vectors, config.seed
        )
        epoch = len(history) + 1
        parameters = count_parameters(network)
        param_epochs = parameters + (history[-1].param_epochs if history else 0)
        if not all(map(math.isfinite, (train_loss, val_loss, lipschitz))):
            status = "diverged"
        else:
            status = "completed" if epoch == config.epochs else "running"
        return EpochRecord(
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
            lipschitz=lipschitz,
            grew=False,
            seconds=time.perf_counter() - started,
            status=status,
        )

    def _train(self, lr: float) -> float:
        """One pass over the training images; their mean loss while training."""
        network, optimizer = self.state.network, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = lr
        network.train()
        total = torch.zeros((), dtype=torch.float64, device=self.dataset.train.labels.device)
        for batch in self.dataset.training_batches(
            self.config.batch_size, self.config.seed, epoch=len(self.history) + 1
        ):
            loss = F.cross_entropy(network(batch.images), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        return float(total) / len(self.dataset.train)

    @torch.no_grad()
    def _evaluate(self, split: Images) -> tuple[float, float]:
        """Mean loss and accuracy in percent."""
        network = self.state.network.eval()
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
