"""Compares the two Lipschitz constants of a growing ResNet, and measures what Jacobians cost.

    python benchmarks/jacobian.py                       # a minute on two quiet cores
    python benchmarks/jacobian.py --picture both.png    # and the picture
    python benchmarks/jacobian.py --cost --data-dir text.txt  # shares of epochs; five minutes

The run is one of LipGrow on digits, by the products of layers (option lipschitz "layers"). After
each epoch Jacobians (option "jacobian") are taken of the same network, beside it. Both columns are
means over all blocks; ratios are to the first epoch of the same depth, as LipGrow's trigger has
them without its window. Costs are processor time of the Jacobians over that of the whole epoch,
medians of warm epochs: four blocks of the GPT of examples/ (100 steps of 12 x 64 bytes), and
ResNet-20 on 5,000 Fashion-MNIST images.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from heading import heading

from growsearch import Trainer, TrialConfig
from growsearch.tasks.task import Task
from growsearch.training import epoch as epochs
from growsearch.training.state import TrainState
from growsearch.trial.plugins import load_plugins

EXAMPLES = Path(__file__).parent.parent / "examples"
RUN = {"dataset": "digits", "policy": "lipschitz", "window": 2, "lr": 0.1, "precision": "float32"}


@dataclass(frozen=True)
class Epoch:
    architecture: str
    layers: float
    jacobian: float
    largest: float


def both(given: int) -> Iterator[Epoch]:
    """The epochs of the run with both constants after each."""
    trainer = Trainer(TrialConfig(**RUN, epochs=given))
    beside = trainer.task.of(trainer.config.replaced(lipschitz="jacobian")).on(trainer.task.device)
    vectors: dict[str, torch.Tensor] = {}
    taken: list[tuple[float, float]] = []
    measure = epochs.measured_constants

    def measured(state: TrainState, task: Task) -> Any:
        found = measure(state, task)
        kept, state.lipschitz_vectors = state.lipschitz_vectors, vectors
        constants, metrics = measure(state, beside)
        state.lipschitz_vectors = kept
        assert constants is not None
        taken.append((constants.mean, metrics["lipschitz_max"]))
        return found

    epochs.measured_constants = measured
    try:
        for record in trainer:
            assert record.lipschitz is not None
            yield Epoch(record.architecture, record.lipschitz, *taken[-1])
            if record.grew:
                vectors.clear()  # names of blocks have changed
    finally:
        epochs.measured_constants = measure


def show(given: int, picture: str | None) -> None:
    print(f"{heading('digits')}, LipGrow by layers, {given} epochs")
    print("epoch   depth     layers   ratio   Jacobian   ratio   largest   layers / Jacobian")
    first, rows = None, []
    for n, epoch in enumerate(both(given), start=1):
        if first is None or first.architecture != epoch.architecture:
            first = epoch
        rows.append(epoch)
        ratios = epoch.layers / first.layers, epoch.jacobian / first.jacobian
        print(
            f"{n:5d}   {epoch.architecture:7}  {epoch.layers:7.2f} {ratios[0]:7.3f}"
            f"   {epoch.jacobian:8.3f} {ratios[1]:7.3f}   {epoch.largest:7.2f}"
            f"   {epoch.layers / epoch.jacobian:17.1f}"
        )
    if picture:
        save(rows, picture)


def save(rows: list[Epoch], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = range(1, len(rows) + 1)
    figure, axes = plt.subplots(figsize=(6, 3.5), constrained_layout=True)
    axes.plot(x, [row.layers for row in rows], label="product of layers, mean over blocks")
    axes.plot(x, [row.largest for row in rows], label="Jacobian, largest", linestyle=":")
    axes.plot(x, [row.jacobian for row in rows], label="Jacobian, mean over blocks and examples")
    for n, (before, after) in enumerate(pairwise(rows), start=1):
        if before.architecture != after.architecture:
            axes.axvline(n + 0.5, color="grey", linewidth=0.8)
            beside = axes.get_xaxis_transform()
            axes.text(n + 0.6, 0.95, after.architecture, color="grey", size=7, transform=beside)
    axes.set(yscale="log", xlabel="epoch", ylabel="Lipschitz constant")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    print(f"\n{path}")


def cost(name: str, config: TrialConfig) -> None:
    """Prints the share of an epoch's processor time that Jacobians take."""
    measure, taken = epochs.measured_constants, []

    def measured(state: TrainState, task: Task) -> Any:
        started = time.process_time()
        found = measure(state, task)
        taken.append(time.process_time() - started)
        return found

    epochs.measured_constants = measured
    shares, started = [], time.process_time()
    try:
        for _ in Trainer(config):
            ended = time.process_time()
            shares.append(taken[-1] / (ended - started))
            started = ended
    finally:
        epochs.measured_constants = measure
    first, *warm = shares
    print(f"{name:<32} {median(warm):7.2%} {max(warm):8.2%} {first:8.2%} {median(taken[1:]):8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--picture", help="save the picture here")
    parser.add_argument("--cost", action="store_true", help="measure shares of epochs instead")
    parser.add_argument("--data-dir", help="text of the GPT; without it random bytes")
    given = parser.parse_args()
    if not given.cost:
        show(given.epochs, given.picture)
        return
    load_plugins([str(EXAMPLES / "gpt.py")])
    print(f"{heading(f'{torch.get_num_threads()} threads')}")
    print(f"{'task':<32} {'median':>7} {'largest':>8} {'first':>8} {'seconds':>8}")
    usual = {"policy": "none", "precision": "float32", "lipschitz": "jacobian", "compile": "off"}
    cost("GPT, width 64, 4 blocks", TrialConfig(
        **usual, task="gpt", architecture="4", epochs=8, data_dir=given.data_dir or noise(),
    ))  # fmt: skip
    cost("ResNet-20, 5,000 images", TrialConfig(
        **usual, dataset="fashion-mnist", train_size=5000, architecture="3-3-3", epochs=4, lr=0.1,
    ))  # fmt: skip


def noise() -> str:
    """The path of a file of random bytes."""
    import tempfile

    path = Path(tempfile.mkdtemp()) / "bytes"
    path.write_bytes(torch.randint(256, (100_000,), dtype=torch.uint8).numpy().tobytes())
    return str(path)


if __name__ == "__main__":
    main()
