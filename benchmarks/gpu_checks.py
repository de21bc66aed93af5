"""The checks of benchmarks/gpu.py: what must hold on a GPU as it holds on a processor."""

import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from gpu_rows import NOTE, Bench, Unequal
from gpu_trials import FEW, images_of, same, same_records, trial
from heading import heading
from steps import mps_runs
from torch import Tensor, nn

from growsearch.machine.compiling import can_compile
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.task import Task
from growsearch.trainer import Trainer
from growsearch.training.auto_precision import auto_precision
from growsearch.training.gradients import (
    Gradients,
    Record,
    ReplayedGradients,
    Results,
    eager_gradients,
)
from growsearch.training.state import read_state
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord

PRECISIONS = ("float32", "bfloat16")


def machine(bench: Bench) -> None:
    """What all that follows was run on."""
    bench.tell("processor", heading(f"{os.cpu_count()} cores"))
    bench.tell("python", sys.version.split()[0])
    bench.tell("C++ compiler", "there" if can_compile() else "none: nothing can be compiled")
    if bench.on_gpu:
        made = torch.cuda.get_device_properties(bench.device)
        size = made.total_memory / 2**30
        bench.tell("GPU", f"{made.name}, {size:.0f} GiB, capability {made.major}.{made.minor}")
        versions = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        bench.tell("libraries", versions)
        bench.tell("NVIDIA's MPS", "runs" if mps_runs() else "does not run")
    bench.tell("precision auto", auto_precision(bench.device) if bench.on_gpu else "not asked here")


def graphs(bench: Bench) -> None:
    """Steps of each family: eager ones twice, then replayed ones, on batches of two sizes."""
    bench.tell("records", bench.small("CUDA graphs", "a stand-in for graphs"), NOTE)
    for precision in PRECISIONS:
        for family in bench.small(components("network"), FEW):
            with bench.look(what := f"{family}, {precision}"):
                config = trial(bench, precision, network=family, policy="none")
                dataset = images_of(bench, 3, family)
                once, again = (_steps(config, dataset, eager_gradients) for _ in range(2))
                same("eager steps, done twice,", once, again)
                replayed = ReplayedGradients() if bench.on_gpu else _Repeated()
                steps = _steps(config, dataset, replayed)
                if replayed.refusal is not None:
                    raise Unequal(replayed.refusal)
                same("eager and replayed steps", once, steps)
                bench.tell(what, "equal bits, eager, eager once more, and replayed")


class _Repeated(ReplayedGradients):
    """Computes anew into the tensors that were written when it was recorded, as a graph does."""

    def __call__(self, task: Task, network: nn.Module, batch: Any) -> Results:
        self.record = _repeating(network)
        return super().__call__(task, network, batch)


def _repeating(network: nn.Module) -> Record:
    def record(work: Any) -> Any:
        results = work()
        written = [parameter.grad for parameter in network.parameters()]

        def replay() -> None:
            for mine, new in zip(results, work(), strict=True):
                mine.copy_(new)
            for parameter, mine in zip(network.parameters(), written, strict=True):
                mine.copy_(parameter.grad)
                parameter.grad = mine

        return results, replay

    return record


def _steps(config: TrialConfig, dataset: Dataset, gradients: Gradients) -> dict[str, Tensor]:
    """All that two epochs of steps come to."""
    trainer = Trainer(config, dataset=dataset)
    network, found = trainer.state.network.train(), {}
    for epoch in (1, 2):
        batches = trainer.task.dataset.training_batches(config.batch_size, config.seed, epoch)
        for k, batch in enumerate(batches):
            loss, correct = gradients(trainer.task, network, batch)
            assert correct is not None
            found |= {f"loss {epoch}.{k}": loss.clone(), f"correct {epoch}.{k}": correct.clone()}
            trainer.state.optimizer.step()
    return found | network.state_dict()


def growth(bench: Bench) -> None:
    """Each family, and each initializer, through a growth, and on from each saved state."""
    for family in bench.small(components("network"), FEW):
        with bench.look(family):
            _grows(bench, family, trial(bench, network=family), images_of(bench, 3, family))
    for initializer in components("initializer"):
        with bench.look(what := f"basic3resnet, {initializer}"):
            _grows(bench, what, trial(bench, initializer=initializer), images_of(bench, 1))


def _grows(bench: Bench, what: str, config: TrialConfig, dataset: Dataset) -> None:
    trainer = Trainer(config, dataset=dataset)
    with tempfile.TemporaryDirectory() as folder:
        path, records, states = Path(folder, "state.safetensors"), list[EpochRecord](), {}
        for record in trainer:
            records.append(record)
            if record.epoch in bench.small((1, 2), (2,)):
                trainer.save(path)
                states[record.epoch] = read_state(path)
        last = trainer.state.network.state_dict()
        for done, (saved, history, contents) in states.items():
            resumed = Trainer(saved, saved=(history, contents), dataset=dataset)
            same_records(f"records resumed after epoch {done}", list(resumed), records[done:])
            same(f"weights resumed after epoch {done}", last, resumed.state.network.state_dict())
    if not (records[0].grew and records[-1].status == "completed"):
        raise Unequal(f"it {'grew' if records[0].grew else 'did not grow'}, {records[-1].status}")
    for record in records:
        for name, value in vars(record).items():
            numbers = value if isinstance(value, tuple) else (value,)
            wrong = math.isnan if name == "temporal_bound" else lambda x: not math.isfinite(x)
            if any(wrong(x) for x in numbers if isinstance(x, float)):  # a bound may be infinite
                raise Unequal(f"{name} of epoch {record.epoch} is {value}")
    losses = " ".join(f"{record.train_loss:.4f}" for record in records)
    bench.tell(what, f"grew to {records[-1].architecture}, losses {losses}; resumed bit by bit")


def twice(bench: Bench) -> None:
    """The same trial twice, in each precision; and what bfloat16 comes to beside float32."""
    dataset, last = images_of(bench, 1), {}
    for precision in PRECISIONS:
        with bench.look(what := f"the same trial twice, {precision}"):
            one, other = (Trainer(trial(bench, precision), dataset=dataset) for _ in range(2))
            records = list(one)
            same_records("records", list(other), records)
            weights = (trainer.state.network.state_dict() for trainer in (one, other))
            same("weights", *weights)
            last[precision] = records[-1]
            bench.tell(what, "equal records, equal weights")
    for precision, record in last.items():
        line = f"{record.train_loss:.4f} nats, {record.val_accuracy:.1f} % of the validation images"
        bench.tell(f"what it comes to, {precision}", line)
