"""One epoch, and one growth: the change of the training state and its measurements."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from growsearch.growth.constants import LipschitzConstants
from growsearch.machine.batches import in_sum, size
from growsearch.machine.compiling import uncompiled
from growsearch.machine.devices import Stopwatch
from growsearch.machine.precision import autocast
from growsearch.machine.processes import ranks
from growsearch.machine.randomness import derived_seed, seeded
from growsearch.tasks.flops import FLOPS_PER_MAC
from growsearch.tasks.scores import count_parameters
from growsearch.tasks.task import Task
from growsearch.training.apart import only_new_blocks
from growsearch.training.gradients import eager_gradients
from growsearch.training.growth import grow
from growsearch.training.lipschitz import measured_constants
from growsearch.training.param_groups import set_rates
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import INITIALIZING, EpochRecord
from growsearch.trial.options import shortened
from growsearch.trial.rates import Rates
from growsearch.trial.status import Status

Measured = tuple[EpochRecord, LipschitzConstants | None]


def run_epoch(state: TrainState, taken: Rates, task: Task) -> Measured:
    """Trains `state` for an epoch and measures it; returns the record and Lipschitz constants.

    The record has status RUNNING or DIVERGED, and no growth or key yet. It is not added to the
    state's history.
    """
    history, config = state.history, task.trial
    epoch = len(history) + 1
    watch = Stopwatch(task.device)
    trained = train_epoch(state, taken, task)
    train_seconds = watch.lap()
    val = evaluate(state, task, "val", epoch)
    test = val
    if not task.test_is_val:
        test = evaluate(state, task, "test", epoch) if "test" in task.splits else {}
    eval_seconds = watch.lap()
    constants, largest = measured_constants(state, task)
    lipschitz_seconds = watch.lap()
    parameters = count_parameters(state.network)
    param_epochs = parameters + (history[-1].param_epochs if history else 0)
    macs = _macs(state, task)
    train_flops = float(FLOPS_PER_MAC * macs * trained.examples)
    train_flops += history[-1].train_flops if history else 0
    steering = [trained.loss, val["loss"], *([constants.mean] if constants else [])]
    record = EpochRecord(
        epoch=epoch,
        architecture=str(state.architecture),
        parameters=parameters,
        param_epochs=param_epochs,
        ppe=param_epochs / epoch,
        lr=taken.lr,
        train_loss=trained.loss,
        val_loss=val["loss"],
        val_accuracy=val.get("accuracy"),
        test_accuracy=test.get("accuracy"),
        lipschitz=constants.mean if constants else None,
        grew=False,
        seconds=train_seconds + eval_seconds + lipschitz_seconds,
        status=Status.RUNNING if all(map(math.isfinite, steering)) else Status.DIVERGED,
        phase=state.phase,
        train_accuracy=trained.accuracy,
        macs=macs,
        example_tokens=task.example_tokens,
        decision=None,
        key="",
        precision=config.precision,
        compiled=config.compile == "on",
        reused=False,
        train_flops=train_flops,
        lipschitz_subnetworks=constants.subnetworks if constants else None,
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
        metrics=_others(val, "val") | _others(test, "test") | largest,
    )
    return ranks().same((record, constants))


def _others(found: Mapping[str, float], split: str) -> dict[str, float]:
    """The numbers of an evaluation that have no field of the record."""
    fields = ("loss", "accuracy") if split == "val" else ("accuracy",)
    return {f"{split}_{name}": value for name, value in found.items() if name not in fields}


def retrain(state: TrainState, taken: Rates, task: Task) -> None:
    """Trains `state` for an epoch whose record is known: `run_epoch` without its measurements."""
    train_epoch(state, taken, task)
    measured_constants(state, task)  # it updates vectors of the state


def lipschitz_details(constants: LipschitzConstants | None, config: TrialConfig) -> dict[str, Any]:
    """The record's fields for blocks and layers; None unless `record_lipschitz` includes them."""
    detail = config.record_lipschitz if constants else "none"
    return {
        "lipschitz_blocks": constants.blocks if constants and detail != "subnetworks" else None,
        "lipschitz_layers": constants.layers if constants and detail == "layers" else None,
    }


def run_growth(
    state: TrainState, record: EpochRecord, constants: LipschitzConstants | None,
    architecture: Architecture, task: Task,
) -> tuple[TrainState, EpochRecord]:  # fmt: skip
    """Grows `state` after the epoch of `record`; returns the new state and completed record.

    `constants` are the Lipschitz constants of `state`. If memory runs out in one process, every
    process raises an out-of-memory error.
    """
    watch = Stopwatch(task.device)
    processes = ranks()
    grown = processes.all_or_none(lambda: grow(state, architecture, task, record.epoch))
    growth_seconds = watch.lap()
    with torch.no_grad(), uncompiled():
        measures = task.growth_measures(state.network, grown.network, constants)
    val = evaluate(grown, task, "val", record.epoch)
    record = replace(
        record,
        grew=True,
        grown_val_loss=val["loss"],
        grown_val_accuracy=val.get("accuracy"),
        **(vars(measures) if measures else {}),
        growth_seconds=growth_seconds,
        eval_seconds=record.eval_seconds + watch.lap(),
    )
    return grown, processes.same(record)


@uncompiled()
@torch.no_grad()
def evaluate(state: TrainState, task: Task, split: str, epoch: int) -> dict[str, float]:
    """What the task's evaluation of `split` gives after `epoch` epochs, by name.

    Raises InputError if it gives no loss, or a value that is no number.
    """
    seed = derived_seed(task.trial.seed, epoch, f"evaluation on {split}")
    state.network.eval()
    with seeded(seed), autocast(task.trial.precision, task.device):
        found = task.evaluate(state.network, split)
    if not isinstance(found, Mapping) or "loss" not in found:
        raise InputError(
            f"evaluate of task {task.name!r} returned {shortened(found)}; return a dict with "
            "'loss', and 'accuracy' in percent if there is one"
        )
    if task.has_accuracy and "accuracy" not in found:
        raise InputError(
            f"evaluate of task {task.name!r} returned no 'accuracy', but the task says "
            "has_accuracy; return it in percent, or set has_accuracy = False"
        )
    if not task.has_accuracy and "accuracy" in found:
        raise InputError(
            f"evaluate of task {task.name!r} returned 'accuracy', but the task does not say "
            "has_accuracy; set has_accuracy = True, or give it another name"
        )
    for name in task.own_metrics:
        if name not in found:
            raise InputError(
                f"evaluate of task {task.name!r} returned no {name!r}, but the task has it in "
                "own_metrics; return it, or leave it out there"
            )
    try:
        return {str(name): float(value) for name, value in found.items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"evaluate of task {task.name!r} returned {shortened(dict(found))}; each value must "
            "be a number"
        ) from error


class Trained(NamedTuple):
    """What training for an epoch came to."""

    loss: float
    """The mean over examples, while training."""
    accuracy: float | None
    """In percent, while training; None if the task's loss does not say what is right."""
    examples: int


def train_epoch(state: TrainState, taken: Rates, task: Task) -> Trained:
    """Trains on each batch of the epoch once.

    This is the only training loop. The state's history is not changed. Raises InputError if the
    epoch has no batches, or another number of them than there are learning rates.
    """
    network, optimizer = state.network, state.apart_optimizer or state.optimizer
    set_rates(optimizer, lr=taken.lr)
    set_rates(state.optimizer, weight_decay=taken.weight_decay)
    network.train()
    processes, apart = ranks(), state.phase == INITIALIZING
    share = processes.rank, processes.count
    gradients = eager_gradients if apart else state.gradients
    # an initializer's own optimizer steps as its paper says
    clip_norm = None if state.apart_optimizer else task.trial.clip_norm
    epoch = len(state.history) + 1
    loss_sum, right = torch.zeros(2, dtype=torch.float64, device=task.device)
    scored, steps, examples = True, 0, 0
    with (
        seeded(derived_seed(task.trial.seed, epoch, "training")),
        only_new_blocks(network, state.architecture, state.history, task.trial)
        if apart
        else nullcontext(),
    ):
        trained = processes.together(network)
        for batch in task.training_batches(epoch, share):
            loss, correct = gradients(task, trained, batch)
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
            if taken.lrs is not None:
                set_rates(optimizer, lr=taken.lrs[min(steps, len(taken.lrs) - 1)])
            optimizer.step()
            steps += 1
            n = size(batch)
            examples += n
            loss_sum += in_sum(loss, n)
            if correct is None:
                scored = False
            else:
                right += correct
    processes.same_statistics(network)
    count = torch.full_like(loss_sum, examples)
    losses, hits, examples = processes.total(torch.stack([loss_sum, right, count])).tolist()
    if not examples:
        raise InputError(
            f"batches('train', ...) of task {task.name!r} yields nothing in epoch {epoch}; yield "
            "at least one batch"
        )
    if taken.lrs is not None and steps != len(taken.lrs):
        raise InputError(
            f"batches('train', ...) of task {task.name!r} yields {steps} batches in epoch {epoch}, "
            f"and its steps() is {len(taken.lrs)}; the learning rate changes from step to step, so "
            "both must be the same"
        )
    # one rounding only, because AutoGrow compares differences of accuracies with tau
    accuracy = 100 * hits / examples if scored else None
    return Trained(losses / examples, accuracy, int(examples))


def _macs(state: TrainState, task: Task) -> int:
    """Multiply-accumulates for one example, which are counted once for each architecture."""
    if state.history and state.history[-1].architecture == str(state.architecture):
        return state.history[-1].macs
    return task.macs(state.network)
