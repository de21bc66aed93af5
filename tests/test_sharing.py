"""When a trial must wait, and how many epochs a search trains: without Ray, by brute force."""

from itertools import combinations

import pytest
from conftest import record
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.searches.plan import plan_search
from growsearch.searches.sharing import Follower
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History


def fixed(*growth_epochs, **fields):
    return TrialConfig(policy="fixed", growth_epochs=growth_epochs, **{"epochs": 10, **fields})


def known(n):
    return History(record(epoch) for epoch in range(1, n + 1))


def parts_after(waiting, running):
    """The number of the running trial's epochs after which the waiting trial may train."""
    epochs = range(running.epochs + 1)
    return next(n for n in epochs if not Follower(waiting, running).update(known(n)))


def test_a_trial_waits_until_the_running_one_has_gone_another_way():
    assert parts_after(fixed(4, 6), fixed(2, 6)) == 2
    assert parts_after(fixed(2, 6), fixed(4, 6)) == 2
    assert parts_after(fixed(2, 8), fixed(2, 6)) == 6
    # At the running trial's end; all epochs are shared.
    assert parts_after(fixed(2, 6), fixed(2, 6)) == 10


def test_a_trial_that_shares_nothing_never_waits():
    assert parts_after(fixed(2, seed=1), fixed(2)) == 0
    assert parts_after(fixed(2, lr=0.3), fixed(2)) == 0
    assert parts_after(fixed(2, architecture="3-3-3"), fixed(2)) == 0


def test_initializers_part_at_the_growth_and_schedules_at_the_first_other_rate():
    assert parts_after(fixed(3, initializer="zero"), fixed(3)) == 3
    assert parts_after(fixed(3, lr_schedule="cosine"), fixed(3)) == 3
    constant, step = (fixed(8, lr_schedule=s) for s in ("constant", "step"))
    assert parts_after(constant, step) == 5


def test_a_policy_follows_the_records_of_another_as_its_own():
    """Lipschitz constants do not rise, so growth is forced 3 epochs before the end."""
    waiting = TrialConfig(rtol=9, window=1, reserve=3, max_architecture="4-4-4", epochs=10)
    assert parts_after(waiting, fixed(7)) == 10
    assert parts_after(waiting, fixed(8)) == 7


def test_following_goes_on_where_it_was():
    follower = Follower(fixed(6), fixed(4))
    assert [follower.update(known(n)) for n in (0, 1, 3, 4, 4)] == [True, True, True, False, False]


def brute_force(configs):
    """The number of distinct (epoch, growths so far)."""
    return len(
        {
            (epoch, tuple(g for g in config.growth_epochs if g < epoch))
            for config in configs
            for epoch in range(1, config.epochs + 1)
        }
    )


def test_the_plan_of_the_grid_is_the_trees_distinct_epochs():
    configs = [fixed(*pair, epochs=40, lr=0.1) for pair in combinations(range(4, 36, 4), 2)]
    plan = plan_search(configs)
    assert (plan.trials, plan.nominal) == (28, 28 * 40)
    # With the default and with a constant rate, trials separate where they grow.
    assert plan.fewest == plan.most == brute_force(configs)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(1, 11), min_size=1, max_size=3), min_size=1, max_size=12))
def test_any_plan_of_fixed_schedules_is_brute_forces_count(growth_epochs):
    configs = [
        fixed(*sorted(epochs), epochs=12, lr_schedule="constant") for epochs in growth_epochs
    ]
    plan = plan_search(configs)
    assert plan.fewest == plan.most == brute_force(configs)


def test_where_data_decides_the_plan_is_a_bound():
    sweep = [TrialConfig(rtol=1 + k / 16, window=3, reserve=5, epochs=30) for k in range(16)]
    plan = plan_search(sweep)
    assert plan.nominal == 16 * 30
    assert (plan.fewest, plan.most) == (30, 4 + 16 * 26)
    both = plan_search([*sweep, fixed(3, 5, epochs=30)])
    assert both.fewest <= both.most == plan.most + 27


@pytest.mark.parametrize("policy", ["periodic", "convergent"])
def test_autogrow_is_known_until_its_first_growth(policy):
    fields = {"policy": policy, "interval": 4, "epochs": 60, "finetune_epochs": 20}
    plan = plan_search([TrialConfig(**fields), TrialConfig(**fields, initializer="zero")])
    first = 4 if policy == "periodic" else 8
    assert (plan.fewest, plan.most) == (60, first + 2 * (60 - first))
