"""The commands that take a network out of a study: best, export, predict."""

import argparse
import math
import sys
from typing import TYPE_CHECKING, Any

from growsearch.cli.documents import Exported
from growsearch.cli.options import add_json_option, add_plugin_option
from growsearch.study.as_json import print_json
from growsearch.study.choices import BEST, EPOCHS, FORMATS

if TYPE_CHECKING:
    from growsearch.study.study import Best

# --help must answer at once: nothing heavy is imported here.


METRIC_HELP = (
    "by what trials are compared: a metric, or a number of the task's own, like val_perplexity"
)


def add_commands(commands: Any) -> None:
    """Adds the parsers of these commands to `commands`."""
    parser = commands.add_parser(
        "best", help="the best configuration of a study, and the command that trains it again"
    )
    parser.set_defaults(run=best)
    parser.add_argument("study", help="the folder that --out named")
    parser.add_argument("--max-ppe", type=float, metavar="X", help="limit of PPE")
    parser.add_argument(
        "--min-accuracy", type=float, metavar="Y",
        help="limit of validation accuracy in percent: of those that meet it, the cheapest",
    )  # fmt: skip
    parser.add_argument(
        "--cost",
        help="what --max limits, and what is cheap (growsearch list cost; default: the study's)",
    )
    parser.add_argument("--max", type=float, metavar="X", help="limit of --cost")
    parser.add_argument(
        "--metric", help=f"{METRIC_HELP} (growsearch list metric; default: the study's)"
    )
    add_json_option(parser)
    add_plugin_option(parser)

    parser = commands.add_parser("export", help="write the network of a trial to a file")
    parser.set_defaults(run=export)
    parser.add_argument("study", help="the folder that --out named")
    parser.add_argument("trial", nargs="?", default=BEST, help="its name (default: best)")
    parser.add_argument("--out", required=True, help="the new file, like model.safetensors")
    parser.add_argument(
        "--epoch", choices=EPOCHS, default=EPOCHS[0],
        help="the last epoch, or the one of the best validation accuracy (default: last)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0],
        help="weights for growsearch.load_network; or a program that needs no growsearch "
        f"(default: {FORMATS[0]})",
    )  # fmt: skip
    add_json_option(parser)
    add_plugin_option(parser)

    parser = commands.add_parser("predict", help="the classes of image files")
    parser.set_defaults(run=predict)
    parser.add_argument("model", help="a .safetensors file that export wrote")
    parser.add_argument("images", nargs="+", help="PNG or JPEG files, or folders of them")
    add_json_option(parser)
    add_plugin_option(parser)


def best(parsed: argparse.Namespace) -> int:
    """The exit code is 1 if no configuration meets the constraints."""
    from growsearch.study.console import printable
    from growsearch.study.study import StoredStudy

    found = StoredStudy(parsed.study).best(
        max_ppe=parsed.max_ppe, min_accuracy=parsed.min_accuracy, cost=parsed.cost,
        max_cost=parsed.max, metric=parsed.metric,
    )  # fmt: skip
    if found.misses:
        said = printable("; ".join(found.misses))
        print(
            f"growsearch best: nothing meets the constraints; the nearest: {said}", file=sys.stderr
        )
    if parsed.json:
        print_json(found.to_dict())
    else:
        print(printable(_text(found)))
    return 1 if found.misses else 0


def _text(found: "Best") -> str:
    from growsearch.trial.history import OWN
    from growsearch.trial.trial_options import flat

    others = f" (seeds: {', '.join(found.trials)})" if len(found.trials) > 1 else ""
    rows = {"trial": f"{found.trial}{others}"}
    for column, mean in found.mean.items():
        name, std = column.removeprefix(OWN), found.std[column]
        deviation = "" if std is None else f" ± {_number(name, std, 2)}"
        rows[name] = f"{_number(name, mean)}{deviation}"
    options = ", ".join(f"{name}={flat(value)}" for name, value in found.options.items())
    rows |= {"configuration": options, "train it again": found.command}
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{text}" for name, text in rows.items())


def _number(name: str, value: float, digits: int = 6) -> str:
    """Percent with two decimals, large numbers without any, and others with `digits` digits."""
    from growsearch.study.page_data import is_percent

    if math.isnan(value):
        return "-"
    if is_percent(name):
        return f"{value:.2f}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{float(f'{value:.{digits}g}'):,.6g}"


def export(parsed: argparse.Namespace) -> int:
    from growsearch.study.console import printable
    from growsearch.study.study import StoredStudy

    path = StoredStudy(parsed.study).export(parsed.out, parsed.trial, parsed.epoch, parsed.format)
    if parsed.json:
        print_json(
            Exported(
                file=str(path), bytes=path.stat().st_size, trial=parsed.trial, epoch=parsed.epoch,
                format=parsed.format,
            )
        )  # fmt: skip
        return 0
    print(printable(f"{path}  {path.stat().st_size / 1e6:,.2f} MB"))
    return 0


def predict(parsed: argparse.Namespace) -> int:
    from growsearch.study.console import printable
    from growsearch.study.model_file import read_model
    from growsearch.study.prediction import image_files, predict

    found = predict(read_model(parsed.model), image_files(parsed.images))
    if parsed.json:
        print_json(found)
        return 0
    width = max(len(one.name) for one in found)
    for one in found:
        print(printable(f"{one.name:<{width}}  {one.probability:6.1%}  {one.file}"))
    return 0
