"""The checks of benchmarks/gpu.py that are about memory: where images are, and too little of it."""

import gc
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from gpu_rows import SKIPPED, Bench, Unequal
from gpu_trials import images_of, same_records, trial
from made_images import OnHost, made_images

from growsearch.epochs.store import EpochStore
from growsearch.tasks.images.mapped import HostImages, placed
from growsearch.trainer import Trainer

MEGABYTE = 2**20


def streamed(bench: Bench) -> None:
    """Images on the device, and images that are sent batch by batch."""
    for channels in (1, 3):
        with bench.look(what := f"resident and streamed images, {channels} channels"):
            dataset = images_of(bench, channels, crop=2)
            host = OnHost(dataset.train, dataset.val, dataset.test, dataset.spec)
            resident, sent = (Trainer(trial(bench), dataset=d) for d in (dataset, host))
            assert isinstance(sent.task.dataset.train, HostImages)
            assert sent.task.dataset.train.home.type == "cpu"
            same_records("records", list(sent), list(resident))
            bench.tell(what, "equal records")
    if not bench.on_gpu:
        bench.tell("which images are sent", "needs a GPU", SKIPPED)
        return
    with bench.look(what := "which images are sent"):
        split = made_images((3, 32, 32), train=16_000).train  # 49 MB
        torch.zeros_like(split.labels, device=bench.device)  # its memory is there for the labels
        for share, expected in ((64, True), (2048, False)):
            torch.cuda.set_per_process_memory_fraction(share * MEGABYTE / gpu_memory())
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
        torch.cuda.set_per_process_memory_fraction(there / gpu_memory())
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


def gpu_memory() -> int:
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
