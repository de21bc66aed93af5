"""Prints, as Markdown, what trunks of several horizons save, and what a longer horizon buys.

    python analysis/horizons.py [STUDY ...]

STUDY is a search over search_spaces/gpt_horizons.py, with or without one over
search_spaces/gpt_horizons_static.py, which has shallow networks. By default it is the recorded ones
in analysis/studies.
"""

import argparse
import math
from pathlib import Path
from statistics import fmean

import pandas as pd

from growsearch.study.epoch_tree import count_epochs
from growsearch.study.equal_cost import StaticNetworks
from growsearch.study.referee import TEST
from growsearch.study.results import read_studies
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import run_script
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
    rows = {kind: study[kinds == kind] for kind in KINDS} | {"all": study[kinds.isin(KINDS)]}
    for kind, own in rows.items():
        if own.empty:
            continue
        count = count_epochs(own)
        print(f"| {kind} | {count.nominal} | {count.distinct} "
              f"| {count.distinct / count.nominal:.0%} |")  # fmt: skip
    static = trials[trials["config/policy"] == "none"]
    deep, any_depth = StaticNetworks(static[static["architecture"] == DEEP]), StaticNetworks(static)
    print("\n| horizon | network | seeds | validation loss | FLOPs | over the static one "
          "| at equal FLOPs | at equal FLOPs, any depth | the same, test |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for (kind, epochs), group in trials.groupby(["kind", "epochs"]):
        loss = group["val_loss"]
        row = f"| {epochs} | {kind} | {len(group)} | {loss.mean():.4f} ± {loss.std():.4f} "
        row += f"| {group['train_flops'].mean() / 1e9:.0f} G "
        for beside, cost, of in (
            (deep, "epochs", "val_loss"),
            (deep, "train_flops", "val_loss"),
            (any_depth, "train_flops", "val_loss"),
            (any_depth, "train_flops", TEST),
        ):
            over = [trial[of] - beside.best_at(trial, cost, of) for _, trial in group.iterrows()]
            known = kind in KINDS[1:] and math.isfinite(fmean(over))
            row += f"| {fmean(over):+.4f} ± {half_width(over):.4f} " if known else "| - "
        print(row + "|")


def _kind(trial: "pd.Series") -> str:
    if trial["config/policy"] == "none":
        depth = trial["architecture"]
        return STATIC if depth == DEEP else f"never grows, depth {depth}"
    grew = int(trial["growth_epochs"].split()[0])
    return KINDS[2] if grew == round(0.8 * trial["epochs"]) else KINDS[1]


if __name__ == "__main__":
    run_script(main)
