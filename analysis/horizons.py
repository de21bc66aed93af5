"""Prints, as Markdown, what trunks of several horizons save, and what a longer horizon buys.

    python analysis/horizons.py [STUDY]

STUDY is a search over search_spaces/gpt_horizons.py, or the recorded one in analysis/studies.
"""

import argparse
import math
from pathlib import Path
from statistics import fmean

import pandas as pd

from growsearch.study.epoch_tree import count_epochs
from growsearch.study.equal_cost import at_cost
from growsearch.study.results import read_study
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width

RECORDED = Path(__file__).parent / "studies/gpt_horizons"
KINDS = ("never grows", "grows after epoch 10", "grows after 0.8 of the horizon")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="?", default=RECORDED)
    study = read_study(parser.parse_args().study)
    kinds = study["trial_id"].map(summarize(study).set_index("trial_id").apply(_kind, axis=1))
    print("| trials | epochs of all | distinct | share |\n|---|---|---|---|")
    for kind in (*KINDS, "all"):
        count = count_epochs(study if kind == "all" else study[kinds == kind])
        print(f"| {kind} | {count.nominal} | {count.distinct} "
              f"| {count.distinct / count.nominal:.0%} |")  # fmt: skip
    trials = summarize(study)
    trials = trials[trials["status"] == "completed"]
    trials["kind"] = trials.apply(_kind, axis=1)
    static = trials[trials["kind"] == KINDS[0]].sort_values("epochs").groupby("config/seed")
    print("\n| horizon | network | seeds | validation loss | FLOPs | over the static one "
          "| at equal FLOPs |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for (epochs, kind), group in trials.groupby(["epochs", "kind"]):
        loss = group["val_loss"]
        row = f"| {epochs} | {kind} | {len(group)} | {loss.mean():.4f} ± {loss.std():.4f} "
        row += f"| {group['train_flops'].mean() / 1e9:.0f} G "
        for cost in ("epochs", "train_flops"):
            over = [_over(trial, static.get_group(trial["config/seed"]), cost)
                    for _, trial in group.iterrows()]  # fmt: skip
            known = kind != KINDS[0] and math.isfinite(fmean(over))
            row += f"| {fmean(over):+.4f} ± {half_width(over):.4f} " if known else "| - "
        print(row + "|")


def _over(trial: "pd.Series", static: pd.DataFrame, cost: str) -> float:
    """The loss minus that of the static networks for as much, between two of their horizons."""
    there = at_cost(trial[cost], list(static[cost]), list(static["val_loss"]), slack=1e-6)
    return float(trial["val_loss"] - there)


def _kind(trial: "pd.Series") -> str:
    if trial["config/policy"] == "none":
        return KINDS[0]
    grew = int(trial["growth_epochs"].split()[0])
    return KINDS[2] if grew == round(0.8 * trial["epochs"]) else KINDS[1]


if __name__ == "__main__":
    main()
