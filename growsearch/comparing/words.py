"""A comparison as tables of text, which the terminal and the page show."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

from growsearch.comparing.found import Comparison, PairResult, Reached
from growsearch.comparing.paired import OF_METRIC, Paired
from growsearch.study.terminal import amount
from growsearch.trial.errors import counted


@dataclass(frozen=True)
class Told:
    """A table of text."""

    title: str
    columns: tuple[str, ...]
    """A line break in a heading is one in the terminal."""
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def told(comparison: Comparison) -> Iterator[Told]:
    """The studies, and each pair of them."""
    shares = [at.share for at in comparison.studies[0].reached]
    yield Told(
        f"Studies by {comparison.cost} and {comparison.metric}",
        (
            "study", "trials", "seeds", "front", "hyper-\nvolume",
            *(f"paid to\n{share:.0%}" for share in shares),
        ),
        tuple(
            (
                s.study, f"{s.completed}/{s.trials}", str(s.seeds),
                f"{s.on_front} of {len(comparison.front)}", f"{100 * s.share:.1f} %",
                *map(_reached, s.reached),
            )
            for s in comparison.studies
        ),
        (
            f"Hypervolume: in percent of the joint front's {comparison.hypervolume:.4f}, in scaled "
            f"log {comparison.cost} and {comparison.metric} within common bounds.",
            f"Paid: the {comparison.unit} of the epochs that the study trained itself until its "
            "completed trials had that share of the joint front's hypervolume; below it nominal, "
            "with the epochs that came from a store.",
            *comparison.limits,
        ),
    )  # fmt: skip
    for pair in comparison.pairs:
        yield _pair(comparison, pair)


def joint_front(comparison: Comparison) -> Told:
    """The points of the joint front, and who has them."""
    front = comparison.tables()["front"][["cost", "metric", "studies", "trials"]]
    return Told(
        "The joint front",
        (comparison.cost, comparison.metric, "studies", "trials"),
        tuple(
            (amount(cost), f"{metric:.6g}", str(studies), str(trials))
            for cost, metric, studies, trials in front.to_numpy()
        ),
    )


def _reached(at: Reached) -> str:
    if at.paid is None or at.nominal is None:
        return "never"
    return f"{amount(at.paid)}\n({amount(at.nominal)})"


def _pair(comparison: Comparison, pair: PairResult) -> Told:
    notes = [
        f"Attainment: {pair.one} is ahead in an area of {pair.one_ahead:.4f}, {pair.other} in one "
        f"of {pair.other_ahead:.4f}, weighted by the share of seeds."
    ]
    if pair.tests:
        options = f" in {', '.join(pair.factors)}" if pair.factors else " in no option"
        notes.append(
            f"{counted(pair.tests[0].pairs, 'pair')} of trials with one configuration and one "
            f"seed, which differ{options}; {counted(pair.tests[0].seeds, 'seed')}, two-sided 95 % "
            "interval (Student's t)."
        )
    else:
        notes.append(
            "No configuration was run in both with the same seed: there is no paired test."
        )
    return Told(
        f"{pair.one} minus {pair.other}, paired by seed",
        ("", "mean", "95 % interval", "effect", "p", "better"),
        tuple(
            (
                comparison.metric if test.quantity == OF_METRIC else f"{comparison.cost}, %",
                f"{test.mean:+.4g}", _interval(test), _known(test.effect, "+.2f"),
                _known(test.p, ".2g"), test.better or "cannot tell",
            )
            for test in pair.tests
        ),
        tuple(notes),
    )  # fmt: skip


def _interval(test: Paired) -> str:
    return "-" if isinf(test.low) else f"{test.low:+.4g} to {test.high:+.4g}"


def _known(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
