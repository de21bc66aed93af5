"""The small trials that benchmarks/gpu.py looks at, and what tells two of them apart."""

from dataclasses import fields
from typing import Any

import torch
from gpu_rows import Bench, Unequal
from made_images import made_images
from torch import Tensor

from growsearch.tasks.images.dataset import Dataset
from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord

FEW = ("basic3resnet", "preact3resnet", "plain3net", "plain4net-imagenet")
"""Families for a processor."""


def images_of(bench: Bench, channels: int, family: str = "", crop: int = 0) -> Dataset:
    """Two batches and a smaller one."""
    batch = _batch(bench)
    # in bfloat16 torch's 3x3 convolutions of stride 2 are wrong on some processors where images
    # are of one pixel, as those of 8x8 become behind ImageNet's stem
    side = bench.small(64, 32) if family.endswith("imagenet") else bench.small(32, 8)
    shape = (channels, side, side)
    return made_images(shape, 2 * batch + batch // 2, bench.small(200, 40), crop=crop)


def trial(bench: Bench, precision: str = "float32", **options: Any) -> TrialConfig:
    """Of three epochs that grows after the first, if the options do not say otherwise."""
    n = components("network")[options.get("network", "basic3resnet")].subnetworks
    given: dict[str, Any] = {
        "architecture": "-".join("2" * n), "policy": "fixed", "epochs": 3, "lr": 0.01,
        "batch_size": _batch(bench), "record_lipschitz": "layers", "device": bench.device.type,
        "precision": precision, "compile": "off", **options,
    }  # fmt: skip
    if given["policy"] == "fixed":
        given = {"growth_epochs": 1, "growth_architectures": "-".join("3" * n), **given}
    return TrialConfig(**given)


def _batch(bench: Bench) -> int:
    return bench.small(64, 16)


def same_records(what: str, found: list[EpochRecord], expected: list[EpochRecord]) -> None:
    """Unequal, with the first field that differs, unless all but times are equal."""
    if len(found) != len(expected):
        raise Unequal(f"{what}: {len(found)} epochs, not {len(expected)}")
    names = [f.name for f in fields(EpochRecord) if f.compare and f.name not in ("key", "reused")]
    for one, other in zip(found, expected, strict=True):
        for name in names:
            if (mine := getattr(one, name)) != (theirs := getattr(other, name)):
                raise Unequal(f"{what} differ in {name} of epoch {one.epoch}: {mine}, {theirs}")


def same(what: str, one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Unequal, with the first tensor that differs, unless all bits are equal."""
    for name, tensor in one.items():
        if not torch.equal(tensor.cpu(), other[name].cpu()):
            gap = (tensor.double() - other[name].double()).abs().max().item()
            raise Unequal(f"{what} differ, first in {name}, by {gap:.3g} at most")
