"""How fast the trainer trains: against the bare step, and against the usual PyTorch loop.

    python benchmarks/trainer.py            # half an hour on two quiet cores
    python benchmarks/trainer.py --quick    # the smallest form, on the digits, in seconds

The bare step is forward, backward and optimizer step of the same network on tensors already in
place. The usual loop is a DataLoader with two workers, torchvision's transforms image by image, and
float32. The trainer computes in what --precision auto comes to here, and so does the bare step; the
last table compares the trainer with itself in float32. Each pair trains the same number of images,
one after the other, first the one and then the other in turn; what is shown is the median of the
pairs' ratios, their least and their largest.
"""

import argparse
import copy
import time
from collections.abc import Callable
from statistics import mean, median, stdev

import numpy as np
import torch
from heading import heading
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

from growsearch import Trainer, TrialConfig
from growsearch.data import Images
from growsearch.machine import bfloat16_instructions
from growsearch.networks import build_network
from growsearch.precision import auto_precision, autocast, bfloat16_speedup
from growsearch.train_state import MOMENTUM, new_optimizer
from growsearch.training import train_epoch

BATCH, LR = 128, 0.01
HEAD = "images/s                           trainer  {:>14}   ratio   least  largest"
Run = Callable[[], None]


def config_of(
    depth: int, size: int, batches: int, dataset: str, precision: str = "auto"
) -> TrialConfig:
    return TrialConfig(
        dataset=dataset, image_size=size, architecture="-".join([str(depth)] * 3),
        precision=precision, policy="none", train_size=BATCH * batches, batch_size=BATCH,
        lr=LR, epochs=1000,
    )  # fmt: skip


def own_epoch(config: TrialConfig) -> tuple[Run, Trainer]:
    """What trains an epoch of the trial, and nothing else."""
    trainer = Trainer(config)

    def run() -> None:
        train_epoch(trainer.state, LR, trainer.config, trainer.dataset)

    return run, trainer


def bare_steps(trainer: Trainer, batches: int) -> Run:
    """As many steps of the trainer's network on one batch that lies ready."""
    network = copy.deepcopy(trainer.state.network).train()
    optimizer = new_optimizer(trainer.config, network)
    batch = next(trainer.dataset.training_batches(BATCH, seed=0, epoch=1))
    images = batch.images.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        for _ in range(batches):
            with autocast(trainer.config.precision, trainer.device):
                logits = network(images)
            loss = F.cross_entropy(logits, batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # a GPU has done them all

    return run


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images as torchvision's own data sets give them: a picture, transformed when asked for."""

    def __init__(self, images: Images, transform: transforms.Compose) -> None:
        self.images, self.labels = images.images.cpu().numpy(), images.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(np.squeeze(self.images[i]))), self.labels[i]


def usual_loop(trainer: Trainer) -> Run:
    """An epoch on the same images as tutorials write it."""
    dataset, device = trainer.dataset, trainer.device
    transform = transforms.Compose([
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(dataset.spec.mean, dataset.spec.std),
    ])  # fmt: skip
    assert isinstance(dataset.train, Images)
    loader = DataLoader(
        Pictures(dataset.train, transform), BATCH, shuffle=True, num_workers=2,
        persistent_workers=True, pin_memory=device.type == "cuda",
    )  # fmt: skip
    network = build_network(
        trainer.config.network, trainer.state.architecture, dataset.image_shape, 10, seed=0
    ).to(device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=trainer.config.weight_decay
    )

    def run() -> None:
        network.train()
        total = right = 0.0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = network(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            right += (logits.argmax(1) == labels).sum().item()

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


def show(label: str, batches: int, own: list[float], other: list[float]) -> None:
    ratios = [theirs / mine for mine, theirs in zip(own, other, strict=True)]
    images = BATCH * batches
    print(
        f"{label:<28}  {images / median(own):12.0f}  {images / median(other):14.0f}"
        f"  {median(ratios):6.3f}  {min(ratios):6.3f}  {max(ratios):6.3f}",
        flush=True,
    )


def against_bare(depths: list[int], sizes: list[int], dataset: str, pairs: int) -> None:
    batches = 4
    print(HEAD.format("bare step"))
    for size in sizes:
        for depth in depths:
            own, trainer = own_epoch(config_of(depth, size, batches, dataset))
            times = compared(own, bare_steps(trainer, batches), pairs)
            show(f"{trainer.config.architecture}, {size}x{size}", batches, *times)


def against_float32(size: int, dataset: str, pairs: int, batches: int) -> None:
    print("\n" + HEAD.format("in float32"))
    (own, _), (other, _) = (
        own_epoch(config_of(3, size, batches, dataset, precision))
        for precision in ("bfloat16", "float32")
    )
    show(f"3-3-3, {size}x{size}, bfloat16", batches, *compared(own, other, pairs))


def against_usual(size: int, dataset: str, pairs: int, batches: int) -> None:
    print("\n" + HEAD.format("usual loop"))
    own, trainer = own_epoch(config_of(3, size, batches, dataset))
    show(f"3-3-3, {size}x{size}", batches, *compared(own, usual_loop(trainer), pairs))


def accuracies(seeds: int, epochs: int) -> None:
    """Of full trials on the digits, which grow twice, in both precisions."""
    print(f"\nvalidation accuracy (%) after {epochs} epochs on the digits, hand-tuned growth")
    print("precision      mean  deviation  by seed")
    for precision in ("float32", "bfloat16"):
        found = []
        for seed in range(seeds):
            trial = TrialConfig(
                policy="hand-tuned", epochs=epochs, lr=0.1, seed=seed, precision=precision
            )
            *_, last = Trainer(trial)
            found.append(last.val_accuracy)
        listed = "  ".join(f"{accuracy:.2f}" for accuracy in found)
        print(f"{precision:<12} {mean(found):6.2f}  {stdev(found):9.2f}  {listed}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest form")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pairs", type=int, default=7, help="of each comparison")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    pairs = 1 if parsed.quick else parsed.pairs
    print(f"{heading(f'{parsed.threads} threads')}, batches of {BATCH}, pairs: {pairs}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    instructions = " ".join(bfloat16_instructions()) or "none"
    print(f"instructions for bfloat16: {instructions}; precision auto is {auto_precision(device)}")
    if device.type == "cpu":
        print(f"its measurement: bfloat16 is {bfloat16_speedup():.2f} times as fast\n")
    if parsed.quick:
        against_bare([2], [8], "digits", pairs)
        against_usual(8, "digits", pairs, batches=4)
        against_float32(8, "digits", pairs, batches=4)
        return
    against_bare([2, 4, 6, 8, 10, 12], [28, 32], "fashion-mnist", pairs)
    against_usual(28, "fashion-mnist", pairs, batches=40)
    against_float32(28, "fashion-mnist", pairs, batches=8)
    accuracies(seeds=5, epochs=30)


if __name__ == "__main__":
    main()
