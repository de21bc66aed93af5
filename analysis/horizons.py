"""Prints, as Markdown, what trunks of several horizons save, and what a longer horizon buys.

    python analysis/horizons.py [STUDY ...]

STUDY is a search over search_spaces/gpt_horizons.py, with or without one over
search_spaces/gpt_horizons_static.py, which has shallow networks. By default it is the recorded ones
in analysis/studies.
"""

import argparse
import math
import sys
from pathlib import Path
from statistics import fmean

import pandas as pd

from growsearch.study.epoch_tree import count_epochs
from growsearch.study.equal_cost import StaticNetworks, at_cost
from growsearch.study.referee import TEST
from growsearch.study.results import read_studies
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status

STUDIES = Path(__file__).parent / "studies"
RECORDED = [STUDIES / "gpt_horizons", STUDIES / "gpt_horizons_static"]
DEEP = "4"
STATIC = "never grows"
KINDS = (STATIC, "grows after epoch 10", "grows after 0.8 of the horizon")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="*", default=RECORDED)
    study = read_studies(parser.parse_args().study)
    trials = summarize(study)
    trials = trials[trials["status"] == Status.COMPLETED]
    trials["kind"] = trials.apply(_kind, axis=1)
    kinds = study["trial_id"].map(trials.set_index("trial_id")["kind"])
    print("| trials | epochs of all | distinct | share |\n|---|---|---|---|")
    for kind in (*sorted(set(kinds) & set(KINDS), key=KINDS.index), "all"):
        own = study[kinds.isin(KINDS) if kind == "all" else kinds == kind]
        count = count_epochs(own)
        print(f"| {kind} | {count.nominal} | {count.distinct} "
              f"| {count.distinct / count.nominal:.0%} |")  # fmt: skip
    static = trials[trials["config/policy"] == "none"]
    deep = dict(iter(static[static["architecture"] == DEEP].groupby("config/seed")))
    any_depth = StaticNetworks(static)
    print("\n| horizon | network | seeds | validation loss | FLOPs | over the static one "
          "| at equal FLOPs | at equal FLOPs, any depth | the same, test |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for (kind, epochs), group in trials.groupby(["kind", "epochs"]):
        loss = group["val_loss"]
        row = f"| {epochs} | {kind} | {len(group)} | {loss.mean():.4f} ± {loss.std():.4f} "
        row += f"| {group['train_flops'].mean() / 1e9:.0f} G "
        for of, of_static in (
            ("val_loss", lambda trial: _of_deep(trial, deep[trial["config/seed"]], "epochs")),
            ("val_loss", lambda trial: _of_deep(trial, deep[trial["config/seed"]], "train_flops")),
            ("val_loss", lambda trial: any_depth.best_at(trial, "train_flops", "val_loss")),
            (TEST, lambda trial: any_depth.best_at(trial, "train_flops", TEST)),
        ):
            over = [trial[of] - of_static(trial) for _, trial in group.iterrows()]
            known = kind in KINDS[1:] and math.isfinite(fmean(over))
            row += f"| {fmean(over):+.4f} ± {half_width(over):.4f} " if known else "| - "
        print(row + "|")


def _of_deep(trial: "pd.Series", deep: pd.DataFrame, cost: str) -> float:
    """The loss of the deep static network for as much, between two of its horizons."""
    deep = deep.sort_values(cost)
    return at_cost(trial[cost], list(deep[cost]), list(deep["val_loss"]), slack=1e-6)


def _kind(trial: "pd.Series") -> str:
    if trial["config/policy"] == "none":
        depth = trial["architecture"]
        return STATIC if depth == DEEP else f"never grows, depth {depth}"
    grew = int(trial["growth_epochs"].split()[0])
    return KINDS[2] if grew == round(0.8 * trial["epochs"]) else KINDS[1]


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
