"""The processor of this machine."""

import platform
from pathlib import Path

_BFLOAT16 = ("amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16")


def processor() -> str:
    """The processor's name; empty if the system does not report it."""
    return next(iter(_lines("model name")), "") or platform.processor()


def bfloat16_instructions() -> list[str]:
    """The processor's instruction sets for bfloat16, by their names on x86 and ARM.

    They decide how sums of bfloat16 numbers round.
    """
    flags = {flag for line in _lines("flags") + _lines("Features") for flag in line.split()}
    return [name for name in _BFLOAT16 if name in flags]


def _lines(name: str) -> list[str]:
    """Values in /proc/cpuinfo whose names start with `name`; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
