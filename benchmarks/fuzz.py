"""Fuzzes what reads the files of strangers, guided by coverage; it needs `pip install '.[fuzz]'`.

    python benchmarks/fuzz.py                     # 100,000 inputs; two hours
    python benchmarks/fuzz.py --only log --runs 5000 --seed 3

Each reader gets files that are mutated by libFuzzer, or, where they are JSON, in their values too.
Checksums and archives are made right again, as a forger would. A reader may refuse a file by
InputError. Anything else counts as a failure: another exception, more than 20 s, 3 GB of memory, a
file written elsewhere, a process, a connection, code that is compiled or run, or memory that grows.
The input of a failure is kept under --keep, and `--only READER --input FILE` reads it alone.
"""

import argparse
import faulthandler
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
from heading import heading

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/hostile"))
with atheris.instrument_imports(include=["growsearch"] if "--only" in sys.argv else []):
    import fuzz_readers
    import honest
    from watch import Watch

    from growsearch.trial.errors import InputError

ODD: list[Any] = [
    None, True, 0, -1, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "..", "/etc/passwd",
    "a\0b", "\ud800", "x" * 300, "</script><script>", "1e999999", [], {}, [[]], [None], {"": None},
]  # fmt: skip
SLOW = 0.015
"""Share of the inputs that each slow reader gets."""


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000, help="inputs, over all readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(fuzz_readers.READERS))
    parser.add_argument("--input", type=Path, help="read this file alone")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="failures go here")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    if given.only:
        fuzz(given.only, given)  # does not return
    readers = fuzz_readers.READERS
    slow = int(SLOW * given.runs)
    quick = (given.runs - slow * sum(r.slow for r in readers.values())) // sum(
        not r.slow for r in readers.values()
    )
    print(heading(f"{quick} inputs each, or {slow}, seed {given.seed}, atheris"), flush=True)
    failed = []
    for name, reader in readers.items():
        command = [
            sys.executable, __file__, "--only", name, "--runs", str(slow if reader.slow else quick),
            "--seed", str(given.seed), "--keep", str(given.keep),
        ]  # fmt: skip
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = done.stdout.splitlines()
        if done.returncode:
            failed.append(name)
            print("\n".join(lines[-25:]))
        else:
            (given.keep / f"{name}-now").unlink()
        found = next((line for line in reversed(lines) if line.startswith("read ")), "")
        print(f"{name:<14} {'FAILED' if done.returncode else 'passed'}  {found}", flush=True)
    return 1 if failed else 0


def fuzz(name: str, given: argparse.Namespace) -> None:
    """Feeds one reader, and ends the process."""
    logging.disable()
    warnings.simplefilter("ignore")
    reader = fuzz_readers.READERS[name]
    folder = Path(tempfile.mkdtemp())
    honest.made(folder)
    place = folder / reader.place
    original = place.read_bytes()
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "whole").write_bytes(reader.inner(original))
    counts = {"read": 0, "refused": 0}
    reader.read(folder)  # libraries make code when they are imported
    watch = Watch(folder)
    memory = Memory()
    beside = set(os.listdir(folder))

    now = given.keep / f"{name}-now"  # there too after a crash, or 20 s

    def feed(data: bytes) -> None:
        now.write_bytes(data)
        faulthandler.dump_traceback_later(20, exit=True)
        place.write_bytes(reader.whole(data, original))
        with watch.watching() as seen:
            try:
                reader.read(folder)
                counts["read"] += 1
            except InputError as error:
                counts["refused"] += 1
                if "\n" in str(error):
                    raise AssertionError(f"an error of several lines: {error}") from error
        if seen:
            raise AssertionError(seen[0])
        if there := set(os.listdir(folder)) - beside - {"corpus"}:
            raise AssertionError(f"left {sorted(there)}")
        memory.after(sum(counts.values()))
        if sum(counts.values()) % 500 == 0:
            print(f"read {counts['read']}, refused {counts['refused']}, {memory}", flush=True)

    if given.input:
        feed(given.input.read_bytes())
        sys.exit(0)
    feed(reader.inner(original))
    if not counts["read"]:
        raise AssertionError("the file to begin from is refused")
    flags = [
        f"-atheris_runs={given.runs}", f"-seed={given.seed}", "-timeout=1000000",
        "-rss_limit_mb=3000", f"-max_len={max(4096, 2 * len(reader.inner(original)))}",
        "-len_control=0", f"-artifact_prefix={given.keep}/{name}-",
    ]  # fmt: skip
    mutator = json_mutator(lines=reader.json == "lines") if reader.json else None
    more = {"custom_mutator": mutator} if mutator else {}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], feed, **more)
    atheris.Fuzz()


class Memory:
    """The memory of this process, which must not grow after its first 1000 inputs."""

    early = 0

    def after(self, inputs: int) -> None:
        if inputs == 1000:
            self.early = self._resident()
        if inputs > 1000 and (grown := self._resident() - self.early) > 5e8:
            raise AssertionError(f"memory grew by {grown / 1e6:.0f} MB")

    def __str__(self) -> str:
        return f"{self._resident() / 1e6:.0f} MB"

    @staticmethod
    def _resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def json_mutator(lines: bool) -> Callable[[bytes, int, int], bytes]:
    """A mutator that changes a value of the JSON half of the time, and bytes otherwise."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if draw.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        try:
            parts = [json.loads(line) for line in (data.splitlines() if lines else [data])]
        except (ValueError, RecursionError):
            return bytes(atheris.Mutate(data, most))
        for _ in range(draw.randrange(1, 3)):
            at = draw.randrange(len(parts)) if parts else 0
            parts[at : at + 1] = [_changed(part, draw) for part in parts[at : at + 1]]
        return b"".join(json.dumps(part).encode() + b"\n" * lines for part in parts)[:most]

    return mutate


def _changed(value: Any, draw: random.Random) -> Any:
    """The value with one part of it odd, missing, or twice there."""
    if draw.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return draw.choice(ODD)
    if isinstance(value, list):
        at = draw.randrange(len(value))
        return [*value[:at], _changed(value[at], draw), *value[at + draw.randrange(2) :]]
    name = draw.choice(list(value))
    kept = {key: part for key, part in value.items() if key != name}
    if draw.random() < 0.15:
        return kept
    return kept | {name if draw.random() < 0.9 else "new": _changed(value[name], draw)}


if __name__ == "__main__":
    sys.exit(main())
