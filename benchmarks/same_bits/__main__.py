"""Whether two revisions of this repository train the same: their records, bit by bit, and keys.

    python benchmarks/same_bits main .                 # does the working tree change anything?
    python benchmarks/same_bits v1 v2 --cache /tmp/bits  # v1 is not run again the next time
    python benchmarks/same_bits main . --only "policy=periodic" --list

Each of OLD and NEW is a git revision, or a folder with a working tree. Some 700 small trials run
with both, in two processes of one thread each: every policy with every initializer and schedule,
every network family, each option and optimizer, transformers on images and text, resumed trials,
trials that share a store, twins from scratch, plans, and what a configuration accepts. Everything
that they record is compared but wall times, floats by their bits; so are the weights at the end,
the files in the stores, and the tables of results. Then NEW runs over the stores and from the saved
states that OLD has written: it is to reuse all of them, and to go on with the same bits. The exit
code is 1 if anything differs.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import compare
from matrix import Case, all_cases
from revisions import Revision, cache_of, check_out, read_results, run_cases


def main() -> int:
    given = _arguments()
    cases = [
        c
        for c in all_cases(given.compile, given.full)
        if any(text in c.name for text in given.only)
    ]
    if given.list or not cases:
        print("\n".join(case.name for case in cases) or f"no case has {given.only} in its name")
        return int(not cases)
    with tempfile.TemporaryDirectory(prefix="same-bits-") as folder:
        return _compare(given, cases, Path(folder))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="same_bits", description=str(__doc__).partition("\n")[0])
    parser.add_argument("old", help="a git revision, or a folder with a working tree")
    parser.add_argument("new", help="another one")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep results of commits here")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="cases with this in their name"
    )
    parser.add_argument("--list", action="store_true", help="show the cases, and run nothing")
    parser.add_argument("--full", action="store_true", help="each combination in each family")
    parser.add_argument("--compile", action="store_true", help="two compiled trials as well")
    parser.add_argument(
        "--allow-keys", action="store_true",
        help="keys may differ: neither they nor what is in stores are compared",
    )  # fmt: skip
    return parser.parse_args()


def _compare(given: argparse.Namespace, cases: list[Case], folder: Path) -> int:
    old = check_out(given.old, folder / "old")
    new = check_out(given.new, folder / "new")
    caches = [given.cache and revision.commit and cache_of(revision, given.cache.resolve())
              for revision in (old, new)]  # fmt: skip
    old_results = caches[0] or folder / "old-results"
    # a commit against itself is run twice, or nothing would be compared
    new_results = folder / "new-results"
    if caches[1] and caches[1] != caches[0]:
        new_results = caches[1]
    times = [
        _run(old, cases, old_results, folder / "old-work"),
        _run(new, cases, new_results, folder / "new-work"),
    ]
    before, after = read_results(cases, old_results), read_results(cases, new_results)
    found = [
        difference
        for case in cases
        for difference in compare.differences(
            case.name, before[case.name], after[case.name], not given.allow_keys
        )
    ]
    over: list[compare.Difference] = []
    kept = [] if given.allow_keys else [case for case in cases if _is_kept(case, before)]
    if kept:
        over, seconds = _over_old(kept, before, new, old_results, folder)
        times.append(seconds)
    for line in compare.report([*found, *over]):
        print(line)
    store = "not compared" if not kept else "not read" if over else "read"
    print(_summary(before, found, times, given.allow_keys, store))
    return int(bool(found or over))


def _run(revision: Revision, cases: list[Case], results: Path, folder: Path) -> float:
    missing = [case for case in cases if not (results / f"{case.id}.json").exists()]
    print(f"{revision.label}: {len(missing)} of {len(cases)} cases to run", flush=True)
    return run_cases(revision, missing, results, folder) if missing else 0.0


def _is_kept(case: Case, before: dict[str, Any]) -> bool:
    """Whether OLD has left a store, or a saved state, to go on from."""
    return case.kind in ("store", "resume") and not compare.is_ended(before[case.name])


def _over_old(
    cases: list[Case], before: dict[str, Any], new: Revision, old_results: Path, folder: Path
) -> tuple[list[compare.Difference], float]:
    """What the new revision does otherwise with the old one's stores and saved states."""
    results = folder / "over-results"
    seconds = run_cases(new, cases, results, folder / "over-work", over=old_results)
    found: list[compare.Difference] = []
    for case, result in zip(cases, read_results(cases, results).values(), strict=True):
        expected = before[case.name]
        if case.kind == "store" and not compare.is_ended(result):
            expected = compare.expected_over_store(case.spec, expected)
            result = compare.over_store(result)
        found += compare.differences(f"what OLD left, {case.name}", expected, result, True)
    return found, seconds


def _summary(
    before: dict[str, Any], found: list[compare.Difference], times: list[float], allow_keys: bool,
    store: str,
) -> str:  # fmt: skip
    results = list(before.values())
    trials = [trial for result in results for trial in compare.trials_of(result)]
    refused = sum(map(compare.is_ended, results))
    counts = {
        "trials": len(trials),
        "epochs": sum(len(trial["epochs"]) for trial in trials),
        "refused": refused,
        "configurations": sum(len(result.get("configs", ())) for result in results),
    }
    differ = {is_key: any(d.is_of_keys == is_key for d in found) for is_key in (True, False)}
    keys = "not compared" if allow_keys else "differ" if differ[True] else "equal"
    return (
        ", ".join(f"{count} {name}" for name, count in counts.items())
        + f", {' + '.join(f'{s:.0f}' for s in times)} s: "
        + f"records {'differ' if differ[False] else 'equal'}, keys {keys}, store {store}"
    )


if __name__ == "__main__":
    sys.exit(main())
