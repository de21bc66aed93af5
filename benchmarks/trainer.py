"""Compares the trainer's speed with the bare training step and with the usual PyTorch loop.

    python benchmarks/trainer.py            # ten minutes on two quiet cores
    python benchmarks/trainer.py --quick    # the smallest form, on the digits, in a minute
    python benchmarks/trainer.py --seeds 5  # instead accuracies by precision: an hour on two cores

The bare step is the forward pass, backward pass and optimizer step of the same network on tensors
that are already on the device, on a GPU as one CUDA graph. The usual loop is a DataLoader with two
workers, torchvision's transforms image by image, and float32. The trainer and the bare step use the
precision that --precision auto selects on this machine. Further tables compare the trainer with
itself in float32, with itself compiled, and several trainers at once with a single one. On a GPU
the last table shows the cost of determinism.

Both runs of a pair train the same number of images, one after the other, in alternating order. The
tables show the median, the smallest and the largest ratio of the pairs.

Accuracies are those of 3-3-3 on 5,000 Fashion-MNIST images after 20 epochs with a cosine learning
rate.
"""

import argparse
import tempfile
from dataclasses import replace
from statistics import mean, median, stdev

import gpt
import numpy as np
import torch
from heading import heading
from PIL import Image
from steps import (
    BATCH,
    LR,
    Run,
    bare_steps,
    compared,
    in_processes,
    in_threads,
    mps_runs,
    own_epoch,
    seconds,
)
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

from growsearch import Trainer, TrialConfig
from growsearch.machine.processor import bfloat16_instructions
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.networks import build_network
from growsearch.training.auto_precision import auto_precision, bfloat16_speedup

HEAD = "images/s                           trainer  {:>14}   ratio   least  largest"


def config_of(
    depth: int, size: int, batches: int, dataset: str, precision: str = "auto"
) -> TrialConfig:
    return TrialConfig(
        dataset=dataset, image_size=size, architecture="-".join([str(depth)] * 3),
        precision=precision, policy="none", train_size=BATCH * batches, batch_size=BATCH,
        lr=LR, epochs=1000, compile="off",
    )  # fmt: skip


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images as torchvision's data sets return them: one picture, transformed when it is read."""

    def __init__(self, images: Images, transform: transforms.Compose) -> None:
        self.images, self.labels = images.images.cpu().numpy(), images.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(np.squeeze(self.images[i]))), self.labels[i]


def usual_loop(trainer: Trainer) -> Run:
    """A function that trains an epoch on the same images with the loop of common tutorials."""
    dataset, device = trainer.task.dataset, trainer.task.device
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
        network.parameters(), lr=LR, momentum=0.9, weight_decay=trainer.config.weight_decay
    )

    def run() -> None:
        torch.backends.cudnn.allow_tf32 = True  # torch's default, which the trainer switches off
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
        torch.backends.cudnn.allow_tf32 = False

    return run


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


def against_compiled(size: int, dataset: str, pairs: int, batches: int) -> None:
    print("\n" + HEAD.format("not compiled"))
    config = config_of(3, size, batches, dataset)
    (own, _), (other, _) = own_epoch(replace(config, compile="on")), own_epoch(config)
    took = seconds(own)
    show(f"3-3-3, {size}x{size}, compiled", batches, *compared(own, other, pairs))
    print(f"its first epoch, in which it was compiled, took {took:.0f} s")
    whole = Trainer(TrialConfig(dataset=dataset)).config
    print(f"for LipGrow's {whole.epochs} epochs of all images --compile auto is {whole.compile}")


def at_once(size: int, dataset: str, batches: int, trials: int, span: float) -> None:
    """Prints the speed of `trials` at once, as processes (as in a search) and as threads.

    Each thread has its own CUDA stream.
    """
    print(f"\ntrials at once, 3-3-3, {size}x{size}: images/s of all together")
    if torch.cuda.is_available():
        print(f"NVIDIA's MPS {'runs' if mps_runs() else 'does not run: processes take turns'}")
    config = config_of(3, size, batches, dataset)
    alone = sum(in_processes(config, 1, span))
    print(f"one                       {alone:12.0f}", flush=True)
    for kind, together in (("processes", in_processes), ("threads", in_threads)):
        images = sum(together(config, trials, span))
        times = f"{images:12.0f}  {images / alone:6.3f} times that of one"
        print(f"{f'{trials} {kind}':<24}  {times}", flush=True)


def price_of_determinism(size: int, dataset: str, pairs: int, batches: int) -> None:
    print("\nbare step, images/s           deterministic        whatever is fastest   ratio")
    trainer = Trainer(config_of(3, size, batches, dataset))
    kinds = [bare_steps(trainer, batches, deterministic) for deterministic in (True, False)]
    show(f"3-3-3, {size}x{size}", batches, *compared(*kinds, pairs))


def accuracies(seeds: int) -> None:
    print("\naccuracy (%) of the last epoch")
    print("precision  images        mean  deviation  by seed")
    for precision in ("float32", "bfloat16"):
        found: dict[str, list[float]] = {"validation": [], "test": []}
        for seed in range(seeds):
            trial = TrialConfig(
                dataset="fashion-mnist", train_size=5000, architecture="3-3-3", policy="none",
                epochs=20, lr=0.1, lr_schedule="cosine", seed=seed, precision=precision,
            )  # fmt: skip
            *_, last = Trainer(trial)
            found["validation"].append(last.val_accuracy)
            found["test"].append(last.test_accuracy)
        for images, values in found.items():
            listed = "  ".join(f"{value:.2f}" for value in values)
            figures = f"{mean(values):6.2f}  {stdev(values):9.2f}  {listed}"
            print(f"{precision:<9}  {images:<10}  {figures}", flush=True)


def language(pairs: int, quick: bool = False) -> None:
    """The task language on the CPU; see gpt.py, which also has a whole trial."""
    print()
    with tempfile.TemporaryDirectory() as folder:
        gpt.against_bare(gpt.text_options(folder), pairs, quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest form")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pairs", type=int, default=7, help="of each comparison")
    parser.add_argument("--trials", type=int, default=3, help="at once")
    parser.add_argument("--seeds", type=int, default=0)
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
        at_once(8, "digits", batches=4, trials=2, span=0.5)
        language(pairs, quick=True)
        return
    if parsed.seeds:
        accuracies(parsed.seeds)
        return
    against_bare([2, 4, 6, 8, 10, 12], [28, 32], "fashion-mnist", pairs)
    against_usual(28, "fashion-mnist", pairs, batches=40)
    against_float32(28, "fashion-mnist", pairs, batches=8)
    against_compiled(28, "fashion-mnist", pairs, batches=8)
    batches = 40 if device.type == "cuda" else 8
    at_once(28, "fashion-mnist", batches, parsed.trials, span=10)
    language(pairs)
    if device.type == "cuda":
        price_of_determinism(28, "fashion-mnist", pairs, batches=8)


if __name__ == "__main__":
    main()
