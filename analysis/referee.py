"""Prints, as Markdown, what a referee study says of each contested claim about growing.

    python analysis/referee.py [STUDY ...] [--figure FILE]

STUDY is a search over search_spaces/gpt_referee.py or resnet_referee.py, of all seeds, or one of
each. By default it is the recorded one of the GPT in analysis/studies, with its further static
networks. The figure has the test loss of all of them against FLOPs.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from growsearch.study.claims import JUDGED_BY, verdicts
from growsearch.study.equal_cost_figure import equal_cost_figure
from growsearch.study.referee import FACTORS, schedules, static_networks
from growsearch.study.results import read_studies
from growsearch.study.verdicts import in_markdown
from growsearch.trial.errors import run_script

STUDIES = Path(__file__).parent / "studies"
RECORDED = [STUDIES / "gpt_referee", STUDIES / "gpt_referee_static"]
FLOPS = "training FLOPs, in % of the deepest static network's"
ORDER = {"default": 0, "zero": 1, "copy": 2, "clone": 3}
"""Of initializers; the later ones are drawn above the others."""


def draw(table: pd.DataFrame, static: pd.DataFrame) -> Figure:
    """A panel for each learning-rate schedule; points and lines are means over seeds."""
    loss = "test_loss" if "test_loss" in table else "val_loss"
    growing = table.groupby(list(FACTORS))[["flops", loss]].mean().reset_index()
    growing = growing.sort_values("initializer", key=lambda names: names.map(ORDER), kind="stable")
    growing["name"] = "grows, " + growing["initializer"]
    horizons = ["lr_schedule", "architecture", "epochs"]
    static = static.groupby(horizons)[["flops", loss]].mean().reset_index()
    static["name"] = "static, " + static["architecture"]
    label = f"{loss.replace('_', ' ')}, mean over seeds"
    shown = {"lr_schedule": "panel", "flops": FLOPS, loss: label}
    static, growing = (one.rename(columns=shown) for one in (static, growing))
    static[FLOPS], growing[FLOPS] = 100 * static[FLOPS], 100 * growing[FLOPS]
    return equal_cost_figure(static, growing, FLOPS, label)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("study", nargs="*", default=RECORDED)
    parser.add_argument("--figure", metavar="FILE", help="a picture, like referee.png")
    parsed = parser.parse_args()
    study = read_studies(parsed.study)
    table = schedules(study)
    if parsed.figure:
        draw(table, static_networks(study, table)).savefig(parsed.figure, dpi=130)
    data = [f"by the {name} loss" for name in JUDGED_BY]
    print(f"| claim | source | {' | '.join(data)} | seeds | runs |")
    print("|---|---|---|---|---|---|")
    for found in verdicts(table):
        claim, judged = found.claim, found.judged
        digits = 2 if claim.unit == "%" else 4
        columns = [
            in_markdown(judged[name], claim.unit, digits) if name in judged else "-"
            for name in JUDGED_BY
        ]
        seeds = "/".join(dict.fromkeys(str(one.seeds) for one in judged.values()))
        print(
            f"| {claim.says} | {claim.source or '-'} | {' | '.join(columns)} | {seeds} "
            f"| {found.runs} |"
        )
    by_schedule = table.groupby(list(FACTORS))
    means = by_schedule[
        ["val_loss", "flops", "seconds", "at_steps", "at_flops", "at_seconds"]
    ].mean()
    means["std"] = by_schedule["val_loss"].std()
    for schedule in ("cosine", "wsd"):
        print(f"\nThe ten best schedules under {schedule}, by their loss in the mean over seeds:\n")
        print("| pattern | start | new blocks | place | state | grows after | FLOPs | seconds "
              "| loss | at equal steps | at equal FLOPs | at equal seconds |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|---|---|---|")
        own = means[means.index.get_level_values("lr_schedule") == schedule]
        for key, row in own.sort_values("val_loss").head(10).iterrows():
            factors = " | ".join(key[1:])
            print(
                f"| {factors} | {row['flops']:.0%} | {row['seconds']:.0%} "
                f"| {row['val_loss']:.4f} ± {row['std']:.4f} | {row['at_steps']:+.4f} "
                f"| {row['at_flops']:+.4f} | {row['at_seconds']:+.4f} |"
            )


if __name__ == "__main__":
    run_script(main)
