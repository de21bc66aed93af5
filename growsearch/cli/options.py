"""Options that several commands have."""

import argparse
import os


def add_plugin_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plugin", action="append", metavar="FILE|MODULE", default=argparse.SUPPRESS,
        help="load components of your own, and offer their options here; may be given repeatedly",
    )  # fmt: skip


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document, and all else to stderr"
    )


def add_paid_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--paid", default="param_epochs", metavar="COST",
        help="what is counted of the epochs trained, like flops (default: param_epochs)",
    )  # fmt: skip


def add_address_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address", metavar="HOST:PORT|auto", default=argparse.SUPPRESS,
        help="the Ray cluster to run on (default: RAY_ADDRESS, or else this machine)",
    )  # fmt: skip


def choose_cluster(parsed: argparse.Namespace) -> None:
    """Lets Ray find the cluster of --address, if that was given."""
    if "address" in parsed:
        os.environ["RAY_ADDRESS"] = parsed.address
