"""The most promising trial first: what it promises, and what is still to be paid for it."""

import json
import random
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import record, run

from growsearch.searches.best_first import COMPARED, FIRST, BestFirst
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.searches.tree import ways_of
from growsearch.stopping.cost import metric_of
from growsearch.stopping.gaussian_process import GaussianProcess
from growsearch.stopping.hypervolume import Bounds, hypervolume, scaled_gains
from growsearch.stopping.judge import ParetoStopping
from growsearch.trial.config import TrialConfig
from growsearch.tuning.branches_over_ledger import BranchesOverLedger

EPOCHS = 8
SIZES = {"1-1-1": 100, "2-2-2": 200, "4-4-4": 400}


def config(*growths: int, **options) -> TrialConfig:
    """Grows after these epochs."""
    targets = ("2-2-2", "4-4-4")[: len(growths)]
    given = {"growth_epochs": growths, "growth_architectures": targets, "initializer": "zero"}
    return TrialConfig(
        policy="fixed", architecture="1-1-1", epochs=EPOCHS, lr_schedule="constant",
        **given, **options,
    )  # fmt: skip


CONFIGS = {f"{a}": config(a) for a in range(1, 8)} | {
    f"{a}-{b}": config(a, b) for a in range(1, 7) for b in range(a + 1, 8)
}


def sizes(_):
    return lambda architecture: (SIZES[architecture], SIZES[architecture])


def search(configs=CONFIGS) -> BestFirst:
    best = BestFirst("param_epochs", sizes)
    for name, one in configs.items():
        best.add(name, one)
    return best


def end(best: BestFirst, name: str, error: float, course: float = 0.0) -> None:
    """The trial completes; `course` is how much its errors were above the last one until then."""
    best.trained(name, [error + course * (EPOCHS - k) for k in range(1, EPOCHS)] + [error])
    best.completed(name, error)


def parameter_epochs(one: TrialConfig) -> int:
    depths = [sum(g < epoch for g in one.policy.growth_epochs) for epoch in range(1, EPOCHS + 1)]
    return sum(list(SIZES.values())[depth] for depth in depths)


def test_a_way_has_the_epochs_that_its_trial_trains():
    one, other = ways_of([config(3), config(3, 5)])
    assert one.architectures == ("1-1-1",) * 3 + ("2-2-2",) * 5
    assert one.nodes[:5] == other.nodes[:5]
    assert not {*one.nodes[5:]} & {*other.nodes[5:]}
    assert one.known == EPOCHS


def test_what_data_decide_is_a_way_of_its_own():
    adaptive = {"policy": "lipschitz", "epochs": EPOCHS}
    one, other = ways_of([TrialConfig(**adaptive), TrialConfig(**adaptive, rtol=1.3)])
    assert one.known < EPOCHS == len(one.nodes)
    assert one.nodes[-1] != other.nodes[-1]


def test_of_epochs_that_train_new_blocks_apart_until_data_end_that_one_is_certain():
    apart = TrialConfig(policy="fixed", growth_epochs=(3,), initializer="adam", epochs=8,
                        architecture="2-2-2")  # fmt: skip
    (way,) = ways_of([apart])
    assert way.known == 3
    assert way.architectures == ("2-2-2",) * 3 + ("4-4-4",) * 6


def test_before_trials_have_completed_the_cheapest_come_first():
    order = search().order(list(CONFIGS))
    costs = [parameter_epochs(CONFIGS[name]) for name in order]
    assert costs == sorted(costs)


def test_of_equal_promises_the_one_with_the_most_epochs_in_the_store_comes_first():
    """Trials that differ only in what the metric does not depend on."""
    configs = {f"{a}-{seed}": config(a, seed=seed) for a in (2, 4, 6) for seed in (0, 1, 2, 3)}
    best = search(configs)
    done = [name for name in configs if not name.startswith("4")]
    for name in done[:FIRST]:
        end(best, name, 5.0 + int(name[0]) / 10)
    best.trained("4-2", [9.0] * 6)
    left = ["4-1", "4-2", "4-3"]
    assert best.order(left)[0] == "4-2"


def test_what_can_only_be_worse_than_a_cheaper_trial_comes_last():
    best = search()
    for name, one in CONFIGS.items():
        if len(one.policy.growth_epochs) == 1:
            end(best, name, 1.0 + parameter_epochs(one) / 1000)  # growing does not pay
    left = [name for name in CONFIGS if name not in best.errors]
    cheapest = min(left, key=lambda name: parameter_epochs(CONFIGS[name]))
    assert best.order(left)[0] == cheapest


@pytest.mark.parametrize("completed", [FIRST, COMPARED])
def test_what_goes_better_than_its_schedule_promises_comes_first(completed):
    """Trials that differ only in the seed, whose effect shows from the first epoch on."""
    configs = {str(seed): config(4, seed=seed) for seed in range(completed + 2)}
    best = search(configs)
    worse, better, *done = configs
    for seed, name in enumerate(done):
        end(best, name, 2.0 + 0.1 * seed, course=0.3)
    best.trained(worse, [4.9, 4.6])
    best.trained(better, [3.9, 3.6])
    order = best.order([worse, better])
    assert order == ([better, worse] if completed == COMPARED else [worse, better])


def test_courses_that_have_nothing_to_do_with_their_ends_tell_little():
    """Of the first epochs' errors, and so of a trial that has the lowest."""
    configs = {str(seed): config(4, seed=seed) for seed in range(41)}
    best, draw = search(configs), random.Random(0)
    one, *done = configs
    for name in done:
        best.trained(name, [draw.random() for _ in range(EPOCHS - 1)])
        best.completed(name, draw.random())
    best.trained(one, [0.0, 0.0])
    place = np.array([0])
    best.order([one, done[0]])
    (mean,), (deviation,) = best._plan.predicted(place)
    (usual,), (wide,) = best._plan.predictor.predict(place)
    assert abs(mean - usual) < 0.15
    assert 0.9 * wide < deviation <= wide


def test_a_trial_that_diverged_teaches_nothing():
    one, other = search(), search()
    for best in (one, other):
        for name in list(CONFIGS)[:FIRST]:
            best.completed(name, float(name))
    one.completed("1-2", float("nan"))
    left = list(CONFIGS)[10:]
    assert one.order(left) == other.order(left)


def test_a_branch_parts_where_another_trial_trains_something_else_next():
    """Of the trials that grow after 3, one grows again after 5, and one after 6."""
    best = search({name: CONFIGS[name] for name in ("3", "3-5", "3-6", "7")})
    assert best.parts("3") == (3, 5, 6)
    assert best.parts("3-5") == (3, 5)
    assert best.parts("7") == (3,)


def test_trials_that_join_later_are_ordered_as_if_they_had_been_there():
    one, late = search(), search(dict(list(CONFIGS.items())[:20]))
    for best in (one, late):
        for k, name in enumerate(list(CONFIGS)[:12]):
            end(best, name, 10 - k + 0.1 * k**2)
        best.order(list(CONFIGS)[12:20])
    for name in list(CONFIGS)[20:]:
        late.add(name, CONFIGS[name])
    left = list(CONFIGS)[12:]
    assert late.order(left) == one.order(left)


def dense_kernel(points, shape) -> np.ndarray:
    """Matern's with smoothness 5/2 and a linear one, of all pairs of points."""
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    far = np.sqrt(5) * apart / np.median(apart[apart > 0]) / shape.scale
    around = points - points.mean(axis=0)
    linear = around @ around.T / (around**2).sum(axis=1).mean()
    return (1 + far + far**2 / 3) * np.exp(-far) + shape.linear * linear


def test_the_process_predicts_as_the_dense_formulas_say():
    """Rasmussen and Williams, equations 2.41 and 2.42 with a constant as the only basis."""
    draw = np.random.default_rng(0)
    points = draw.normal(size=(30, 3))
    process, known, values = GaussianProcess(points), [], []
    for k in range(22):
        known.append(k)
        values.append(float(points[k] @ [1, 2, 3] + draw.normal() / 10))
        process.add(k, values[-1])
    kernel = dense_kernel(points, process.shape)
    inverse = np.linalg.inv(kernel[:22, :22] + process.shape.noise * np.eye(22))
    mean = (inverse @ values).sum() / inverse.sum()
    left = np.array(values) - mean
    variance = left @ inverse @ left / 22
    expected = mean + kernel[:, :22] @ inverse @ left
    spread = np.diag(kernel - kernel[:, :22] @ inverse @ kernel[:22])
    found, deviation = process.predict()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(deviation[22:] ** 2, variance * spread[22:], rtol=1e-5)


def test_another_value_changes_the_prediction_as_the_joint_process_says():
    """Both values with one kernel times a matrix between them: conditioned densely on all that is
    known. The matrix is the likeliest one; the variance has a regression's degrees of freedom.
    """
    draw, n = np.random.default_rng(3), 14
    points = draw.normal(size=(n + 1, 2))
    values = points @ [1.0, -1] + draw.normal(size=n + 1) / 2
    others = 3 + values + draw.normal(size=n + 1) / 2
    process = GaussianProcess(points, others=2)
    for k in range(n):
        process.add(k, values[k], [draw.normal(), others[k]])
    (mean,), (deviation,) = process.predict_given([n], 1, others[n:])
    (usual,), (wide,) = process.predict([n])

    kernel = dense_kernel(points, process.shape) + process.shape.noise * np.eye(n + 1)
    inverse = np.linalg.inv(kernel[:n, :n])
    known = np.column_stack([values, others])[:n]
    means = (inverse @ known).sum(axis=0) / inverse.sum()
    between = (known - means).T @ inverse @ (known - means) / n
    joint = np.kron(between, kernel)
    rest = [*range(n), *range(n + 1, 2 * n + 2)]
    left = np.concatenate([known[:, 0] - means[0], others - means[1]])
    weights = np.linalg.solve(joint[np.ix_(rest, rest)], joint[rest, n])
    variance = joint[n, n] - weights @ joint[rest, n]
    alone = between[0, 0] * (kernel[n, n] - kernel[n, :n] @ inverse @ kernel[:n, n])
    assert mean == pytest.approx(means[0] + weights @ left, rel=1e-8)
    assert mean != pytest.approx(usual, rel=0.01)
    assert (deviation / wide) ** 2 == pytest.approx(variance / alone * (n - 1) / (n - 2), rel=1e-6)


def test_the_process_of_ten_thousand_trials_keeps_no_matrix_of_all_pairs():
    draw = np.random.default_rng(0)
    points = draw.normal(size=(10_000, 5))
    tracemalloc.start()
    process = GaussianProcess(points)
    for k in range(60):
        process.add(k, points[k, 0])
        process.predict()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60e6  # all pairs in float64: 800e6


def test_values_beyond_the_most_that_the_process_learns_from_change_nothing(monkeypatch):
    monkeypatch.setattr("growsearch.stopping.gaussian_process.MOST_KNOWN", 20)
    points = np.random.default_rng(0).normal(size=(40, 2))
    process = GaussianProcess(points)
    for k in range(20):
        process.add(k, points[k, 0])
    before = process.predict()
    process.add(20, 1e6)
    np.testing.assert_array_equal(process.predict(), before)


def test_the_process_learns_a_function_of_which_it_has_seen_some_values():
    draw = np.random.default_rng(1)
    points = draw.uniform(-1, 1, size=(120, 2))
    truth = np.sin(2 * points[:, 0]) + points[:, 1] ** 2
    process = GaussianProcess(points)
    for k in range(60):
        process.add(k, truth[k])
    mean, deviation = process.predict()
    errors = np.abs(mean - truth)[60:]
    assert errors.mean() < 0.02
    assert np.mean(errors < 3 * deviation[60:]) > 0.9


def test_gains_on_the_scaled_plane_are_differences_of_hypervolumes():
    draw = random.Random(2)
    bounds = Bounds(lowest_cost=1, highest_cost=10, lowest_accuracy=0, highest_accuracy=1)
    others = [(10 ** draw.random(), draw.random()) for _ in range(5)]
    mine = [(10 ** draw.random(), draw.random()) for _ in range(20)]
    before = hypervolume(others, bounds)
    expected = [hypervolume([*others, one], bounds) - before for one in mine]
    cost, error = np.array([bounds.scaled(one) for one in mine]).T
    found = scaled_gains(cost, error, np.array([bounds.scaled(one) for one in others]))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def written(folder, names: list[str]) -> Ledger:
    """The ledger of a search whose trials `names` are over."""
    folder.mkdir()
    (folder / "trials").mkdir()
    ledger = Ledger(folder)
    for one in CONFIGS.values():
        ledger.add(one)
    for k, name in enumerate(names):
        ledger.start(name)
        for epoch in range(1, EPOCHS + 1):
            status = "completed" if epoch == EPOCHS else "running"
            new = record(
                epoch, status=status, val_accuracy=50 + k % 7 + epoch, key=f"{name} {epoch}"
            )
            ledger.enter(name, Report(record=new))
    return ledger


def scheduler_of(queue) -> BranchesOverLedger:
    judge = ParetoStopping(costs=("param_epochs",), audit=0)
    judge.sizes = sizes
    best = BestFirst("param_epochs", sizes)
    return BranchesOverLedger(queue, judge, best, metric_of("val_accuracy"))


def test_a_resumed_search_goes_on_with_the_trial_that_would_have_been_next(tmp_path):
    ended = [f"{k:05d}" for k in (3, 0, 8, 20, 5, 13, 11, 2, 17)]
    left = [f"{k:05d}" for k in range(len(CONFIGS)) if f"{k:05d}" not in ended]
    queues = [SimpleNamespace(ledger=Ledger(tmp_path), order=None, parts=None) for _ in range(2)]
    queues[0].ledger = ledger = written(tmp_path / "undisturbed", [])
    scheduler = scheduler_of(queues[0])
    for k, name in enumerate(ended):
        ledger.start(name)
        for epoch in range(1, EPOCHS + 1):
            status = "completed" if epoch == EPOCHS else "running"
            new = record(
                epoch, status=status, val_accuracy=50 + k % 7 + epoch, key=f"{name} {epoch}"
            )
            ledger.enter(name, Report(record=new))
            trial = SimpleNamespace(config={"name": name})
            (scheduler.on_trial_result if epoch < EPOCHS else scheduler.on_trial_complete)(
                None, trial, {}
            )
    written(tmp_path / "killed", ended)
    queues[1].ledger = Ledger.read(tmp_path / "killed")
    scheduler_of(queues[1])
    assert queues[1].order(left) == queues[0].order(left) != left


@pytest.mark.slow
def test_a_search_trains_the_most_promising_branch_first_and_each_epoch_once(tmp_path, capsys, ray):
    space = tmp_path / "space.py"
    space.write_text(
        "from ray import tune\n"
        "param_space = {'policy': 'fixed', 'initializer': 'zero', 'train_size': 100, 'epochs': 4,\n"
        "    'architecture': '1-1-1', 'lr': tune.grid_search([0.1, 0.05]),\n"
        "    'growth_epochs': tune.grid_search(['1', '2', '3', '1 2', '2 3', '1 3', '1 2 3'])}\n"
    )
    out = tmp_path / "study"
    code, _, errors = run(
        capsys, "search", space, "--dataset", "digits", "--scheduler", "branches", "--cost",
        "param_epochs", "--max-concurrent", 1, "--out", out,
    )  # fmt: skip
    assert code == 0, errors
    ledger = Ledger.read(out)
    histories = ledger.read_histories()
    assert {trial.status for trial in ledger.trials.values()} == {"completed"}
    ended = [name for name, epochs in ledger.results() if epochs == 4]
    # the first ones are the cheapest
    costs = [histories[name][-1].param_epochs for name in ended]
    assert costs[:FIRST] == sorted(costs)[:FIRST]
    trained = [r.key for history in histories.values() for r in history if not r.reused]
    assert sorted(trained) == sorted({r.key for h in histories.values() for r in h})
    lines = [json.loads(line) for line in (out / "search.jsonl").read_text().splitlines()]
    assert sum(line.get("status") == "completed" for line in lines) == 14
