"""Measures how fast training reads pictures: from files in each epoch, or decoded once.

    python benchmarks/pictures.py [--pictures N] [--pairs N] [--threads N]

The pictures are synthetic JPEGs of 500x375 pixels, smooth noise of quality 90. An epoch makes all
training batches as bytes, before normalization on the device, and trains nothing. Epochs from files
and from decoded pictures take turns; all files are in the system's cache.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from heading import heading
from PIL import Image

from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.decode import Decoding
from growsearch.tasks.images.loading import load_dataset

BATCH_SIZE, CLASSES = 64, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    print(heading(f"{parsed.threads} threads, so {max(parsed.threads - 1, 1)} worker(s)"))
    with TemporaryDirectory() as folder:
        files, decoded = Path(folder, "files"), Path(folder, "decoded")
        write(files, parsed.pictures)
        started = time.perf_counter()
        pixels = sum(Decoding(str(files), str(decoded)))
        seconds = time.perf_counter() - started
        sizes = [path.stat().st_size for path in files.rglob("*.jpg")]
        n = len(sizes)
        print(f"bytes per picture: {sum(sizes) / n:,.0f} in files, {pixels / n:,.0f} decoded")
        print(f"decoding on all cores: {n / seconds:,.0f} pictures/s")
        compare(parsed.pictures, parsed.pairs, str(files), str(decoded))


def write(folder: Path, n: int) -> None:
    draw = np.random.default_rng(0)
    for part, size in (("train", n), ("val", CLASSES)):
        for i in range(size):
            coarse = draw.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            smooth = np.asarray(
                Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
            )
            pixels = smooth + draw.integers(-8, 9, (375, 500, 3))
            path = folder / part / f"class{i % CLASSES}" / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def compare(n: int, pairs: int, *folders: str) -> None:
    """Images/s of each folder's epochs, which take turns; the first pair is a warm-up."""
    sets = [load_dataset("imagenet", folder, "autogrow-paper") for folder in folders]
    rates = [[n / seconds(dataset, seed) for dataset in sets] for seed in range(pairs + 1)][1:]
    for name, values in zip(("files", "decoded"), zip(*rates, strict=True), strict=True):
        print(f"training batches from {name:<8} {median(values):6,.0f} images/s")
    ratios = [decoded / files for files, decoded in rates]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"decoded is {median(ratios):.2f} times as fast as files ({spread}, {pairs} pairs)")


def seconds(dataset: Dataset, seed: int) -> float:
    draw = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    for _ in dataset.train.augmented_batches(BATCH_SIZE, dataset.spec, draw):
        pass
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
