"""Measures the cost of Lipschitz constants: as shares of an epoch, and LipGrow's Table 1.

    python benchmarks/lipschitz.py [--threads N] [--epochs N]

The epochs are the trainer's own, on 5,000 Fashion-MNIST images. The first share is of the time
that training takes. The second is of the whole epoch: training, evaluation on validation and test
images, and the Lipschitz constants. Table 1 is measured beside the exact method that the paper
mentions (Sedghi et al. 2018: a Fourier transform and one SVD a frequency). That method assumes
circular padding and no strides.
"""

import argparse
import time
from statistics import median

import torch
from heading import heading

from growsearch.tasks.images.lipschitz import lipschitz_constants
from growsearch.tasks.images.networks import GrowableNetwork, build_network
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--epochs", type=int, default=3)
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    made = heading(f"{parsed.threads} threads")
    print(f"{made}; medians of {parsed.epochs - 1} warm epochs, 5 calls")
    print(
        "\nnetwork    training s   whole epoch s   Lipschitz s, first   then"
        "   share of training   of the whole epoch"
    )
    for n in (3, 8, 12):
        show_share(n, parsed.epochs)
    print("\nconvolution filters   Lipschitz s an epoch (Table 1)   exact, circular s")
    for n in range(3, 13):
        show_table_1(n)


def show_share(n: int, epochs: int) -> None:
    config = TrialConfig(
        dataset="fashion-mnist", train_size=5000, policy="none", epochs=epochs,
        architecture=str(Architecture([n] * 3)),
    )  # fmt: skip
    first, *warm = Trainer(config)
    print(
        f"ResNet-{6 * n + 2:<3}  {median(map(training, warm)):10.2f}"
        f"   {median(map(whole, warm)):13.2f}"
        f"   {first.lipschitz_seconds:18.3f}  {median(map(lipschitz, warm)):5.3f}"
        f"   {median(lipschitz(record) / training(record) for record in warm):17.2%}"
        f"   {median(lipschitz(record) / whole(record) for record in warm):18.2%}"
    )


def training(record: EpochRecord) -> float:
    return record.train_seconds


def lipschitz(record: EpochRecord) -> float:
    return record.lipschitz_seconds


def whole(record: EpochRecord) -> float:
    return record.train_seconds + record.eval_seconds + record.lipschitz_seconds


def show_table_1(n: int) -> None:
    network = build_network("basic3resnet", Architecture([n] * 3), (3, 32, 32), 10, seed=0)
    vectors: dict[str, torch.Tensor] = {}
    lipschitz_constants(network, (32, 32), vectors)
    ours = median(timed(lipschitz_constants, network, (32, 32), vectors, 0, True) for _ in range(5))
    exact = timed(circular_norms, network)
    print(f"{6 * n:19d}   {ours:30.3f}   {exact:17.2f}")


def timed(function, *arguments) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


@torch.no_grad()
def circular_norms(network: GrowableNetwork) -> list[float]:
    norms = []
    for size, blocks in zip((32, 16, 8), network.blocks, strict=True):
        for block in blocks:
            for conv, _ in block.layers():
                transfer = torch.fft.fft2(conv.weight, (size, size)).permute(2, 3, 0, 1)
                norms.append(torch.linalg.svdvals(transfer).max().item())
    return norms


if __name__ == "__main__":
    main()
