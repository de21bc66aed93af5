"""Training steps to time: the trainer's own, bare ones, and those of several trials at once."""

import copy
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from growsearch.machine.precision import autocast
from growsearch.tasks.images.dataset import Dataset
from growsearch.trainer import Trainer
from growsearch.training.epoch import train_epoch
from growsearch.training.gradients import CudaGraphs
from growsearch.training.state import new_optimizer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import one_line
from growsearch.trial.rates import Rates

BATCH, LR = 128, 0.01
Run = Callable[[], None]


def own_epoch(config: TrialConfig, dataset: Dataset | None = None) -> tuple[Run, Trainer]:
    """What trains an epoch of the trial, and nothing else."""
    trainer, steps = Trainer(config, dataset=dataset), Rates(LR, config.weight_decay)

    def run() -> None:
        train_epoch(trainer.state, steps, trainer.task)

    return run, trainer


def bare_steps(trainer: Trainer, batches: int, deterministic: bool = True) -> Run:
    """As many steps of the trainer's network on one batch that lies ready."""
    network = copy.deepcopy(trainer.state.network).train()
    optimizer = new_optimizer(trainer.task, network)
    batch = next(trainer.task.dataset.training_batches(trainer.config.batch_size, seed=0, epoch=1))
    images = batch.images.contiguous(memory_format=torch.channels_last)

    def step() -> tuple[Tensor, Tensor]:
        with autocast(trainer.config.precision, trainer.task.device):
            logits = network(images)
        loss = F.cross_entropy(logits, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach()

    loss, launch, held = torch.zeros(()), step, step
    if trainer.task.device.type == "cuda":
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = not deterministic
        try:
            (loss, _), launch = CudaGraphs()(step)
        finally:
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False

    def run() -> None:
        assert held  # a graph does not hold the weights and images that it reads and writes
        for _ in range(batches):
            launch()
        loss.item()  # a GPU has done them all

    return run


def seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def compared(own: Run, other: Run, pairs: int) -> tuple[list[float], list[float]]:
    """The seconds of own and of other, run in turn; both have run once before."""
    own(), other()
    mine, others = [], []
    for k in range(pairs):
        if k % 2:
            mine.append(seconds(own))
        others.append(seconds(other))
        if not k % 2:
            mine.append(seconds(own))
    return mine, others


def mps_runs() -> bool:
    """Whether NVIDIA's MPS lets the kernels of several processes run at one time."""
    folder = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")
    return Path(folder, "control").exists()


def in_processes(
    config: TrialConfig, trials: int, span: float, dataset: Dataset | None = None
) -> list[float]:
    """Images a second of each trial; RuntimeError with its message if one raises."""
    together = multiprocessing.get_context("spawn")
    ready, results = together.Barrier(trials), together.SimpleQueue()
    arguments = (config, span, dataset, ready, results)
    processes = [together.Process(target=_process, args=arguments) for _ in range(trials)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    if errors := [rate for rate in found if isinstance(rate, str)]:
        raise RuntimeError(errors[0])
    return found


def _process(
    config: TrialConfig, span: float, dataset: Dataset | None, ready: Any, results: Any
) -> None:
    try:
        results.put(_rate(config, span, dataset, ready))
    except Exception as error:  # the others would wait for ever
        results.put(one_line(error))
        ready.abort()


def in_threads(
    config: TrialConfig, trials: int, span: float, dataset: Dataset | None = None
) -> list[float]:
    """The same of threads, each with a stream of its own on a GPU."""
    ready, preparing = threading.Barrier(trials), threading.Lock()
    errors: list[Exception] = []

    def one(_: int) -> float:
        on_gpu = torch.cuda.is_available() and config.device != "cpu"
        try:
            with torch.cuda.stream(torch.cuda.Stream()) if on_gpu else nullcontext():
                return _rate(config, span, dataset, ready, preparing)
        except Exception as error:
            errors.append(error)
            ready.abort()
            return 0.0

    with ThreadPoolExecutor(trials) as threads:
        found = list(threads.map(one, range(trials)))
    if errors:
        raise errors[0]
    return found


def _rate(
    config: TrialConfig, span: float, dataset: Dataset | None, ready: Any, preparing: Any = None
) -> float:
    """Of one trial on one core, for so many seconds in which the others run as well."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with preparing or nullcontext():  # one graph at a time can be recorded in a process
        run, trainer = own_epoch(config, dataset)
        run()
    ready.wait()
    started, epochs, took = time.perf_counter(), 0, 0.0
    while took < span:
        run()
        epochs, took = epochs + 1, time.perf_counter() - started
    torch.set_num_threads(threads)
    return epochs * len(trainer.task.dataset.train) / took
