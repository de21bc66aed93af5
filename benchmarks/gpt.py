"""Compares the trainer's speed on the task language with the bare training step, and a whole trial.

    python benchmarks/gpt.py            # five minutes on two quiet cores
    python benchmarks/gpt.py --quick    # the smallest form, in seconds

The bare step is the forward pass, backward pass and optimizer step of the same module, with the
same optimizer, on one batch that lies ready. Both run the same number of steps in turn, in
alternating order; the table shows the median ratio of the pairs and its interval of at least 95 %
by the sign test. A run is a second or two long, since a machine's speed drifts over longer ones.

The whole trial is nanoGPT's example for a CPU: 4 blocks of width 128, context 64, batches of 12,
2,000 steps. Beside it is a loop by hand that draws its own batches and validates as often, with 20
batches. Both are in float32, and the text is the King James Bible, or else random bytes.
"""

import argparse
import math
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from heading import heading
from steps import Run, compared, own_epoch
from torch.nn import functional as F

from growsearch import Trainer, TrialConfig
from growsearch.tasks.language.model import GPT
from growsearch.training.state import new_optimizer
from growsearch.trial.errors import InputError

NANOGPT = {
    "task": "language", "policy": "none", "architecture": "4", "width": 128, "heads": 4,
    "context": 64, "batch_size": 12, "epochs": 20, "steps_an_epoch": 100,
    "precision": "float32", "compile": "off", "lr_schedule": "constant", "device": "cpu",
}  # fmt: skip
FORMS = {
    "4 blocks, width 128": {"steps_an_epoch": 40},
    "1 block, width 128": {"architecture": "1", "steps_an_epoch": 120},
    "4 blocks, rotary, SwiGLU": {"positions": "rotary", "mlp": "swiglu", "steps_an_epoch": 30},
    "4 blocks, width 256, batch 32": {"width": 256, "batch_size": 32, "steps_an_epoch": 6},
}


def text_options(folder: str) -> dict[str, str]:
    """Where the text comes from."""
    if shutil.which("bible"):
        with suppress(InputError):
            _ = TrialConfig(**NANOGPT, dataset="bible").task.loaded
            return {"dataset": "bible"}
    path = Path(folder, "text.txt")
    path.write_bytes(torch.randint(32, 127, (4_000_000,), dtype=torch.uint8).numpy().tobytes())
    return {"data_dir": str(path)}


def bare_steps(trainer: Trainer, steps: int) -> Run:
    """So many steps of the trainer's network on one batch that lies ready."""
    task, network = trainer.task, trainer.task.build(trainer.state.architecture).train()
    optimizer = new_optimizer(task, network)
    tokens, following = next(iter(task.batches("train", 0, 1)))

    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(tokens).flatten(0, 1), following.flatten())
            loss.backward()
            optimizer.step()

    return run


def sign_interval(values: list[float]) -> tuple[float, float]:
    """An interval of at least 95 % for the median, or the least and the largest if few."""
    ordered, n, below, tail = sorted(values), len(values), 0, 0.0
    while (tail := tail + math.comb(n, below) / 2**n) <= 0.025:
        below += 1
    return ordered[max(below - 1, 0)], ordered[min(n - below, n - 1)]


def against_bare(options: dict[str, str], pairs: int, quick: bool = False) -> None:
    print("steps/s of language            trainer  bare step   ratio  interval")
    for label, form in list(FORMS.items())[: 1 if quick else None]:
        config = TrialConfig(**{**NANOGPT, **options, **form})
        config = replace(config, steps_an_epoch=3) if quick else config
        steps = config.task.steps()
        own, trainer = own_epoch(config)
        mine, bare = compared(own, bare_steps(trainer, steps), pairs)
        ratios = [theirs / time_ for time_, theirs in zip(mine, bare, strict=True)]
        least, largest = sign_interval(ratios)
        print(
            f"{label:<30} {steps / median(mine):7.1f}    {steps / median(bare):7.1f}"
            f"  {median(ratios):6.3f}  {least:.3f} to {largest:.3f}",
            flush=True,
        )


def loop_by_hand(config: TrialConfig) -> tuple[float, float]:
    """Seconds and last validation loss of a plain loop of as many steps."""
    text = {split: part.long() for split, part in config.task.loaded.parts.items()}
    task, steps = config.task, config.task.steps()
    torch.manual_seed(0)
    model = GPT(4, task.width, task.heads, context=task.context, vocabulary=256)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.99),
        fused=True,
    )  # fmt: skip

    def batch(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        places = torch.randint(len(text[split]) - task.context, (config.batch_size,))
        rows = torch.stack([text[split][place : place + task.context + 1] for place in places])
        return rows[:, :-1], rows[:, 1:]

    def loss(split: str) -> torch.Tensor:
        tokens, following = batch(split)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    started, found = time.perf_counter(), 0.0
    for step in range(1, config.epochs * steps + 1):
        optimizer.zero_grad()
        loss("train").backward()
        optimizer.step()
        if step % steps == 0:
            with torch.no_grad():
                found = sum(loss("val").item() for _ in range(20)) / 20
    return time.perf_counter() - started, found


def whole_trial(options: dict[str, str], quick: bool = False) -> None:
    config = TrialConfig(**{**NANOGPT, **options})
    if quick:
        config = replace(config, epochs=2, steps_an_epoch=3, eval_windows=12)
    started = time.perf_counter()
    *_, last = Trainer(config)
    took = time.perf_counter() - started
    steps = config.epochs * config.task.steps()
    by_hand, loss = loop_by_hand(config)
    print(f"\nnanoGPT's setting for a CPU, {steps:,} steps        seconds  validation loss")
    print(f"{'a trial, test text included':<46} {took:8.1f}  {last.val_loss:15.4f}")
    print(f"{'a loop by hand':<46} {by_hand:8.1f}  {loss:15.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smallest form")
    parser.add_argument("--pairs", type=int, default=25, help="of each comparison")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pairs = 1 if given.quick else given.pairs
    print(heading(f"{given.threads} threads, pairs: {pairs}"))
    with tempfile.TemporaryDirectory() as folder:
        options = text_options(folder)
        against_bare(options, pairs, given.quick)
        whole_trial(options, given.quick)


if __name__ == "__main__":
    main()
