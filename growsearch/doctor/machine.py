"""Looks at the versions, the processors and the memory of this machine."""

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

import torch

from growsearch.doctor.finding import Finding, failed, fine, warning
from growsearch.machine.cache import cache_folder
from growsearch.machine.devices import device_of
from growsearch.machine.memory import memory_bytes
from growsearch.machine.processor import processor
from growsearch.training.auto_precision import VARIABLE, auto_precision
from growsearch.trial.errors import InputError, because

_LITTLE = 4e9
"""Bytes of memory below which a search of several trials at a time is likely to run out."""


def versions() -> Finding:
    """Whether the packages that growsearch requires are there, in versions that it allows."""
    from packaging.requirements import Requirement

    python = ".".join(map(str, sys.version_info[:3]))
    try:
        about = metadata.metadata("growsearch")
    except metadata.PackageNotFoundError:
        return warning(
            "versions", f"Python {python}; growsearch is not installed, so which versions it needs "
            "is not known", "install it: pip install . in its folder",
        )  # fmt: skip
    found, wrong = [f"Python {python}"], []
    for text in about.get_all("Requires-Dist") or []:
        needed = Requirement(text)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        found.append(f"{needed.name} {version}")
        if not needed.specifier.contains(version, prereleases=True):
            wrong.append(f"{needed.name} is {version}, not {needed.specifier}")
    if wrong:
        return failed("versions", "; ".join(wrong), "pip install --upgrade growsearch")
    return fine("versions", ", ".join(found))


def device() -> Finding:
    """The device of `--device auto`. A GPU must compute what the processor does, twice alike."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not torch.cuda.is_available():
        said = f"{processor()}, {cores} cores, no GPU"
        if shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
            return warning(
                "device", f"{said} that torch {torch.__version__} can use, though NVIDIA's driver "
                "is here", "install a torch that is made for the driver's CUDA version",
            )  # fmt: skip
        return fine("device", said)
    gpu = device_of("cuda")
    names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    numbers = torch.linspace(-1, 1, 256 * 256, dtype=torch.float32).reshape(256, 256)
    first, again = ((numbers.to(gpu) @ numbers.to(gpu)).cpu() for _ in range(2))
    said = f"{', '.join(names)}; {cores} cores"
    if not torch.equal(first, again):
        return failed("device", f"{said}; a product twice has other bits", "have the GPU checked")
    if not torch.allclose(first, numbers @ numbers, rtol=1e-4, atol=1e-3):
        return failed("device", f"{said}; a product is wrong", "have the GPU checked")
    return fine("device", said)


def precision() -> Finding:
    """What `--precision auto` is here, and why."""
    kind = device_of("auto")
    try:
        chosen = auto_precision(kind)
    except InputError as error:
        return failed("precision", str(error), f"unset {VARIABLE}")
    if os.environ.get(VARIABLE):
        return fine("precision", f"auto is {chosen}: {VARIABLE} says so")
    why = "by what the GPU can do" if kind.type == "cuda" else "the faster one when it was measured"
    return fine("precision", f"auto is {chosen}, {why}")


def memory() -> Finding:
    """The memory that this machine, or its container, has."""
    size = memory_bytes()
    said = f"{size / 1e9:,.1f} GB"
    if size < _LITTLE:
        return warning("memory", said, "run few trials at a time: --max-concurrent 1")
    return fine("memory", said)


def cache() -> Finding:
    """Whether the cache folder, where downloads and measurements are kept, can be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return failed(
            "cache", f"{folder} cannot be written ({because(error)})",
            "make it writable, or give another place by XDG_CACHE_HOME",
        )  # fmt: skip
    return fine("cache", str(folder))
