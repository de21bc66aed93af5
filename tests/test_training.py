from dataclasses import replace

import pytest
import torch
from conftest import task_of
from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.tasks.images.mapped import HostImages
from growsearch.training.epoch import train_epoch
from growsearch.training.state import TrainState
from growsearch.trial.config import TrialConfig
from growsearch.trial.rates import Rates


class Waits(TorchDispatchMode):
    """Records operations that wait for a GPU: reads of values, and shapes that depend on values."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        by_truth = name == "index" and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if by_truth or name in ("_local_scalar_dense", "nonzero", "masked_select", "equal"):
            self.found.append(name)
        return operation(*args, **(kwargs or {}))


def test_waiting_is_found():
    numbers = torch.arange(4.0)
    with Waits() as waits:
        _ = numbers[1].item(), numbers[numbers > 1], bool(numbers[0] > 1)
    assert len(waits.found) >= 3


@pytest.mark.parametrize("on_host", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_within_an_epoch_a_gpu_is_never_waited_for(on_host, precision):
    """The epoch has all augmentation, later optimizer steps, and two batch sizes."""
    config = TrialConfig(train_size=300, policy="none", precision=precision, compile="off")
    task = task_of(config)
    dataset = task.dataset
    if on_host:
        train = dataset.train
        train = HostImages(train.images, torch.arange(len(train)), train.labels)
        dataset = replace(dataset, train=train)
    dataset = replace(dataset, spec=replace(dataset.spec, flip=True, rotation=20))
    vars(task)["dataset"] = dataset
    state = TrainState.initial(task)
    with Waits() as waits:
        for _ in range(2):
            train_epoch(state, Rates(0.1, 2e-4), task)
    assert not waits.found
