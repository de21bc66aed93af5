"""Prints, as Markdown, when LipGrow's rule grew a transformer, and what that was worth.

    python analysis/trigger.py [STUDY]

STUDY is a search over search_spaces/gpt_trigger.py or vit_trigger.py, or a recorded one in
analysis/studies.
"""

import argparse
import math
from pathlib import Path

from growsearch.study.results import read_study
from growsearch.study.triggers import triggers
from growsearch.trial.errors import run_script

RECORDED = Path(__file__).parent / "studies/gpt_trigger"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="?", default=RECORDED)
    print("| schedule | new blocks | rtol | grew after | largest deviation | forced "
          "| validation loss | FLOPs | beside fixed shares | seeds compared |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in triggers(read_study(parser.parse_args().study)).to_dict("records"):
        beside = "-"
        if row["compared"] and math.isfinite(row["at_flops_error"]):
            beside = f"{row['at_flops']:+.2f} ± {row['at_flops_error']:.2f} %"
        print(
            f"| {row['lr_schedule']} | {row['initializer']} | {row['rtol']:g} | {row['growths']} "
            f"| {row['growths_std']:.1f} | {row['forced']:.0%} "
            f"| {row['val_loss']:.4f} ± {row['val_loss_std']:.4f} | {row['flops']:.0%} "
            f"| {beside} | {row['compared']} of {row['seeds']} |"
        )


if __name__ == "__main__":
    run_script(main)
