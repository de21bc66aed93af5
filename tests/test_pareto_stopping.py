"""Recorded trials, judged epoch by epoch as if they were training."""

from dataclasses import replace

import pytest
from conftest import recorded

from growsearch.stopping.judge import ParetoStopping
from growsearch.study.schema import schema
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.status import Status


@pytest.fixture(scope="module")
def trials():
    """65 trials of 30 epochs that differ in their first growth epoch, one seed after the other."""
    trials = sorted(recorded("reproduced/lipgrow-figure4-small"), key=lambda trial: trial[0].seed)
    return {f"{i:05d}": trial for i, trial in enumerate(trials)}


def search(trials, judge, workers=2, resume=False):
    """Judges trials epoch by epoch as a search does; returns how and when or why each left."""
    waiting, running, left = list(trials), {}, {}
    while waiting or running or (resume and any(h == Status.PAUSED for h, _ in left.values())):
        while len(running) < workers and waiting:
            name = waiting.pop(0)
            running.setdefault(name, 0)
        if len(running) < workers and resume:
            paused = {name: why for name, why in left.items() if why[0] == Status.PAUSED}
            name = judge.next_to_resume(paused)
            if name is not None:
                running[name] = int(left.pop(name)[1])
        for name, epochs in list(running.items()):
            config, history = trials[name]
            known = History(history[: epochs + 1])
            running[name] = epochs + 1
            if known[-1].status != "running":
                judge.ended(name, config, known)
                left[name] = (known[-1].status, epochs + 1)
                del running[name]
            elif leaves := judge.verdict(name, config, known):
                how, why, _ = leaves
                left[name] = (how, epochs + 1 if how == Status.PAUSED else why)
                del running[name]
    return left


def front(outcomes):
    """The front, by comparing all pairs."""
    return {
        (cost, accuracy)
        for cost, accuracy in outcomes
        if not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in outcomes)
    }


def outcome(history):
    return history[-1].ppe, history[-1].val_accuracy


def test_what_is_stopped_names_a_completed_trial_that_is_cheaper(trials):
    judge = ParetoStopping(seed=1)
    left = search(trials, judge)
    stopped = {name: why for name, (how, why) in left.items() if how == Status.STOPPED}
    assert stopped
    for name, why in stopped.items():
        assert not judge.safe.is_audited(name)
        by = why.split()[3]
        assert left[by][0] == "completed"
        cheaper, dearer = (outcome(trials[n][1])[0] for n in (by, name))
        assert cheaper <= dearer
    assert len(left) == len(trials)


def test_a_stop_is_recorded_with_bounds_of_what_the_trial_would_have_come_to(trials):
    judge, stops = ParetoStopping(costs=("flops", "ppe"), seed=1), {}
    verdict = judge.verdict

    def seen(name, *given):
        leaves = verdict(name, *given)
        if leaves:
            stops[name] = leaves.stop
        return leaves

    judge.verdict = seen
    search(trials, judge)
    assert stops
    for name, stop in stops.items():
        final, other = trials[name][1][-1], trials[stop["dominated_by"]][1][-1]
        for cost in ("train_flops", "ppe"):
            # The sums differ in the order of their terms.
            assert stop[f"bound/{cost}"] <= getattr(final, cost) * (1 + 1e-12)
            assert getattr(other, cost) <= stop[f"bound/{cost}"] * (1 + 1e-12)
        assert other.val_accuracy >= stop["bound/val_accuracy"] - stop["slack"]
        assert set(stop) <= set(schema().names)


def test_a_trial_that_the_audit_kept_has_the_record_of_its_stop(trials):
    judge, kept = ParetoStopping(audit=1), []
    ended = judge.ended

    def seen(name, *given):
        if stop := ended(name, *given):
            kept.append((name, stop))
        return stop

    judge.ended = seen
    search(trials, judge)
    assert len(kept) == judge.safe.judged > 5
    for name, stop in kept:
        other = trials[stop["dominated_by"]][1][-1]
        assert other.ppe <= stop["bound/ppe"] <= trials[name][1][-1].ppe * (1 + 1e-12)


def test_with_the_true_final_accuracy_the_front_is_that_of_the_full_search(trials):
    judge = ParetoStopping()
    judge.safe.upper = lambda standing: trials[standing.trial][1][-1].val_accuracy
    for workers in (1, 2, 5):
        left = search(trials, judge, workers)
        done = [outcome(trials[n][1]) for n, (how, _) in left.items() if how == "completed"]
        assert front(done) == front([outcome(history) for _, history in trials.values()])
        assert sum(how == Status.STOPPED for how, _ in left.values()) > 5
        judge = ParetoStopping()
        judge.safe.upper = lambda standing: trials[standing.trial][1][-1].val_accuracy


def test_racing_pauses_and_every_paused_trial_goes_on_when_nothing_else_is_left(trials):
    paused = search(trials, ParetoStopping(racing=3, alpha=0.01))
    kinds = [how for how, _ in paused.values()]
    assert kinds.count(Status.PAUSED) > 10 and kinds.count("completed") > 2
    whole = search(trials, ParetoStopping(racing=3, alpha=0.01), resume=True)
    assert {how for how, _ in whole.values()} == {"completed"}
    assert set(whole) == set(trials)


def test_epochs_that_another_trial_has_trained_are_not_raced(trials):
    shared = {
        name: (config, History(replace(record, reused=True) for record in history))
        for name, (config, history) in trials.items()
    }
    left = search(shared, ParetoStopping(racing=3, alpha=0.01))
    assert {how for how, _ in left.values()} == {"completed"}


def test_more_costs_are_all_to_be_undercut(trials):
    one = search(trials, ParetoStopping(seed=1))
    two = search(trials, ParetoStopping(costs=("ppe", "seconds"), seed=1))
    stopped = [{n for n, (how, _) in left.items() if how == Status.STOPPED} for left in (one, two)]
    assert stopped[1] < stopped[0]  # a trial's seconds so far are a weak bound


def test_the_hypervolume_grows_with_each_trial_that_adds_to_the_front(trials):
    judge = ParetoStopping(alpha=0.01)
    search(trials, judge)
    values = judge.hypervolume.values
    assert values == sorted(values)
    assert 3 < len(set(values)) < len(values) == len(trials)


def test_what_cannot_be_is_one_line():
    for options in ({"alpha": 2}, {"racing": 1}, {"delta": -1}, {"audit": 3}):
        with pytest.raises(InputError) as caught:
            ParetoStopping(**options)
        assert "\n" not in str(caught.value)


def test_by_loss_what_is_stopped_has_a_cheaper_rival_of_no_more_loss_than_it_may_come_to(trials):
    judge = ParetoStopping(seed=1, metric="val_loss", alpha=0.2)
    left = search(trials, judge)
    assert {how for how, _ in left.values()} == {"completed", Status.STOPPED}
    losses = {n: h[-1].val_loss for n, (_, h) in trials.items() if left[n][0] == "completed"}
    for name, (how, why) in left.items():
        if how == Status.STOPPED:
            assert why.startswith("dominated by trial ") and "-val_loss -" in why
            by, least = why.split()[3], -float(why.split()[-1].rstrip(")"))
            assert losses[by] <= least + 1e-3  # the message has four digits
            assert outcome(trials[by][1])[0] <= outcome(trials[name][1])[0]
    members = [(m.costs[0], -m.accuracy) for m in judge.safe.front.members]
    ran = [(trials[n][1][-1].ppe, -loss) for n, loss in losses.items()]
    assert set(members) == {(cost, -worth) for cost, worth in front(ran)}
