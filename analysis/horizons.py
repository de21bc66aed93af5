"""Prints, as Markdown, what trunks of several horizons save, and what a longer horizon buys.

    python analysis/horizons.py [STUDY ...] [--figure FILE]

STUDY is a search over search_spaces/gpt_horizons.py, with or without one over
search_spaces/gpt_horizons_static.py, which has shallow networks. By default it is the recorded ones
in analysis/studies. Learning rates stand apart. The figure has the test loss against FLOPs.
"""

import argparse
import math
from pathlib import Path
from statistics import fmean

import pandas as pd
from matplotlib.figure import Figure

from growsearch.study.epoch_tree import count_epochs
from growsearch.study.equal_cost import StaticNetworks
from growsearch.study.equal_cost_figure import equal_cost_figure
from growsearch.study.referee import TEST
from growsearch.study.results import read_studies
from growsearch.study.summary import summarize
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import run_script
from growsearch.trial.status import Status

STUDIES = Path(__file__).parent / "studies"
RECORDED = sorted(path for path in STUDIES.glob("gpt_horizons*") if path.is_dir())
DEEP = "4"
STATIC = "never grows"
KINDS = (STATIC, "grows after epoch 10", "grows after 0.8 of the horizon")
FLOPS, LOSS = "training FLOPs (10^9)", "test loss, mean over seeds"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="*", default=RECORDED)
    parser.add_argument("--figure", metavar="FILE", help="a picture, like horizons.png")
    parsed = parser.parse_args()
    study = read_studies(parsed.study)
    trials = summarize(study)
    trials = trials[trials["status"] == Status.COMPLETED]
    trials["kind"] = trials.apply(_kind, axis=1)
    if parsed.figure:
        draw(trials).savefig(parsed.figure, dpi=130)
    for rate, own in sorted(trials.groupby("config/lr"), reverse=True):
        print(f"\nAt a learning rate of {rate:g}:\n")
        _print_trunk(study, own)
        _print_losses(own)


def _print_trunk(study: pd.DataFrame, trials: pd.DataFrame) -> None:
    kinds = study["trial_id"].map(trials.set_index("trial_id")["kind"])
    print("| trials | epochs of all | distinct | share |\n|---|---|---|---|")
    rows = {kind: study[kinds == kind] for kind in KINDS} | {"all": study[kinds.isin(KINDS)]}
    for kind, own in rows.items():
        if own.empty:
            continue
        count = count_epochs(own)
        print(f"| {kind} | {count.nominal} | {count.distinct} "
              f"| {count.distinct / count.nominal:.0%} |")  # fmt: skip


def _print_losses(trials: pd.DataFrame) -> None:
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


def draw(trials: pd.DataFrame) -> Figure:
    """A panel for each learning rate; points and lines are means over seeds."""
    table = pd.DataFrame({
        "rate": -trials["config/lr"], "panel": [f"lr {rate:g}" for rate in trials["config/lr"]],
        "kind": trials["kind"], "architecture": trials["architecture"], "epochs": trials["epochs"],
        FLOPS: trials["train_flops"] / 1e9, LOSS: trials[TEST],
    })  # fmt: skip
    apart = ["rate", "panel", "kind", "architecture", "epochs"]
    means = table.groupby(apart)[[FLOPS, LOSS]].mean().reset_index()
    grows = means["kind"].isin(KINDS[1:])
    static = means[~grows].assign(name="static, " + means["architecture"])
    return equal_cost_figure(static, means[grows].assign(name=means["kind"]), FLOPS, LOSS)


def _kind(trial: "pd.Series") -> str:
    if trial["config/policy"] == "none":
        depth = trial["architecture"]
        return STATIC if depth == DEEP else f"never grows, depth {depth}"
    grew = int(trial["growth_epochs"].split()[0])
    return KINDS[2] if grew == round(0.8 * trial["epochs"]) else KINDS[1]


if __name__ == "__main__":
    run_script(main)
