"""The checks of benchmarks/gpu.py: what must hold on a GPU as it holds on a processor."""

import gc
import math
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from gpu_rows import NOTE, SKIPPED, Bench, Unequal
from heading import heading
from made_images import OnHost, made_images
from steps import mps_runs
from torch import Tensor, nn

from growsearch.choices import INITIALIZERS, NETWORKS
from growsearch.compiling import can_compile
from growsearch.config import TrialConfig
from growsearch.data import Dataset
from growsearch.data.host_images import HostImages, placed
from growsearch.epoch_store import EpochStore
from growsearch.gradients import Gradients, Record, ReplayedGradients, Results, eager_gradients
from growsearch.history import EpochRecord
from growsearch.precision import auto_precision
from growsearch.train_state import read_state
from growsearch.trainer import Trainer

PRECISIONS = ("float32", "bfloat16")
FEW = ("basic3resnet", "preact3resnet", "plain3net", "plain4net-imagenet")
"""Families for a processor."""
MEGABYTE = 2**20


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
        for family in bench.small(NETWORKS, FEW):
            with bench.look(what := f"{family}, {precision}"):
                config = trial(bench, precision, network=family, policy="none")
                dataset = images_of(bench, 3, family)
                once, again = (_steps(config, dataset, eager_gradients) for _ in range(2))
                _same("eager steps, done twice,", once, again)
                replayed = ReplayedGradients() if bench.on_gpu else _Repeated()
                steps = _steps(config, dataset, replayed)
                if replayed.refusal is not None:
                    raise Unequal(replayed.refusal)
                _same("eager and replayed steps", once, steps)
                bench.tell(what, "equal bits, eager, eager once more, and replayed")


class _Repeated(ReplayedGradients):
    """Computes anew into the tensors that were written when it was recorded, as a graph does."""

    def __call__(self, network: nn.Module, batch: Any, precision: str) -> Results:
        self.record = _repeating(network)
        return super().__call__(network, batch, precision)


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
        batches = trainer.dataset.training_batches(config.batch_size, config.seed, epoch)
        for k, batch in enumerate(batches):
            loss, logits = gradients(network, batch, config.precision)
            found |= {f"loss {epoch}.{k}": loss.clone(), f"logits {epoch}.{k}": logits.clone()}
            trainer.state.optimizer.step()
    return found | network.state_dict()


def _same(what: str, one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Unequal, with the first tensor that differs, unless all bits are equal."""
    for name, tensor in one.items():
        if not torch.equal(tensor.cpu(), other[name].cpu()):
            gap = (tensor.double() - other[name].double()).abs().max().item()
            raise Unequal(f"{what} differ, first in {name}, by {gap:.3g} at most")


def growth(bench: Bench) -> None:
    """Each family, and each initializer, through a growth, and on from each saved state."""
    for family in bench.small(NETWORKS, FEW):
        with bench.look(family):
            _grows(bench, family, trial(bench, network=family), images_of(bench, 3, family))
    for initializer in INITIALIZERS:
        with bench.look(what := f"basic3resnet, {initializer}"):
            _grows(bench, what, trial(bench, initializer=initializer), images_of(bench, 1))


def _grows(bench: Bench, what: str, config: TrialConfig, dataset: Dataset) -> None:
    trainer = Trainer(config, dataset=dataset)
    with tempfile.TemporaryDirectory() as folder:
        path, records, states = Path(folder, "state.pt"), list[EpochRecord](), {}
        for record in trainer:
            records.append(record)
            if record.epoch in bench.small((1, 2), (2,)):
                trainer.save(path)
                states[record.epoch] = read_state(path)
        last = trainer.state.network.state_dict()
        for done, (saved, history, contents) in states.items():
            resumed = Trainer(saved, saved=(history, contents), dataset=dataset)
            same_records(f"records resumed after epoch {done}", list(resumed), records[done:])
            _same(f"weights resumed after epoch {done}", last, resumed.state.network.state_dict())
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
            _same("weights", *weights)
            last[precision] = records[-1]
            bench.tell(what, "equal records, equal weights")
    for precision, record in last.items():
        line = f"{record.train_loss:.4f} nats, {record.val_accuracy:.1f} % of the validation images"
        bench.tell(f"what it comes to, {precision}", line)


def streamed(bench: Bench) -> None:
    """Images on the device, and images that are sent batch by batch."""
    for channels in (1, 3):
        with bench.look(what := f"resident and streamed images, {channels} channels"):
            dataset = images_of(bench, channels, crop=2)
            host = OnHost(dataset.train, dataset.val, dataset.test, dataset.spec)
            resident, sent = (Trainer(trial(bench), dataset=d) for d in (dataset, host))
            assert isinstance(sent.dataset.train, HostImages)
            assert sent.dataset.train.home.type == "cpu"
            same_records("records", list(sent), list(resident))
            bench.tell(what, "equal records")
    if not bench.on_gpu:
        bench.tell("which images are sent", "needs a GPU", SKIPPED)
        return
    with bench.look(what := "which images are sent"):
        split = made_images((3, 32, 32), train=16_000).train  # 49 MB
        torch.zeros_like(split.labels, device=bench.device)  # its memory is there for the labels
        for share, expected in ((64, True), (2048, False)):
            torch.cuda.set_per_process_memory_fraction(share * MEGABYTE / _memory())
            if isinstance(placed(split, bench.device), HostImages) != expected:
                raise Unequal(f"49 MB were {'resident' if expected else 'sent'} in {share} MiB")
        torch.cuda.set_per_process_memory_fraction(1.0)
        bench.tell(what, "49 MB with a share of 64 MiB, not with one of 2 GiB")


def memory(bench: Bench) -> None:
    """Growths for which a share of the memory does not suffice, at once and in the next epoch."""
    dataset = images_of(bench, 1)
    # weights of 590 MB, and gradients of 89 MB
    at_once = (2000, bench.small(400, 256), "at once")
    for depth, room, at in (at_once, (300, 64, "in the next epoch")):
        with bench.look(what := f"growth beyond memory, {at}"), _stores() as store:
            config = trial(
                bench, growth_architectures=f"2-2-{depth}", initializer="default", epochs=4,
                growth_epochs=2 if depth == at_once[0] else 1,
            )  # fmt: skip
            trainer = Trainer(config, dataset=dataset, store=store)
            next(trainer)
            with _room(bench, room):
                rest = list(trainer)
            ended = trainer.history[-1].status, trainer.reason, len(trainer.history), len(rest)
            epochs = config.growth_epochs[0] if config.growth_epochs else 0
            expected = ("failed", f"out of memory at growth to 2-2-{depth}", epochs, epochs - 1)
            if ended != expected:
                raise Unequal(f"the trial ended {ended}, not {expected}")
            del trainer
            modest = replace(config, growth_architectures="2-2-3")
            again = list(Trainer(modest, dataset=dataset, store=store))
            reused = [record.reused for record in again]
            if reused != [k < epochs for k in range(4)]:
                raise Unequal(f"of the epochs {reused} were in the store")
            same_records("records after it", again, list(Trainer(modest, dataset=dataset)))
            bench.tell(what, f"failed for {expected[1]}; epoch {epochs} is safe and gone on from")


@contextmanager
def _stores() -> Iterator[EpochStore]:
    folder = tempfile.mkdtemp()
    try:
        yield EpochStore(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _room(bench: Bench, megabytes: int) -> Iterator[None]:
    """Within it there is so much memory beyond what is in use."""
    gc.collect()
    if bench.on_gpu:
        torch.cuda.empty_cache()
        there = torch.cuda.memory_reserved() + megabytes * MEGABYTE
        torch.cuda.set_per_process_memory_fraction(there / _memory())
    else:
        there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = there + megabytes * MEGABYTE
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        if bench.on_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0)
        else:
            resource.setrlimit(resource.RLIMIT_AS, before)


def _memory() -> int:
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory


def images_of(bench: Bench, channels: int, family: str = "", crop: int = 0) -> Dataset:
    """Two batches and a smaller one."""
    batch = _batch(bench)
    # in bfloat16 torch's 3x3 convolutions of stride 2 are wrong on some processors where images
    # are of one pixel, as those of 8x8 become behind ImageNet's stem
    side = bench.small(64, 32) if family.endswith("imagenet") else bench.small(32, 8)
    shape = (channels, side, side)
    return made_images(shape, 2 * batch + batch // 2, bench.small(200, 40), crop=crop)


def trial(bench: Bench, precision: str = "float32", **options: Any) -> TrialConfig:
    """Of three epochs that grows after the first, if the options do not say otherwise."""
    n = NETWORKS[options.get("network", "basic3resnet")]
    given: dict[str, Any] = {
        "architecture": "-".join("2" * n), "policy": "fixed", "epochs": 3, "lr": 0.01,
        "batch_size": _batch(bench), "record_lipschitz": "layers", "device": bench.device.type,
        "precision": precision, "compile": "off", **options,
    }  # fmt: skip
    if given["policy"] == "fixed":
        given = {"growth_epochs": 1, "growth_architectures": "-".join("3" * n), **given}
    return TrialConfig(**given)


def _batch(bench: Bench) -> int:
    return bench.small(64, 16)


def same_records(what: str, found: list[EpochRecord], expected: list[EpochRecord]) -> None:
    """Unequal, with the first field that differs, unless all but times are equal."""
    if len(found) != len(expected):
        raise Unequal(f"{what}: {len(found)} epochs, not {len(expected)}")
    names = [f.name for f in fields(EpochRecord) if f.compare and f.name not in ("key", "reused")]
    for one, other in zip(found, expected, strict=True):
        for name in names:
            if (mine := getattr(one, name)) != (theirs := getattr(other, name)):
                raise Unequal(f"{what} differ in {name} of epoch {one.epoch}: {mine}, {theirs}")
