"""Baselines of replay at the settings that are best on another recorded study.

    python benchmarks/baselines.py ONE OTHER [--metric val_loss] [--seeds 30] [--workers 1]

Each baseline's settings are searched over a small grid on one study, and the best are replayed on
the other, in other orders; then the other way round. Best is what pays least, in the median, to
99 % of the front's hypervolume; where none gets there, to 95 % or 90 %. Prints Markdown.
"""

import argparse
import math
from itertools import product
from pathlib import Path

from growsearch import load_plugins
from growsearch.searches.recorded import Recording, read_recording
from growsearch.stopping.hypervolume import SHARES
from growsearch.tuning.replays import ContenderResult, compare

ORDERS = ("", ",order=cheapest")
RUNGS = {"grace_period": (1, 2, 5, 10), "reduction_factor": (1.5, 2, 4)}
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "none": {},
    "halving": RUNGS,
    "asha": RUNGS,
    "median": {"grace_period": (1, 2, 5, 10)},
    "rank-median": {"grace_period": (1, 2, 5, 10)},
    "mo-asha-shipped": RUNGS,
    "mo-asha": RUNGS,
    "pareto": {"racing": (2, 3, 4), "alpha": (0.05, 0.1, 0.2)},
}
CHOOSING = range(1000, 1010)
"""Orders in which settings are chosen; they are not those of the table."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("studies", nargs=2, type=Path)
    parser.add_argument("--cost", help="of the front (default: each study's first)")
    parser.add_argument("--metric", help="of the front (default: each study's)")
    parser.add_argument("--paid", default="flops")
    parser.add_argument("--plugin", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parsed = parser.parse_args()
    load_plugins(parsed.plugin)
    read = [read_recording(s, parsed.cost, parsed.metric, parsed.paid) for s in parsed.studies]
    names = [study.name for study in parsed.studies]
    pairs = list(zip(names, read, strict=True))
    for (chosen_on, chooses), (name, recording) in (pairs, pairs[::-1]):
        print(f"\n### {name}, settings chosen on {chosen_on}, {parsed.workers} at a time\n")
        print("| baseline | 90 % | 95 % | 99 % | to the end | lost |\n|---|---|---|---|---|---|")
        for baseline in GRIDS:
            text = best(baseline, chooses, parsed.workers)
            print(row(compared(recording, text, range(parsed.seeds), parsed.workers)), flush=True)
        own = compared(recording, "branches", range(parsed.seeds), parsed.workers)
        print(row(own), flush=True)


def best(baseline: str, recording: Recording, workers: int) -> str:
    """The text of the baseline with its best settings on the study."""
    grid = GRIDS[baseline]
    settings = [
        "".join(f",{name}={value:g}" for name, value in zip(grid, values, strict=True))
        for values in product(*grid.values())
    ]
    texts = [f"{baseline}{some}{order}" for some in settings for order in ORDERS]
    found = [compared(recording, text, CHOOSING, workers) for text in texts]
    return min(found, key=lambda one: [paid.median for paid in reversed(one.paid_to)]).scheduler


def compared(recording: Recording, text: str, seeds: range, workers: int) -> ContenderResult:
    return compare(recording, text, workers=workers, seeds=seeds)


def row(found: ContenderResult) -> str:
    assert len(found.paid_to) == len(SHARES)
    paid = [
        f"{said(spread.median)} ({said(spread.lowest)} to {said(spread.highest)})"
        for spread in found.paid_to
    ]
    cells = [f"`{found.scheduler}`", *paid, f"{found.paid.median:.1f}", f"{found.front_lost:.0f} %"]
    return f"| {' | '.join(cells)} |"


def said(percent: float) -> str:
    return f"{percent:.1f}" if math.isfinite(percent) else "never"


if __name__ == "__main__":
    main()
