"""One epoch, and one growth: the change of the training state and its measurements."""

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.growth.lipschitz import LipschitzConstants, lipschitz_constants
from growsearch.growth.measures import measure_growth
from growsearch.machine.compiling import uncompiled
from growsearch.machine.devices import Stopwatch
from growsearch.machine.precision import autocast
from growsearch.machine.processes import ranks
from growsearch.tasks.images.costs import count_macs, count_parameters
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.flops import FLOPS_PER_MAC
from growsearch.tasks.images.images import Split
from growsearch.tasks.images.networks import GrowableNetwork
from growsearch.training.apart import only_new_blocks
from growsearch.training.gradients import eager_gradients
from growsearch.training.growth import grow
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import INITIALIZING, EpochRecord
from growsearch.trial.rates import Rates
from growsearch.trial.status import Status

EVALUATION_BATCH = 500
"""Images of an evaluation batch, and images that a growth is measured on."""


def run_epoch(
    state: TrainState, taken: Rates, config: TrialConfig, dataset: Dataset
) -> tuple[EpochRecord, LipschitzConstants]:
    """Trains `state` for an epoch and measures it; returns the record and Lipschitz constants.

    The record has status RUNNING or DIVERGED, and no growth or key yet. It is not added to the
    state's history.
    """
    network, history = state.network, state.history
    watch = Stopwatch(dataset.train.labels.device)
    train_loss, train_accuracy = train_epoch(state, taken, config, dataset)
    train_seconds = watch.lap()
    val_loss, val_accuracy = evaluate(network, dataset, dataset.val, config.precision)
    test_accuracy = val_accuracy
    if dataset.test is not dataset.val:
        _, test_accuracy = evaluate(network, dataset, dataset.test, config.precision)
    eval_seconds = watch.lap()
    constants = _lipschitz(state, config, dataset)
    lipschitz_seconds = watch.lap()
    epoch = len(history) + 1
    parameters = count_parameters(network)
    param_epochs = parameters + (history[-1].param_epochs if history else 0)
    macs = _macs(state, dataset)
    train_flops = float(FLOPS_PER_MAC * macs * len(dataset.train))
    train_flops += history[-1].train_flops if history else 0
    finite = all(map(math.isfinite, (train_loss, val_loss, constants.mean)))
    record = EpochRecord(
        epoch=epoch,
        architecture=str(state.architecture),
        parameters=parameters,
        param_epochs=param_epochs,
        ppe=param_epochs / epoch,
        lr=taken.lr,
        train_loss=train_loss,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        test_accuracy=test_accuracy,
        lipschitz=constants.mean,
        grew=False,
        seconds=train_seconds + eval_seconds + lipschitz_seconds,
        status=Status.RUNNING if finite else Status.DIVERGED,
        phase=state.phase,
        train_accuracy=train_accuracy,
        macs=macs,
        decision=None,
        key="",
        precision=config.precision,
        compiled=config.compile == "on",
        reused=False,
        train_flops=train_flops,
        lipschitz_subnetworks=constants.subnetworks,
        **lipschitz_details(constants, config),
        train_seconds=train_seconds,
        eval_seconds=eval_seconds,
        lipschitz_seconds=lipschitz_seconds,
        growth_seconds=0.0,
        grown_val_loss=None,
        grown_val_accuracy=None,
        temporal_error=None,
        functional_difference=None,
        temporal_bound=None,
    )
    return ranks().same((record, constants))


def retrain(state: TrainState, taken: Rates, config: TrialConfig, dataset: Dataset) -> None:
    """Trains `state` for an epoch whose record is known: `run_epoch` without its measurements."""
    train_epoch(state, taken, config, dataset)
    _lipschitz(state, config, dataset)  # it updates vectors of the state


def lipschitz_details(constants: LipschitzConstants, config: TrialConfig) -> dict[str, Any]:
    """The record's fields for blocks and layers; None unless `record_lipschitz` includes them."""
    detail = config.record_lipschitz
    return {
        "lipschitz_blocks": constants.blocks if detail in ("blocks", "layers") else None,
        "lipschitz_layers": constants.layers if detail == "layers" else None,
    }


def run_growth(
    state: TrainState, record: EpochRecord, constants: LipschitzConstants,
    architecture: Architecture, config: TrialConfig, dataset: Dataset,
) -> tuple[TrainState, EpochRecord]:  # fmt: skip
    """Grows `state` after the epoch of `record`; returns the new state and completed record.

    `constants` are the Lipschitz constants of `state`. If memory runs out in one process, every
    process raises an out-of-memory error.
    """
    watch = Stopwatch(dataset.train.labels.device)
    processes = ranks()
    grown = processes.all_or_none(lambda: grow(state, architecture, config, dataset, record.epoch))
    growth_seconds = watch.lap()
    images = next(dataset.evaluation_batches(dataset.val, EVALUATION_BATCH)).images
    measures = measure_growth(state.network, grown.network, constants, images)
    val_loss, val_accuracy = evaluate(grown.network, dataset, dataset.val, config.precision)
    record = replace(
        record,
        grew=True,
        grown_val_loss=val_loss,
        grown_val_accuracy=val_accuracy,
        temporal_error=measures.temporal_error,
        functional_difference=measures.functional_difference,
        temporal_bound=measures.temporal_bound,
        growth_seconds=growth_seconds,
        eval_seconds=record.eval_seconds + watch.lap(),
    )
    return grown, processes.same(record)


@uncompiled()
@torch.no_grad()
def evaluate(
    network: GrowableNetwork, dataset: Dataset, split: Split, precision: str
) -> tuple[float, float]:
    """Mean loss, and accuracy in percent, on the images of `split`, over all processes."""
    network.eval()
    total = torch.zeros(2, dtype=torch.float64, device=split.labels.device)
    processes = ranks()
    mine = split if processes.count == 1 else split[processes.share(len(split))]
    for batch in dataset.evaluation_batches(mine, EVALUATION_BATCH):
        with autocast(precision, batch.images.device):
            logits = network(batch.images)
        total[0] += F.cross_entropy(logits, batch.labels, reduction="sum")
        total[1] += (logits.argmax(dim=1) == batch.labels).sum()
    return _mean_loss_and_percent(processes.total(total), len(split))


def train_epoch(
    state: TrainState, taken: Rates, config: TrialConfig, dataset: Dataset
) -> tuple[float, float]:
    """Trains on each training image once; returns the mean loss, and accuracy in percent.

    Both are measured while training. This is the only training loop. The state's history is not
    changed.
    """
    network, optimizer = state.network, state.apart_optimizer or state.optimizer
    for group in optimizer.param_groups:
        group["lr"] = taken.lr
    for group in state.optimizer.param_groups:
        group["weight_decay"] = taken.weight_decay
    network.train()
    processes, apart = ranks(), state.phase == INITIALIZING
    share = processes.rank, processes.count
    gradients = eager_gradients if apart else state.gradients
    epoch = len(state.history) + 1
    total = torch.zeros(2, dtype=torch.float64, device=dataset.train.labels.device)
    with only_new_blocks(network, state.history, config) if apart else nullcontext():
        trained = processes.together(network)
        for batch in dataset.training_batches(config.batch_size, config.seed, epoch, share):
            loss, logits = gradients(trained, batch, config.precision)
            optimizer.step()
            total[0] += loss * len(batch)
            total[1] += (logits.argmax(dim=1) == batch.labels).sum()
    processes.same_statistics(network)
    return _mean_loss_and_percent(processes.total(total), len(dataset.train))


def _mean_loss_and_percent(total: Tensor, images: int) -> tuple[float, float]:
    """Mean loss, and accuracy in percent; `total` is the sum of losses and of correct images."""
    loss, correct = total.tolist()
    # one rounding only, because AutoGrow compares differences of accuracies with tau
    return loss / images, 100 * correct / images


def _lipschitz(state: TrainState, config: TrialConfig, dataset: Dataset) -> LipschitzConstants:
    """The Lipschitz constants of the network; updates the state's singular vectors."""
    history = state.history
    return lipschitz_constants(
        state.network, dataset.image_shape[1:], state.lipschitz_vectors, config.seed,
        settled=bool(history) and not history[-1].grew,
    )  # fmt: skip


def _macs(state: TrainState, dataset: Dataset) -> int:
    """Multiply-accumulates for one image, which are counted once for each architecture."""
    if state.history and state.history[-1].architecture == str(state.architecture):
        return state.history[-1].macs
    return count_macs(state.network, dataset.image_shape)
