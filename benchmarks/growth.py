"""Measures the cost of growing: training steps over 123 growths, and the growth itself.

    python benchmarks/growth.py            # about ten minutes on two cores
    python benchmarks/growth.py --quick    # a few growths

The first table grows basic3resnet from 1-1-1 to 42-42-42 (AutoGrow's largest network) on the
digits, one sub-module an epoch. It compares time and memory of the grown network's steps with those
of the same network built in a new process: growth must not slow later steps. The second table grows
by one sub-module on 5,000 Fashion-MNIST images; growth must take less than 2 % of the epoch before.
The measurements at a growth (theory and a second validation) are in a column of their own.
"""

import argparse
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import torch
from heading import heading

from growsearch import Architecture, Trainer, TrialConfig
from growsearch.tasks.images.loading import load_dataset

TRAIN_SIZE, BATCH = 512, 128
STEPS = TRAIN_SIZE // BATCH


def megabytes() -> float:
    """The peak memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step_ms(seconds: float) -> float:
    return 1000 * seconds / STEPS


def fresh(architecture: str, threads: int) -> tuple[float, float]:
    """Milliseconds a step and peak MB of a newly built network; runs in a process of its own."""
    torch.set_num_threads(threads)
    config = TrialConfig(
        policy="none", architecture=architecture, epochs=4, train_size=TRAIN_SIZE, lr=0.1
    )
    seconds = median(record.train_seconds for record in list(Trainer(config))[1:])
    return step_ms(seconds), megabytes()


def in_own_process(architecture: str) -> tuple[float, float]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(fresh, architecture, torch.get_num_threads()).result()


def grow_to(blocks: int, shown: int) -> None:
    config = TrialConfig(
        policy="periodic", interval=1, patience=1000, finetune_epochs=3, epochs=2000,
        max_architecture=str(Architecture([blocks] * 3)), train_size=TRAIN_SIZE,
    )  # fmt: skip
    print(f"growing to {config.max_architecture}, {TRAIN_SIZE} digits, batches of {BATCH}")
    print("blocks   step, grown (ms)  made anew (ms)  ratio   memory, grown (MB)  made anew (MB)")
    recent: list[float] = []
    for record in Trainer(config):
        recent.append(record.train_seconds)
        depths = Architecture(record.architecture).blocks
        last = record.status == "completed"
        if last or (len(set(depths)) == 1 and depths[0] % shown == 0 and record.grew):
            # The median of three epochs, whose networks differ by two blocks at most.
            grown, memory = step_ms(median(recent[-3:])), megabytes()
            anew, memory_anew = in_own_process(record.architecture)
            print(
                f"{sum(depths):6d}   {grown:16.1f}  {anew:14.1f}  {grown / anew:5.2f}"
                f"   {memory:18.0f}  {memory_anew:14.0f}",
                flush=True,
            )


def growth_against_epoch(architectures: list[str]) -> None:
    print("\none sub-module more, 5,000 Fashion-MNIST images of 28x28")
    print("from       growth (s)  epoch without (s)  share  training alone (s)  measuring it (s)")
    for architecture in architectures:
        config = TrialConfig(
            dataset="fashion-mnist", train_size=5000, lr=0.1, architecture=architecture,
            policy="fixed", growth_epochs=2, epochs=3, initializer="gaussian", placement="end",
            growth_architectures=str(Architecture(architecture).grown(0)),
        )  # fmt: skip
        trainer = Trainer(config)
        before, grown = next(trainer), next(trainer)
        measuring = max(grown.eval_seconds - before.eval_seconds, 0)
        print(
            f"{architecture:<9}  {grown.growth_seconds:10.3f}  {before.seconds:17.2f}"
            f"  {grown.growth_seconds / before.seconds:5.2%}  {before.train_seconds:18.2f}"
            f"  {measuring:16.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few growths only")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    quick = parsed.quick
    load_dataset("fashion-mnist")  # fails early if files are missing
    print(f"{heading(f'{parsed.threads} threads')}\n")
    grow_to(blocks=3 if quick else 42, shown=1 if quick else 7)
    growth_against_epoch(["1-1-1"] if quick else ["1-1-1", "3-3-3", "7-7-7", "14-14-14"])


if __name__ == "__main__":
    main()
