"""Prints, as Markdown, what one late growth costs in loss beside static networks.

    python analysis/late_growth.py [STUDY ...]

STUDY is a search over search_spaces/late_growth.py, with or without one over
search_spaces/gpt_referee_static.py, whose shallow static networks are trained for longer. By
default it is the recorded ones in analysis/studies.
"""

import argparse
import math
from pathlib import Path

import pandas as pd

from growsearch.study.jumps import late_growth
from growsearch.study.results import read_studies
from growsearch.study.summary import summarize
from growsearch.trial.errors import run_script
from growsearch.trial.status import Status

STUDIES = Path(__file__).parent / "studies"
RECORDED = [STUDIES / "late_growth", STUDIES / "gpt_referee_static"]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="*", default=RECORDED)
    study = read_studies(parser.parse_args().study)
    static = summarize(study)
    static = static[(static["config/policy"] == "none") & (static["status"] == Status.COMPLETED)]
    print("| schedule | blocks | epochs | seeds | validation loss |")
    print("|---|---|---|---|---|")
    by = ["config/lr_schedule", "architecture", "epochs"]
    for (schedule, blocks, epochs), group in static.groupby(by):
        losses = group.groupby("config/seed")["val_loss"].mean()
        print(f"| {schedule} | {blocks} | {epochs} | {len(losses)} | {_mean(losses)} |")
    print("\n| schedule | new blocks | grows at | validation loss | loss jump | FLOPs | seconds "
          "| at equal steps | at equal FLOPs | at equal seconds "
          "| at equal FLOPs, any depth |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in late_growth(study).to_dict("records"):
        print(
            f"| {row['lr_schedule']} | {row['initializer']} | {row['share']:.2f} "
            f"| {row['val_loss']:.4f} ± {row['val_loss_std']:.4f} | {row['jump']:+.4f} "
            f"| {row['flops']:.1%} | {row['seconds']:.1%} "
            f"| {_difference(row, 'at_steps')} | {_difference(row, 'at_flops')} "
            f"| {_difference(row, 'at_seconds')} | {_difference(row, 'at_flops_of_any')} |"
        )


def _mean(values: "pd.Series") -> str:
    return f"{values.mean():.4f} ± {values.std():.4f}"


def _difference(row: dict, name: str) -> str:
    if math.isnan(row[name]):  # the shortest static network takes longer
        return "-"
    return f"{row[name]:+.4f} ± {row[f'{name}_error']:.4f}"


if __name__ == "__main__":
    run_script(main)
