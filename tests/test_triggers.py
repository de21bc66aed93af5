"""LipGrow's growths beside those at fixed shares, from hand-made trials of known losses."""

import math

import pytest
from conftest import record

from growsearch.study.folder import create_study
from growsearch.study.results import read_study, write_trial
from growsearch.study.triggers import triggers
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

EPOCHS = 10
SHAPES = ("2-2-2", "4-4-4", "8-8-8")


def flops_of(growths) -> float:
    return sum(2.0 ** sum(epoch > g for g in growths) for epoch in range(1, EPOCHS + 1))


def trial(folder, loss, growths, seed=0, forced=(), **options):
    """A trial that doubles after the two epochs; each doubling doubles an epoch's FLOPs."""
    if not options:
        options = {"policy": "fixed", "growth_epochs": growths}
    config = TrialConfig(
        architecture=SHAPES[0], epochs=EPOCHS, seed=seed, initializer="clone", **options
    )
    name = f"{len(list((folder / 'trials').glob('*.parquet'))):05}"
    records, flops = [], 0.0
    for epoch in range(1, EPOCHS + 1):
        stage = sum(epoch > g for g in growths)
        flops += 2.0**stage
        last = epoch == EPOCHS
        why = "forced with 2 epochs left" if epoch in forced else "the constant rose"
        records.append(
            record(
                epoch, architecture=SHAPES[stage], train_flops=flops, grew=epoch in growths,
                decision=f"grow: {why}" if epoch in growths else None,
                grown_val_loss=5.0 if epoch in growths else None, val_loss=loss if last else 5.0,
                status="completed" if last else "running", key=f"{name} {epoch}",
            )
        )  # fmt: skip
    write_trial(folder, name, config, records)


def lipgrow(folder, loss, growths, seed, forced=()):
    trial(folder, loss, growths, seed, forced, policy="lipschitz", rtol=1.4)


@pytest.fixture
def folder(tmp_path):
    return create_study(tmp_path / "study", command="search", searched=[])


def test_its_growths_are_judged_by_fixed_ones_of_equal_seed_and_flops(folder):
    chosen = {0: (2, 5), 1: (3, 5), 2: (3, 6)}
    for seed, growths in chosen.items():
        for fixed in ((1, 2), (4, 6), (8, 9)):
            trial(folder, 5 + seed - math.log(flops_of(fixed)), fixed, seed)
        there = 5 + seed - math.log(flops_of(growths))  # linear in log FLOPs: exact in between
        lipgrow(folder, there * (0.9 + 0.01 * seed), growths, seed, forced=growths[1:])
    (row,) = triggers(read_study(folder)).to_dict("records")
    assert (row["rtol"], row["seeds"], row["compared"]) == (1.4, 3, 3)
    assert row["growths"] == "2.7 5.3"
    assert row["growths_std"] == pytest.approx(math.sqrt(1 / 3))
    assert row["forced"] == 0.5
    shares = [flops_of(growths) / (4 * EPOCHS) for growths in chosen.values()]
    assert row["flops"] == pytest.approx(sum(shares) / 3)
    assert row["at_flops"] == pytest.approx(-9.0)  # -10, -9 and -8 percent
    assert row["at_flops_error"] == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)


def test_trials_of_one_seed_are_one_seed_and_others_may_have_a_single_epoch(folder):
    for seed in (0, 1):
        for fixed in ((1, 2), (8, 9)):
            trial(folder, 5 + seed - math.log(flops_of(fixed)), fixed, seed)
        for _ in range(2):
            lipgrow(folder, (5 + seed) * 0.9, (3, 5), seed)
    failed = TrialConfig(policy="none", epochs=EPOCHS)
    write_trial(folder, "failed", failed, [record(1, status="failed", key="failed")])
    (row,) = triggers(read_study(folder)).to_dict("records")
    assert (row["seeds"], row["compared"]) == (2, 2)


def test_a_trial_that_costs_less_than_all_fixed_ones_is_not_compared(folder):
    for seed in (0, 1):
        for fixed in ((1, 2), (4, 6)):
            trial(folder, 2.0, fixed, seed)
        lipgrow(folder, 1.0, (8, 9), seed)
    (row,) = triggers(read_study(folder)).to_dict("records")
    assert row["compared"] == 0 and math.isnan(row["at_flops"])


def test_a_study_without_either_is_said_in_one_line(folder):
    lipgrow(folder, 1.0, (2, 4), 0)
    with pytest.raises(InputError, match="1 completed trials of policy lipschitz and 0 of policy"):
        triggers(read_study(folder))
