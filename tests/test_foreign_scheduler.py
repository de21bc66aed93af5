"""ParetoScheduler on results of any trainable: first without Ray's cluster, then on it."""

import itertools
import json
import math
import pickle
import random
import shutil
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem

from growsearch.trial.errors import InputError
from growsearch.tuning import ParetoScheduler

EPOCHS, WORKERS = 12, 3


def curve(draw, kind="max"):
    """Results of a trial whose metric saturates, with noise; its costs rise faster and faster."""
    height, pace = draw.uniform(50, 100), draw.uniform(0.1, 0.8)
    joules, seconds = draw.uniform(1, 10), draw.uniform(1, 10)
    values = [height * (1 - math.exp(-pace * t)) + draw.gauss(0, 2) for t in range(1, EPOCHS + 1)]
    if kind == "min":
        values = [100 - value for value in values]
    costs = list(itertools.accumulate(joules * (1 + t // 4) for t in range(EPOCHS)))
    return [
        {
            "metric": values[t - 1], "joules": costs[t - 1], "money": seconds * t, "step": t,
            "upper": (max if kind == "max" else min)(values[t - 1 :]),
            "lower": [costs[-1] - draw.random(), seconds * EPOCHS],
        }
        for t in range(1, EPOCHS + 1)
    ]  # fmt: skip


def curves(seed, number=40, kind="max"):
    draw = random.Random(seed)
    return [curve(draw, kind) for _ in range(number)]


def uppermost(result):
    return result["upper"]


def lowermost(result):
    return result["lower"][0]


def lowermost_both(result):
    return result["lower"]


def trial(folder, name, status="PENDING", last=None):
    """A trial of Tune as far as the scheduler reads it."""
    storage = SimpleNamespace(
        storage_filesystem=LocalFileSystem(),
        experiment_fs_path=str(folder / "storage"),
        experiment_driver_staging_path=str(folder / "driver"),
    )
    return SimpleNamespace(trial_id=name, storage=storage, status=status, last_result=last)


def search(scheduler, results, folder, kill_after=(), workers=WORKERS, lost=0):
    """How Tune runs the trials, each result in turn; returns the time at which each ended.

    The driver is killed after each number of results in `kill_after`. Then the scheduler is as it
    was first, its file is as Tune has copied it, and running trials start again from a checkpoint,
    and give the last results, `lost` of them, once more.
    """
    pristine, told = pickle.dumps(scheduler), 0
    waiting, running, ended = [f"t{i}" for i in range(len(results))], {}, {}

    def add(name, **known):
        scheduler.on_trial_add(None, trial(folder, name, **known))

    for name in waiting:
        add(name)
    while waiting or running:
        while waiting and len(running) < workers:
            running[waiting.pop(0)] = 0
        for name in list(running):
            if told in kill_after:
                (folder / "storage").mkdir(exist_ok=True)
                shutil.copy(folder / "driver/pareto_scheduler.jsonl", folder / "storage")
                with (folder / "storage/pareto_scheduler.jsonl").open("a") as file:
                    file.write('{"event": "resu')  # an incomplete line
                scheduler = pickle.loads(pristine)
                for i, result in enumerate(results):
                    over = f"t{i}" in ended
                    last = result[ended[f"t{i}"] - 1] if over else None
                    add(f"t{i}", status="TERMINATED" if over else "PENDING", last=last)
                running = {n: max(epochs - lost, 0) for n, epochs in running.items()}
            told += 1
            result = results[int(name[1:])][running[name]]
            running[name] += 1
            tunes = trial(folder, name)
            last = running[name] == len(results[int(name[1:])])
            if last or scheduler.on_trial_result(None, tunes, result) == scheduler.STOP:
                scheduler.on_trial_complete(None, tunes, result)
                ended[name] = running.pop(name)
    return ended, scheduler


def brute_force(results, costs, kind, lower, delta):
    """The same search by the rule as it stands in the papers: all completed trials, one by one."""
    sign = 1 if kind == "max" else -1
    waiting, running, ended, completed = list(range(len(results))), {}, {}, []
    while waiting or running:
        while waiting and len(running) < WORKERS:
            running[waiting.pop(0)] = 0
        for i in list(running):
            running[i] += 1
            t = running[i]
            now = results[i][t - 1]
            if t == EPOCHS:
                completed.append((*(now[c] for c in costs), sign * now["metric"]))
            else:
                least = [lower(results[i], t, n, cost) for n, cost in enumerate(costs)]
                most = sign * now["upper"] - delta
                if not any(
                    all(f[n] <= bound for n, bound in enumerate(least)) and f[-1] >= most
                    for f in completed
                ):
                    continue
            ended[f"t{i}"] = running.pop(i)
    return ended


def so_far(results, t, n, cost):
    return results[t - 1][cost]


def at_the_last_rate(results, t, n, cost):
    before = results[t - 2][cost] if t > 1 else 0.0
    return results[t - 1][cost] + (results[t - 1][cost] - before) * (EPOCHS - t)


def stated(results, t, n, cost):
    return max(results[t - 1]["lower"][n], results[t - 1][cost])


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize(
    ("costs", "options", "lower"),
    [
        (("joules",), {}, so_far),
        (("joules",), {"rate_never_falls": True, "delta": 3}, at_the_last_rate),
        (("joules", "money"), {"rate_never_falls": True, "delta": 1}, at_the_last_rate),
        (("joules",), {"lower_bound": lowermost}, stated),
        (("joules", "money"), {"lower_bound": lowermost_both, "delta": 5}, stated),
    ],
)
def test_trials_stop_exactly_where_a_completed_one_dominates_their_bounds(
    costs, options, lower, kind, tmp_path
):
    found = 0
    for seed in range(5):
        results = curves(seed, kind=kind)
        scheduler = ParetoScheduler(
            metric="metric", mode=kind, cost=costs if len(costs) > 1 else costs[0], max_t=EPOCHS,
            time_attr="step", upper_bound=uppermost, alpha=None, audit=0, **options,
        )  # fmt: skip
        ended, _ = search(scheduler, results, tmp_path / str(seed))
        assert ended == brute_force(results, costs, kind, lower, options.get("delta", 0))
        found += sum(epoch < EPOCHS for epoch in ended.values())
    assert found > 20


def points(results, names):
    return [(results[i][-1]["joules"], results[i][-1]["metric"]) for i in names]


def pareto(found):
    return {
        p for p in found
        if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in found)
    }  # fmt: skip


def test_with_true_bounds_the_front_is_that_of_all_trials(tmp_path):
    for seed in range(5):
        results = curves(seed)
        scheduler = ParetoScheduler(
            metric="metric", mode="max", cost="joules", max_t=EPOCHS, time_attr="step",
            upper_bound=uppermost, rate_never_falls=True, alpha=None,
        )  # fmt: skip
        ended, scheduler = search(scheduler, results, tmp_path / str(seed))
        front = {(member.costs[0], member.accuracy) for member in scheduler.front}
        assert front == pareto(points(results, range(len(results))))
        assert min(ended.values()) < EPOCHS
        assert scheduler.stops.keys() == {n for n, epochs in ended.items() if epochs < EPOCHS}


LEARNS = {
    "metric": "metric", "mode": "max", "cost": "joules", "max_t": EPOCHS, "time_attr": "step",
    "rate_never_falls": True, "alpha": 0.3, "audit": 0.2,
}  # fmt: skip


def test_decisions_depend_neither_on_units_nor_on_the_sign_of_the_metric(tmp_path):
    results = curves(1, 80)
    ended, _ = search(ParetoScheduler(**LEARNS), results, tmp_path / "percent")
    assert sum(epoch < EPOCHS for epoch in ended.values()) > 10
    # powers of two: nothing rounds
    shares = [[r | {"metric": r["metric"] / 128, "joules": r["joules"] * 1024} for r in c]
              for c in results]  # fmt: skip
    assert search(ParetoScheduler(**LEARNS), shares, tmp_path / "shares")[0] == ended
    losses = [[r | {"metric": -r["metric"]} for r in c] for c in results]
    of_losses = ParetoScheduler(**LEARNS | {"mode": "min"})
    assert search(of_losses, losses, tmp_path / "losses")[0] == ended


@pytest.mark.parametrize("options", [{}, {"upper_bound": uppermost, "alpha": None}])
@pytest.mark.parametrize(("workers", "lost"), [(3, 0), (1, 3), (1, EPOCHS)])
def test_a_killed_search_decides_as_if_it_had_not_been(options, workers, lost, tmp_path):
    """Several trials that lose results give new ones in another order, so then there is one."""
    results = curves(2, 60)
    ended, whole = search(
        ParetoScheduler(**LEARNS | options), results, tmp_path / "whole", workers=workers
    )
    again, killed = search(
        ParetoScheduler(**LEARNS | options), results, tmp_path / "killed", range(10, 2000, 30),
        workers, lost,
    )  # fmt: skip
    assert min(again.values()) < EPOCHS
    assert again == ended
    assert killed.front == whole.front
    assert killed.stops == whole.stops
    assert killed.debug_string() == whole.debug_string()


def test_another_schedulers_file_in_the_same_folder_is_not_taken_over(tmp_path):
    results = curves(2, 60)
    search(ParetoScheduler(**LEARNS), results, tmp_path)
    shutil.copytree(tmp_path / "driver", tmp_path / "storage")
    other = ParetoScheduler(**LEARNS)
    other.on_trial_add(None, trial(tmp_path, "t0"))
    assert other.front == []
    assert len((tmp_path / "driver/pareto_scheduler.jsonl").read_text().splitlines()) == 2


def test_a_trial_that_diverges_dominates_none_and_teaches_nothing(tmp_path):
    """The cheapest trials' metric is infinite or no number, at their end or all the time."""
    results = curves(3, 40)
    cheap = [r | {"joules": r["joules"] / 1e3} for r in results[0]]
    for value in (math.nan, math.inf, -math.inf):
        always = [r | {"metric": value} for r in cheap]
        at_the_end = [*cheap[:-1], cheap[-1] | {"metric": value}]
        first = [always[0], *cheap[1:]]
        at_first, scheduler = search(
            ParetoScheduler(**LEARNS | {"alpha": 0.5}),
            [always, at_the_end, *results, always, at_the_end],
            tmp_path / str(value),
        )
        assert not {"t0", "t1", "t42", "t43"} & {member.trial for member in scheduler.front}
        assert at_first["t42"] == EPOCHS, "nothing is known of what it may come to"
        assert all(math.isfinite(stop.upper_accuracy) for stop in scheduler.stops.values())
        ended, scheduler = search(
            ParetoScheduler(**LEARNS | {"alpha": 0.5}), [first, *results], tmp_path / f"f{value}"
        )
        assert ended["t0"] == EPOCHS
        assert all(math.isfinite(stop.upper_accuracy) for stop in scheduler.stops.values())


def test_the_best_possible_metric_stops_certainly_dominated_trials(tmp_path):
    """One trial is perfect and cheap: the others stop when their cost has come to its."""
    results = curves(4, 10)
    best = [r | {"metric": 100.0, "joules": r["joules"] / 500} for r in results[0]]
    scheduler = ParetoScheduler(
        metric="metric", mode="max", cost="joules", max_t=EPOCHS, time_attr="step",
        best_metric=100, alpha=None, audit=0,
    )  # fmt: skip
    capped = [[r | {"metric": min(r["metric"], 99.0)} for r in c] for c in results]
    ended, scheduler = search(scheduler, [best, *capped], tmp_path)
    assert ended["t0"] == EPOCHS
    assert all(ended[f"t{i}"] == 1 for i in range(4, 11))
    assert "metric 100 >= 100" in str(scheduler.stops["t9"])


def told(scheduler, folder, *results):
    scheduler.on_trial_add(None, trial(folder, "t0"))
    for result in results:
        scheduler.on_trial_result(None, trial(folder, "t0"), result)


GOOD = {"metric": 1.0, "joules": 5.0, "step": 1, "trial_id": "t0", "config/lr": 0.1, "pid": 7}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": ...}, "t0 reported no 'metric'; .*; the result has joules, step$"),
        ({"joules": ...}, "t0 reported no 'joules'; .*; the result has metric, step$"),
        ({"step": ...}, "t0 reported no 'step'; .*; the result has metric, joules$"),
        ({"joules": 4.0}, "joules=4 after 5; report the cost of all of the trial so far"),
        ({"joules": math.nan}, "joules=nan; report a cost that is a finite number"),
        ({"metric": "good"}, "metric='good'; report a number"),
        ({"metric": None}, "metric=None; report a number"),
        ({"metric": 93.0}, "metric=93, beyond best_metric=1; give the best value"),
    ],
)
def test_a_result_that_cannot_be_read_is_named_in_one_line(changes, message, tmp_path):
    scheduler = ParetoScheduler(**LEARNS | {"best_metric": 1.0})
    second = {**GOOD, "step": 2, **changes}
    second = {key: value for key, value in second.items() if value is not ...}
    with pytest.raises(InputError, match=message) as raised:
        told(scheduler, tmp_path, GOOD, second)
    assert "\n" not in str(raised.value)


def nothing(result):
    return None


def one(result):
    return 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": []}, "cost=.. must be a key"),
        ({"cost": ["a", "a"]}, "several different ones"),
        ({"mode": "best"}, "mode='best' must be 'max' or 'min'"),
        ({"mode": None}, "metric='metric' and mode=None belong together"),
        ({"metric": None, "mode": None}, "has no metric; give metric and mode"),
        ({"max_t": 0}, "max_t=0 must be a finite step above 0"),
        ({"max_t": math.inf}, "max_t=inf must be"),
        ({"lower_bound": one}, "both bound the cost; give one"),
        ({"best_metric": math.nan}, "best_metric=nan must be a finite number"),
        ({"alpha": None}, "no trial would stop; give best_metric or upper_bound"),
        ({"alpha": 2}, "alpha=2 must be a probability"),
        ({"delta": -1}, "delta=-1 must be"),
        ({"audit": 7}, "audit=7 must be a share"),
        ({"upper_bound": nothing}, "upper_bound returned None for trial t0; return a number"),
        (
            {"lower_bound": one, "rate_never_falls": False, "cost": ["joules", "step"]},
            "lower_bound returned 1.0 for trial t0; return 2 numbers",
        ),
    ],
)
def test_options_that_do_not_fit_are_named(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        told(ParetoScheduler(**LEARNS | options), tmp_path, GOOD)


def test_the_metric_may_be_left_to_tune_config(tmp_path):
    scheduler = ParetoScheduler(**LEARNS | {"metric": None, "mode": None})
    assert scheduler.set_search_properties("joules", "min")
    told(scheduler, tmp_path, GOOD)
    assert scheduler.objective == "joules" and scheduler.mode == "min"
    given = ParetoScheduler(**LEARNS)
    assert given.set_search_properties("joules", "min")
    assert given.objective == "metric" and given.mode == "max"


def far_too_much(result):
    return 1e9


@pytest.mark.parametrize("wrong", [{"lower_bound": far_too_much}, {"upper_bound": one}])
def test_a_bound_that_turns_out_wrong_is_reported_once(wrong, tmp_path, caplog):
    scheduler = ParetoScheduler(**LEARNS | {"rate_never_falls": False} | wrong)
    search(scheduler, curves(5, 4), tmp_path)
    [message] = [entry.getMessage() for entry in caplog.records]
    assert f"{next(iter(wrong))} " in message and "may have been stopped wrongly" in message


def test_a_trial_that_starts_again_may_cost_less_than_before(tmp_path):
    scheduler = ParetoScheduler(**LEARNS)
    first = [GOOD | {"step": t, "joules": 5.0 * t} for t in (1, 2, 3)]
    again = [GOOD | {"step": t, "joules": 3.0 * t} for t in (2, 3, 4)]
    told(scheduler, tmp_path, *first, *again)
    lines = (tmp_path / "driver/pareto_scheduler.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["costs"] == [12.0]


def test_what_is_decided_is_in_the_experiments_folder(tmp_path):
    _, scheduler = search(ParetoScheduler(**LEARNS), curves(1, 80), tmp_path)
    lines = (tmp_path / "driver/pareto_scheduler.jsonl").read_text().splitlines()
    stops = [line for line in map(json.loads, lines) if line.get("event") == "stop"]
    assert {s["trial"]: s["reason"] for s in stops} == {
        name: str(stop) for name, stop in scheduler.stops.items()
    }


# On Ray, with a trainable of Tune's own tests: tanh(t / width) * height.


def grid(number=8):
    from ray import tune

    draw = random.Random(7)
    return {
        "trial": tune.grid_search(
            [{"height": draw.uniform(1, 2), "width": 3.0, "price": 2.0**n} for n in range(number)]
        )
    }


def costly():
    from ray.tune.utils.mock_trainable import MyTrainableClass

    class Costly(MyTrainableClass):
        def setup(self, config):
            self.price = config["trial"]["price"]
            super().setup(config["trial"])
            self.config = config["trial"]

        def step(self):
            return super().step() | {"joules": self.price * (self.timestep)}

        def reset_config(self, config):
            self.setup(config)
            return True

    return Costly


def height(result):
    """tanh(t / width) * height is less than height."""
    return result["config/height"]


def on_ray(
    folder, trainable=None, space=None, callbacks=(), samples=1, searcher=None, at_once=1, **options
):
    from ray import tune

    scheduler = ParetoScheduler(**{
        "metric": "episode_reward_mean", "mode": "max", "cost": "joules", "max_t": EPOCHS,
        "rate_never_falls": True, "upper_bound": height, "alpha": None, "audit": 0,
    } | options)  # fmt: skip
    return scheduler, tune.Tuner(
        tune.with_resources(trainable or costly(), {"cpu": 1}),
        param_space=space or grid(),
        tune_config=tune.TuneConfig(
            scheduler=scheduler, max_concurrent_trials=at_once, num_samples=samples,
            reuse_actors=trainable is None, search_alg=searcher,
        ),
        run_config=tune.RunConfig(
            name="foreign", storage_path=str(folder), callbacks=list(callbacks), verbose=0,
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1 if trainable is None else 0
            ),
        ),
    )  # fmt: skip


def lengths(results):
    return {result.config["price"]: result.metrics["training_iteration"] for result in results}


def expected():
    """The trials come in the order of their prices; a cheaper one dominates if it is higher."""
    heights = [point["height"] for point in grid()["trial"]["grid_search"]]
    reached = [height * math.tanh(EPOCHS / 3.0) for height in heights]
    best = [max(reached[:n], default=0) for n in range(len(reached))]
    return {2.0**n: 1 if best[n] >= height else EPOCHS for n, height in enumerate(heights)}


def interrupts(after, marker):
    """A callback that ends the driver's program after some results, but for the first time only."""
    from ray import tune

    class Interrupts(tune.Callback):
        seen = 0

        def on_trial_result(self, **info):
            self.seen += 1
            if self.seen == after and not marker.exists():
                marker.touch()
                raise RuntimeError("interrupted")

    return Interrupts()


@pytest.mark.slow
def test_trials_of_tunes_own_test_trainable_stop_where_they_are_dominated(ray, tmp_path):
    scheduler, tuner = on_ray(tmp_path)
    results = tuner.fit()
    assert not results.errors
    assert lengths(results) == expected()
    assert {1, EPOCHS} == set(lengths(results).values())
    assert len(scheduler.stops) == list(expected().values()).count(1)
    assert (tmp_path / "foreign/pareto_scheduler.jsonl").is_file()


@pytest.mark.long
@pytest.mark.parametrize("after", [14, 5, 21])
def test_an_interrupted_experiment_decides_as_if_it_had_not_been(ray, tmp_path, monkeypatch, after):
    from ray import tune

    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0.1")
    _, tuner = on_ray(tmp_path, callbacks=[interrupts(after, tmp_path / "marker")])
    with pytest.raises(Exception, match="interrupted"):
        tuner.fit()
    seen = (tmp_path / "foreign/pareto_scheduler.jsonl").read_text()
    restored = tune.Tuner.restore(
        str(tmp_path / "foreign"), tune.with_resources(costly(), {"cpu": 1})
    )
    results = restored.fit()
    assert not results.errors
    assert lengths(results) == expected()
    assert (tmp_path / "foreign/pareto_scheduler.jsonl").read_text().startswith(seen[:100])


@pytest.mark.slow
def test_a_function_trainable_stops_beside_optuna(ray, tmp_path):
    """The searcher has both objectives; each trial reports both at its end and before."""
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    def trains(config):
        for t in range(1, EPOCHS + 1):
            tune.report({"loss": 1 / (t * config["lr"]), "joules": config["lr"] * t})

    searcher = OptunaSearch(metric=["loss", "joules"], mode=["min", "min"], seed=0)
    scheduler, tuner = on_ray(
        tmp_path, trains, {"lr": tune.uniform(0.1, 2)}, samples=6,
        searcher=ConcurrencyLimiter(searcher, 2), metric="loss", mode="min", upper_bound=None,
        alpha=0.5, at_once=None,
    )  # fmt: skip
    results = tuner.fit()
    assert not results.errors
    ended = [result.metrics for result in results]
    whole = [metrics for metrics in ended if metrics["training_iteration"] == EPOCHS]
    assert len(whole) + len(scheduler.stops) == 6
    assert {m.trial for m in scheduler.front} <= {metrics["trial_id"] for metrics in whole}


@pytest.mark.slow
def test_a_missing_key_ends_the_experiment_with_its_line(ray, tmp_path):
    from ray import tune

    def reports(config):
        for _ in range(3):
            tune.report({"loss": 1.0, "kost": 1.0})

    _, tuner = on_ray(tmp_path, reports, {}, metric="loss", mode="min", upper_bound=None, alpha=0.5)
    with pytest.raises(Exception, match=r"reported no 'joules'; .*; the result has loss, kost"):
        tuner.fit()
