"""Prints, as Markdown, what depth is worth to networks that never grow, over paired seeds.

    python analysis/depth.py [STUDY]

STUDY is a search over search_spaces/gpt_depth.py or one like it. The recorded one in
analysis/studies is the default. A difference is the loss of the deeper network minus that of the
shallower one of the same seed, with the 95 % interval of Student's t over the seeds. Only completed
trials count, and only seeds that have both.
"""

import argparse
from pathlib import Path

from growsearch import Study
from growsearch.study.verdicts import half_width
from growsearch.trial.errors import run_script
from growsearch.trial.status import Status

RECORDED = Path(__file__).parent / "studies/gpt_depth"
LOSSES = {"validation": "val_loss", "test": "metric/test_loss"}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="?", default=RECORDED)
    trials = Study(parser.parse_args().study).trials
    trials = trials[trials["status"] == Status.COMPLETED]
    print("| schedule | text | seeds | blocks: loss | difference |")
    print("|---|---|---|---|---|")
    for schedule, own in trials.groupby("config/lr_schedule"):
        for text, column in LOSSES.items():
            losses = own.pivot_table(column, "config/seed", "architecture")
            if len(losses.columns) < 2:
                raise SystemExit(
                    f"the trials of {schedule} have one depth; give two depths or more"
                )
            shallow, *_, deep = sorted(losses, key=int)
            losses = losses[[shallow, deep]].dropna()
            means = "; ".join(
                f"{name}: {losses[name].mean():.4f} ± {losses[name].std():.4f}"
                for name in (shallow, deep)
            )
            apart = losses[deep] - losses[shallow]
            print(
                f"| {schedule} | {text} | {len(apart)} | {means} "
                f"| {apart.mean():+.4f} ± {half_width(apart):.4f} |"
            )


if __name__ == "__main__":
    run_script(main)
