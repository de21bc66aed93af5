"""The only training loop: iterate over a Trainer, get an EpochRecord an epoch."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.config import TrialConfig
from growsearch.costs import FLOPS_PER_MAC, count_macs, count_parameters
from growsearch.data import Split, load_trial_dataset
from growsearch.decisions import Decision, Grow, completes, next_phase
from growsearch.errors import InputError
from growsearch.growth import grow
from growsearch.growth_policies import decide
from growsearch.history import INITIALIZING, EpochRecord, History
from growsearch.initializing import only_new_blocks
from growsearch.lipschitz import LipschitzConstants, lipschitz_constants
from growsearch.lr_schedules import learning_rate
from growsearch.networks import GrowableNetwork
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
        self.dataset = load_trial_dataset(config).to(device)
        if saved is None:
            self.state = TrainState.initial(config, self.dataset, device)
        else:
            self.state = TrainState.restored(saved, config, self.dataset, device)
        self._in_epoch = False
        self.decision: Decision | None = None
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
        history = self.history.plus(record)
        if record.status == "running" and completes(self.config, history):
            record = replace(record, status="completed")
        self.decision = decide(self.config, history) if record.status == "running" else None
        state = self.state
        if isinstance(self.decision, Grow):
            state, record = self._grown(record, constants, self.decision)
        record = replace(record, seconds=time.perf_counter() - started)
        state.history = self.history.plus(record)
        state.enter(next_phase(self.config, state.history, self.decision), self.config)
        self.state = state
        self._in_epoch = False
        return record

    def _epoch(self) -> tuple[EpochRecord, LipschitzConstants]:
        config, network, history = self.config, self.state.network, self.history
        lr = learning_rate(config, history, self.state.phase)
        started = time.perf_counter()
        train_loss, train_accuracy = self._train(lr)
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
        macs = self._macs()
        train_flops = float(FLOPS_PER_MAC * macs * len(self.dataset.train))
        train_flops += history[-1].train_flops if history else 0
        finite = all(map(math.isfinite, (train_loss, val_loss, constants.mean)))
        detail = config.record_lipschitz
        record = EpochRecord(
            epoch=epoch,
            phase=self.state.phase,
            architecture=str(self.state.architecture),
            parameters=parameters,
            param_epochs=param_epochs,
            ppe=param_epochs / epoch,
            macs=macs,
            train_flops=train_flops,
            lr=lr,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
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
            growth_seconds=0.0,
            status="running" if finite else "diverged",
        )
        return record, constants

    def _macs(self) -> int:
        """Counted once for each architecture."""
        if self.history and self.history[-1].architecture == str(self.state.architecture):
            return self.history[-1].macs
        return count_macs(self.state.network, self.dataset.image_shape)

    def _grown(
        self, record: EpochRecord, constants: LipschitzConstants, decision: Grow
    ) -> tuple[TrainState, EpochRecord]:
        """The state after the growth, and the record with what the growth did."""
        old, started = self.state, time.perf_counter()
        grown = grow(old, decision.architecture, self.config, self.dataset, record.epoch)
        done = time.perf_counter()
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
            growth_seconds=done - started,
            eval_seconds=record.eval_seconds + time.perf_counter() - done,
        )

    def _train(self, lr: float) -> tuple[float, float]:
        """One pass over the training images; mean loss and accuracy in percent while training."""
        state, config = self.state, self.config
        network, optimizer = state.network, state.apart_optimizer or state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = lr
        network.train()
        apart = state.phase == INITIALIZING
        total = torch.zeros(2, dtype=torch.float64, device=self.dataset.train.labels.device)
        with only_new_blocks(network, state.history, config) if apart else nullcontext():
            for batch in self.dataset.training_batches(
                config.batch_size, config.seed, epoch=len(state.history) + 1
            ):
                logits = network(batch.images)
                loss = F.cross_entropy(logits, batch.labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total[0] += loss.detach() * len(batch)
                total[1] += (logits.argmax(dim=1) == batch.labels).sum()
        return _mean_loss_and_percent(total, len(self.dataset.train))

    @torch.no_grad()
    def _evaluate(self, network: GrowableNetwork, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy in percent."""
        network.eval()
        total = torch.zeros(2, dtype=torch.float64, device=split.labels.device)
        for batch in self.dataset.evaluation_batches(split, EVALUATION_BATCH):
            logits = network(batch.images)
            total[0] += F.cross_entropy(logits, batch.labels, reduction="sum")
            total[1] += (logits.argmax(dim=1) == batch.labels).sum()
        return _mean_loss_and_percent(total, len(split))


def _mean_loss_and_percent(total: Tensor, images: int) -> tuple[float, float]:
    """Of the summed losses and the number of images that were classified right."""
    loss, right = total.tolist()
    # rounded once: AutoGrow's tau is compared with differences of these
    return loss / images, 100 * right / images


def _device(name: str) -> torch.device:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device 'cuda' was asked for, but torch finds none; use auto or cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda")
