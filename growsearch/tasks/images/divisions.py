"""Ways to divide a split."""

import numpy as np
import torch
from torch import Tensor

from growsearch.machine.randomness import generator
from growsearch.tasks.images.images import Split
from growsearch.trial.errors import InputError


def balanced(available: np.ndarray, total: int) -> list[int]:
    """The number of images to take of each class, `total` in all, as equal as possible.

    `available`, int [classes], limits each number; it must sum to at least `total`.
    """
    wanted = np.zeros_like(available)
    while (missing := total - int(wanted.sum())) > 0:
        open_classes = np.flatnonzero(wanted < available)
        share = max(missing // len(open_classes), 1)
        for label in open_classes[:missing]:
            wanted[label] = min(wanted[label] + share, available[label])
    return [int(n) for n in wanted]


def draw_by_class(labels: Tensor, wanted: list[int], draw: torch.Generator) -> Tensor:
    """Sorted indices, int64, of `wanted[label]` images of each class, which `draw` chooses."""
    chosen = []
    for label, count in enumerate(wanted):
        members = torch.nonzero(labels == label).flatten()
        chosen.append(members[torch.randperm(len(members), generator=draw)[:count]])
    return torch.cat(chosen).sort().values


def held_out(images: Split, classes: int, per_class: int) -> tuple[Split, Split]:
    """`images` divided in two: the rest, and `per_class` images of each class.

    The division is the same for every trial, whatever its seed. Raises InputError if a class has
    fewer than `per_class` images.
    """
    counts = images.labels.bincount(minlength=classes)
    if int(counts.min()) < per_class:
        raise InputError(
            f"class {int(counts.argmin())} has {int(counts.min())} training images, but "
            f"{per_class} of each class are held out of training; get the data set's files again, "
            "or choose another split"
        )
    return divided(images, [per_class] * classes)


def divided(images: Split, wanted: list[int]) -> tuple[Split, Split]:
    """`images` divided in two: the rest, and `wanted[label]` images of each class.

    The division is the same for every trial, whatever its seed.
    """
    draw = generator(0, 0, "held-out split")
    chosen = draw_by_class(images.labels, wanted, draw)
    rest = torch.ones(len(images), dtype=torch.bool)
    rest[chosen] = False
    return images[rest.nonzero().flatten()], images[chosen]


def halves(images: Split, shuffled: bool) -> tuple[Split, Split]:
    """The first and the second half; an odd image goes to the second.

    The division is the same for every trial, whatever its seed.
    """
    n = len(images)
    draw = generator(0, 0, "halved test set")
    order = torch.randperm(n, generator=draw) if shuffled else torch.arange(n)
    return images[order[: n // 2]], images[order[n // 2 :]]
