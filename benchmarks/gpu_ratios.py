"""The ratios of benchmarks/gpu.py: what graphs, bfloat16, determinism and compiling buy or cost."""

from dataclasses import replace
from statistics import median

from gpu_rows import NOTE, SKIPPED, Bench
from made_images import made_images
from steps import (
    BATCH,
    bare_steps,
    compared,
    in_processes,
    in_threads,
    mps_runs,
    own_epoch,
    seconds,
)

from growsearch.machine.compiling import can_compile
from growsearch.machine.precision import BFLOAT16, FLOAT32
from growsearch.tasks.images.dataset import Dataset
from growsearch.trainer import Trainer
from growsearch.training.auto_precision import auto_precision
from growsearch.training.gradients import ReplayedGradients, eager_gradients
from growsearch.trial.config import TrialConfig

TARGET = 0.9
"""Of a bare step's speed, that the trainer's is to reach."""
AT_ONCE = 3
LIPGROW = {"2-2-2": 60, "4-4-4": 50, "8-8-8": 54}
"""Epochs of each network where it grows after 60 and 110 of 164 (LipGrow's hand-tuned epochs)."""


def bare(bench: Bench) -> None:
    """The trainer's epochs against as many bare steps, which on a GPU are one graph each."""
    for depth in bench.small((2, 3, 6, 9), (1,)):
        config, dataset, batches = _trial(bench, depth)
        with bench.look(what := f"{config.architecture}: trainer over bare graph steps"):
            run, trainer = own_epoch(config, dataset)
            mine, others = compared(run, bare_steps(trainer, batches), _pairs(bench))
            ratio = median(b / a for a, b in zip(mine, others, strict=True))
            reached = f"; {TARGET} is {'reached' if ratio >= TARGET else 'missed'}"
            bench.ratios(what, mine, others, len(dataset.train), reached + _eager(trainer))


def eager(bench: Bench) -> None:
    """Replayed gradients against those computed as they come."""
    if not bench.on_gpu:
        bench.tell("graphs over eager", "needs a GPU", SKIPPED)
        return
    for depth in (2, 9):
        config, dataset, _ = _trial(bench, depth)
        with bench.look(what := f"{config.architecture}: graphs over eager"):
            (run, trainer), (other, without) = (own_epoch(config, dataset) for _ in range(2))
            without.state.gradients = eager_gradients
            times = compared(run, other, _pairs(bench))
            bench.ratios(what, *times, len(dataset.train), _eager(trainer))


def bfloat16(bench: Bench) -> None:
    """Whole epochs in bfloat16 against such in float32, which on a GPU is not TF32."""
    for depth in bench.small((3, 9), (1,)):
        config, dataset, _ = _trial(bench, depth)
        with bench.look(what := f"{config.architecture}: bfloat16 over float32"):
            (run, trainer), (other, _) = (
                own_epoch(replace(config, precision=p), dataset) for p in (BFLOAT16, FLOAT32)
            )
            times = compared(run, other, _pairs(bench))
            bench.ratios(what, *times, len(dataset.train), _eager(trainer))


def determinism(bench: Bench) -> None:
    """Bare steps of kernels that are deterministic, against whatever is fastest."""
    if not bench.on_gpu:
        bench.tell("deterministic over fastest", "needs a GPU", SKIPPED)
        return
    for precision in (FLOAT32, BFLOAT16):
        config, dataset, batches = _trial(bench, 3)
        with bench.look(what := f"{config.architecture}, {precision}: deterministic over fastest"):
            trainer = Trainer(replace(config, precision=precision), dataset=dataset)
            kinds = [bare_steps(trainer, batches, deterministic) for deterministic in (True, False)]
            bench.ratios(what, *compared(*kinds, _pairs(bench)), len(dataset.train))


def at_once(bench: Bench) -> None:
    """Three trials as processes, and as threads with streams, against one after the other."""
    config, dataset, _ = _trial(bench, bench.small(3, 1))
    span = bench.small(5.0, 0.3)
    if bench.on_gpu and not mps_runs():
        bench.tell("NVIDIA's MPS", "does not run: processes take turns", NOTE)
    alone = 0.0
    with bench.look("one trial"):
        alone = sum(in_threads(config, 1, span, dataset))
        bench.tell("one trial", f"{alone:,.0f} images/s", own=alone)
    for kind, together in (("threads", in_threads), ("processes", in_processes)):
        with bench.look(what := f"{AT_ONCE} {kind} over one trial after the other"):
            rate = sum(together(config, AT_ONCE, span, dataset))
            result = f"{rate / alone:.3f}, {rate:,.0f} images/s of all"
            bench.tell(what, result, ratio=rate / alone, own=rate, other=alone)


def lipgrow(bench: Bench) -> None:
    """LipGrow's 164 epochs on as many images as Fashion-MNIST has, from two of each network."""
    dataset = bench.small(lambda: made_images((1, 28, 28), 55_000, 7_500), _few)()
    total = 0.0
    with bench.look(what := "LipGrow's 164 epochs, growing after 60 and 110"):
        for architecture, epochs in LIPGROW.items():
            config = replace(_trial(bench, 1)[0], architecture=architecture, epochs=2)
            *_, last = Trainer(config, dataset=dataset)
            total += epochs * last.seconds
            parts = f"{last.train_seconds:.2f} + {last.eval_seconds:.2f} s for training, evaluation"
            bench.tell(f"an epoch of {architecture}", f"{last.seconds:.2f} s: {parts}",
                       seconds=last.seconds)  # fmt: skip
        images = f"{len(dataset.train):,} images, {config.precision}"
        bench.tell(what, f"{total / 60:.1f} minutes ({images})", minutes=total / 60)


def compiled(bench: Bench) -> None:
    """Steps that are compiled, against those that are not."""
    config, dataset, _ = _trial(bench, bench.small(3, 1))
    what = f"{config.architecture}: compiled over not compiled"
    if not can_compile():
        bench.tell(what, "needs a C++ compiler", SKIPPED)
        return
    with bench.look(what):
        run, trainer = own_epoch(replace(config, compile="on"), dataset)
        took = seconds(run)
        other, _ = own_epoch(config, dataset)
        note = f"; compiling took {took:.0f} s{_eager(trainer)}"
        bench.ratios(what, *compared(run, other, _pairs(bench)), len(dataset.train), note)


def _trial(bench: Bench, depth: int) -> tuple[TrialConfig, Dataset, int]:
    """Configuration, images and number of batches of a trial that does not grow."""
    batches, size = bench.small((40, BATCH), (2, 16))
    config = TrialConfig(
        architecture="-".join([str(depth)] * 3), policy="none", epochs=1000, batch_size=size,
        device=bench.device.type, compile="off",
        precision=auto_precision(bench.device) if bench.on_gpu else FLOAT32,
    )  # fmt: skip
    dataset = made_images((1, *bench.small((28, 28), (8, 8))), batches * size, 200)
    return config, dataset, batches


def _few() -> Dataset:
    return made_images((1, 8, 8), 64, 20)


def _pairs(bench: Bench) -> int:
    return bench.small(7, 1)


def _eager(trainer: Trainer) -> str:
    gradients = trainer.state.gradients
    refused = isinstance(gradients, ReplayedGradients) and gradients.refusal is not None
    return "; WITHOUT GRAPHS, see the note" if refused else ""
