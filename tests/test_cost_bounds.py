"""Lower bounds of a trial's cost, compared with the final costs of recorded trials."""

import dataclasses
from itertools import pairwise

import pytest
from conftest import WAYS_TO_GROW, first_quick, record, recorded

from growsearch.stopping.cost_bounds import CostBound, sizes_of
from growsearch.trainer import Trainer
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.kinds import Policy
from growsearch.trial.status import Status

COSTS = ("ppe", "param_epochs", "flops", "seconds")
STUDIES = ["lipgrow_digits", "reproduced/lipgrow-figure4-small", "reproduced/lipgrow-figure5-small"]


def bounds_of(config, history):
    """The bounds after each epoch."""
    bound, bounds = CostBound(config, sizes_of(config)), []
    for epoch in history:
        bound.extend(epoch)
        bounds.append(bound.costs(COSTS))
    return bounds


def final(history):
    last, seconds = history[-1], sum(epoch.seconds for epoch in history)
    return last.ppe, last.param_epochs, last.train_flops, seconds


def check(config, history):
    bounds = bounds_of(config, history)
    assert bounds[-1] == pytest.approx(final(history), rel=1e-12)
    for before, after in pairwise(bounds):
        assert all(a <= b * (1 + 1e-12) for a, b in zip(before, after, strict=True))
    return bounds


@pytest.mark.parametrize("name", first_quick([*STUDIES], 1))
def test_the_bound_never_falls_and_is_the_cost_in_the_end(name):
    for config, history in recorded(name):
        if history[-1].status == "completed":
            check(config, history)


def test_a_fixed_schedules_cost_is_known_after_its_first_epoch():
    for config, history in recorded("reproduced/lipgrow-figure5-small"):
        if config.policy.name in ("none", "fixed", "hand-tuned"):
            first, *_ = bounds_of(config, history)
            assert first[:3] == pytest.approx(final(history)[:3], rel=1e-12)


def test_lipgrow_grows_before_its_end_at_the_latest():
    """30 epochs at depth 2-2-2 would cost less than the forced growths allow."""
    for config, history in recorded("lipgrow_digits"):
        if config.policy.name != "lipschitz":
            continue
        (ppe, *_), *_ = bounds_of(config, history)
        assert history[0].parameters < ppe <= history[-1].ppe


APART = {"policy": "fixed", "growth_epochs": (2,), "initializer": "adam"}
"""How long new blocks are trained apart depends on data."""


TWICE = {**APART, "growth_epochs": (1, 3), "growth_architectures": ("4-4-4", "8-8-8")}


def test_more_epochs_apart_at_a_small_network_lower_the_mean_and_the_bound_holds():
    """What is certain is one such epoch for each growth; the first growth's have few parameters."""
    config = TrialConfig(train_size=100, epochs=8, lr=0.1, **TWICE)
    small, middle, large = (sizes_of(config)(n)[0] for n in ("2-2-2", "4-4-4", "8-8-8"))
    first = bounds_of(config, [record(1, architecture="2-2-2", parameters=small, ppe=small)])[0][0]
    for more in (1, 5, 50):  # epochs that train the first growth's blocks apart
        sizes = [small, *[middle] * (more + 2), *[large] * 6]
        assert first <= sum(sizes) / len(sizes)
    assert small < first <= middle


@pytest.mark.parametrize(
    "fields", first_quick([*WAYS_TO_GROW[:2], APART, TWICE, *WAYS_TO_GROW[2:]], 1, slow=4), ids=str
)
def test_it_holds_for_every_way_to_grow(fields):
    config = TrialConfig(train_size=100, epochs=6, lr=0.1, **fields)
    trainer = Trainer(config)
    list(trainer)
    bounds = check(config, trainer.history)
    sums = [epoch.param_epochs for epoch in trainer.history]
    assert all(bound[1] > sum_ for bound, sum_ in zip(bounds[:-1], sums[:-1], strict=True))


def test_an_early_growth_raises_the_bound():
    config = TrialConfig(rtol=1.2, window=1, reserve=2, max_architecture="4-4-4", epochs=8)
    trainer = Trainer(dataclasses.replace(config, train_size=100, lr=0.1))
    history = [next(trainer) for _ in range(3)]
    rising = [
        dataclasses.replace(epoch, lipschitz=factor, grew=False)
        for epoch, factor in zip(history, (1.0, 1.1, 2.0), strict=True)
    ]
    flat, _, grown = (bound[0] for bound in bounds_of(config, rising))
    small, large = (sizes_of(config)(name)[0] for name in ("2-2-2", "4-4-4"))
    assert flat == pytest.approx((6 * small + 2 * large) / 8)
    assert grown == pytest.approx((3 * small + 5 * large) / 8)


def test_a_policy_that_ends_before_its_fine_tuning_costs_what_it_trained(own_registry):
    """Nothing is left to train after `epochs`, though no decision to fine-tune was made."""

    class Late(Policy):
        grows = False
        finetune_epochs = 3

        def decide(self, trial, history):
            return None

    register("policy", "late")(dataclasses.dataclass(frozen=True, kw_only=True)(Late))
    config = TrialConfig(policy="late", epochs=5, architecture="1-1-1")
    rows = [
        record(n, architecture="1-1-1", parameters=100, param_epochs=100.0 * n, ppe=100.0, lr=0.1)
        for n in range(1, 6)
    ]
    rows[-1] = dataclasses.replace(rows[-1], status=Status.COMPLETED)
    bound = CostBound(config, lambda architecture: (100, 10))
    found = []
    for row in rows:
        bound.extend(row)
        found.append(bound.costs(["param_epochs"])[0])
    assert found[-1] == 500.0
    assert max(found) == 500.0
