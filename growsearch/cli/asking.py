"""The commands that ask before anything is trained: `growsearch check-task`, `plan` and `list`."""

import argparse
from typing import Any

from growsearch.cli.documents import Listed, Planned
from growsearch.cli.options import (
    add_json_option,
    add_plugin_option,
    add_trial_options,
    chosen_options,
)
from growsearch.study.as_json import print_json
from growsearch.trial.components import EVERY_KIND, component
from growsearch.trial.errors import counted

# --help must answer at once: nothing heavy is imported here.


def add_commands(commands: Any) -> None:
    """Adds the parsers of `check-task`, `plan` and `list` to `commands`."""
    parser = commands.add_parser(
        "check-task", help="check a task of your own: model, batches, loss, growth, resuming"
    )
    parser.set_defaults(run=check_task)
    parser.add_argument(
        "target", nargs="?", metavar="FILE:CLASS",
        help="my_task.py:MyTask, a file with one task, or a name",
    )  # fmt: skip
    parser.add_argument(
        "--search", action="store_true", help="also compare with a trial inside a search on Ray"
    )
    add_plugin_option(parser)
    add_json_option(parser)
    add_trial_options(parser, "trial options")

    parser = commands.add_parser("plan", help="how many distinct epochs a search would train")
    parser.set_defaults(run=plan)
    parser.add_argument("space", help="a built-in search space, like lipgrow, or a file")
    add_plugin_option(parser)
    add_json_option(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="how many trials, grid included")
    parser.add_argument("--search-seed", type=int, default=0, metavar="N", help="draws the trials")
    add_trial_options(parser, "trial options, as in search")

    parser = commands.add_parser(
        "list", help="the components that there are, their options, and where they are published"
    )
    parser.set_defaults(run=list)
    parser.add_argument("kind", nargs="?", choices=EVERY_KIND, metavar="kind", help="one kind")
    parser.add_argument("name", nargs="?", help="one component of the kind, with its options")
    add_plugin_option(parser)
    add_json_option(parser)


def check_task(parsed: argparse.Namespace) -> int:
    from growsearch.cli.check_task import show_checks

    return show_checks(
        parsed.target, parsed.plugins, chosen_options(parsed), parsed.search, parsed.json
    )


def plan(parsed: argparse.Namespace) -> int:
    from growsearch.searches.plan import plan_search
    from growsearch.tuning.search_space import draw_trials, load_spaces

    spaces = load_spaces(parsed.space, chosen_options(parsed))
    planned = plan_search(draw_trials(spaces, parsed.trials, parsed.search_seed))
    if parsed.json:
        print_json(Planned(**vars(planned)))
        return 0
    trials, epochs = counted(planned.trials, "trial"), counted(planned.nominal, "epoch")
    print(f"{trials} of {epochs} in all")
    if planned.fewest == planned.most:
        times = planned.nominal / planned.most
        print(f"{planned.most:,} distinct: {times:.2f} times fewer with --store")
    else:
        print(
            f"{planned.fewest:,} to {planned.most:,} distinct: data decides what trials share "
            "after their first growth"
        )
    return 0


def list(parsed: argparse.Namespace) -> int:
    """The command `growsearch list`."""
    from rich.console import Console

    from growsearch.cli.listing import component_page, component_rows, components_table

    kinds = [parsed.kind] if parsed.kind else EVERY_KIND
    if parsed.name is not None:
        component(parsed.kind, parsed.name)  # InputError if there is none
    if parsed.json:
        print_json(Listed(components=[r for k in kinds for r in component_rows(k, parsed.name)]))
        return 0
    console = Console()
    if not console.is_terminal:
        console.width = 100
    if parsed.name is not None:
        console.print(component_page(component(parsed.kind, parsed.name)), highlight=False)
        return 0
    for kind in kinds:
        console.print(components_table(kind))
    return 0
