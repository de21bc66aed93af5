"""Prints, as Markdown, growing schedules beside static networks that pay as much, pair by pair.

    python analysis/fresh_seeds.py [STUDY]

STUDY is a search over search_spaces/gpt_fresh_seeds.py or gpt_wider.py; by default it is the
recorded one of the first in analysis/studies.
"""

import argparse
from pathlib import Path

from growsearch.study.referee import TEST
from growsearch.study.results import read_study
from growsearch.study.summary import summarize
from growsearch.study.verdicts import in_markdown, judge_below
from growsearch.trial.errors import run_script
from growsearch.trial.status import Status

RECORDED = Path(__file__).parent / "studies" / "gpt_fresh_seeds"
MORE = 1.05
"""A static network may pay this many times as much."""
RATES, LOSSES = ["config/lr_schedule", "config/lr"], [TEST, "val_loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="?", default=RECORDED)
    trials = summarize(read_study(parser.parse_args().study))
    trials = trials[trials["status"] == Status.COMPLETED]
    static = trials[trials["config/policy"] == "none"]
    print("| grows | static | FLOPs | by the test loss | by the validation loss | seeds |")
    print("|---|---|---|---|---|---|")
    growing = trials[trials["config/policy"] != "none"]
    for (schedule, rate, epochs, growths), own in growing.groupby(
        [*RATES, "epochs", "growth_epochs"]
    ):
        paid = own["train_flops"].mean()
        beside = static[(static[RATES] == own[RATES].iloc[0]).all(axis=1)]
        beside = beside[beside["train_flops"].between(paid, MORE * paid)]
        for (blocks, horizon), other in beside.groupby(["architecture", "epochs"]):
            of, against = (one.set_index("config/seed")[LOSSES] for one in (own, other))
            judged = [judge_below(numbers) for _, numbers in (of - against).items()]
            columns = " | ".join(in_markdown(one, "nats") for one in judged)
            print(
                f"| {schedule} {rate:g}, after {growths} of {epochs} | {blocks} for {horizon} "
                f"| {other['train_flops'].mean() / paid:.1%} | {columns} | {judged[0].seeds} |"
            )


if __name__ == "__main__":
    run_script(main)
