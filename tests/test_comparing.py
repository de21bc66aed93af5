"""Studies beside each other, against brute force over hand-made trials."""

import io
import json
import math
from dataclasses import dataclass, replace
from html import unescape
from itertools import pairwise
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, record, run
from hypothesis import given
from hypothesis import strategies as st

from growsearch import InputError, compare_studies, load_plugins, option, register
from growsearch.comparing.attainment import attainment_difference
from growsearch.comparing.entrants import differences, read_entrants
from growsearch.comparing.page import write_comparison
from growsearch.comparing.picture import comparison_figure
from growsearch.comparing.words import told
from growsearch.stopping.hypervolume import REFERENCE, Bounds
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.trial.config import TrialConfig

PRICES = {"1-1-1": 100, "2-2-2": 200, "4-4-4": 400}


def study(folder, trials, log=None, metric="val_loss", **options):
    """A study of trials (architecture, learning rate, seed, loss, epochs that a store had).

    `log` are the names of trials, in the order in which each got two epochs.
    """
    create_study(
        folder, command="search", searched=["lr"],
        settings={"costs": ["param_epochs"], "metric": metric},
    )  # fmt: skip
    for number, (architecture, lr, seed, loss, remembered) in enumerate(trials):
        config = TrialConfig(
            policy="none", architecture=architecture, epochs=4, lr=lr, seed=seed, **options
        )
        size = PRICES[architecture]
        records = [
            record(
                epoch, architecture=architecture, parameters=size, param_epochs=size * epoch,
                ppe=size, val_loss=loss if epoch == 4 else 9.0, val_accuracy=None,
                reused=epoch <= remembered,
                status="completed" if epoch == 4 else "running", key=f"{number} {epoch}",
            )
            for epoch in range(1, 5)
        ]  # fmt: skip
        write_trial(folder, f"{number:05}", config, records)
    if log is not None:
        seen = dict.fromkeys(log, 0)
        lines = [
            {"trial": name, "epochs": seen[name]}
            for name in log
            if seen.update({name: seen[name] + 2}) is None
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "search.jsonl").write_text(text)
    return folder


@pytest.fixture
def two(tmp_path):
    """Study "a" is better at 200 parameters, "b" is alone at 100; each at two seeds."""
    one = [("2-2-2", 0.1, 0, 1.0, 2), ("4-4-4", 0.1, 0, 0.5, 0), ("4-4-4", 0.2, 1, 0.7, 0)]
    other = [("1-1-1", 0.1, 0, 2.0, 0), ("2-2-2", 0.1, 0, 1.5, 0), ("4-4-4", 0.1, 1, 0.9, 4)]
    order = ["00002", "00000", "00002", "00001", "00000", "00001"]
    return study(tmp_path / "a", one, log=order), study(tmp_path / "b", other)


def test_the_joint_front_says_which_study_has_each_point(two):
    front = compare_studies(two).front
    assert front["cost"].tolist() == [400, 800, 1600]
    assert front["metric"].tolist() == [2.0, 1.0, 0.5]
    assert front["trials"].tolist() == [("b/00000",), ("a/00000",), ("a/00001",)]


def test_a_point_that_both_have_belongs_to_both(tmp_path):
    trials = [("2-2-2", 0.1, 0, 1.0, 0), ("4-4-4", 0.1, 0, 0.5, 0)]
    found = compare_studies([study(tmp_path / "a", trials), study(tmp_path / "b", trials[:1])])
    assert found.front["studies"].tolist() == [("a", "b"), ("a",)]
    assert [(s.on_front, s.alone_on_front) for s in found.studies] == [(2, 1), (1, 0)]


def area(points, bounds):
    """The dominated area by cells between all corners."""
    scaled = [bounds.scaled(point) for point in points]
    xs, ys = (sorted({p[i] for p in scaled} | {REFERENCE}) for i in (0, 1))
    return sum(
        (x2 - x1) * (y2 - y1)
        for x1, x2 in pairwise(xs)
        for y1, y2 in pairwise(ys)
        if any(x <= x1 and y <= y1 for x, y in scaled)
    )


def test_hypervolumes_are_areas_within_bounds_common_to_all_studies(two):
    found = compare_studies(two)
    bounds = Bounds(lowest_cost=400, highest_cost=1600, lowest_accuracy=-2.0, highest_accuracy=-0.5)
    assert found.bounds == bounds
    one = [(800, -1.0), (1600, -0.5), (1600, -0.7)]
    other = [(400, -2.0), (800, -1.5), (1600, -0.9)]
    assert found.hypervolume == pytest.approx(area(one + other, bounds))
    assert [s.hypervolume for s in found.studies] == pytest.approx(
        [area(one, bounds), area(other, bounds)]
    )
    frozen = Bounds(lowest_cost=100, highest_cost=6400, lowest_accuracy=-4.0, highest_accuracy=0.0)
    again = compare_studies(two, bounds=frozen)
    assert again.hypervolume == pytest.approx(area(one + other, frozen))


def test_what_was_paid_follows_the_order_of_completion(two):
    """Of "a" trial 2 completes first, then 0, of which a store had two epochs, then 1."""
    found = compare_studies(two)
    a, b = found.studies
    assert [round(paid) for paid, _ in found.progress["a"]] == [
        4 * 400, 4 * 400 + 2 * 400 + 2 * 200, 8 * 400 + 2 * 200,
    ]  # fmt: skip
    assert (a.paid, a.nominal, a.order) == (3600, 4000, "log")
    assert (b.paid, b.nominal, b.order) == (1200, 2800, "names")
    bounds, whole = found.bounds, found.hypervolume
    in_order = [(1600, -0.7), (800, -1.0), (1600, -0.5)]
    shares = [area(in_order[:n], bounds) / whole for n in (1, 2, 3)]
    assert [share for _, share in found.progress["a"]] == pytest.approx(shares)
    for at in a.reached:
        first = next((n for n, share in enumerate(shares) if share >= at.share), None)
        assert at.trials == (None if first is None else first + 1)
        assert at.paid == (None if first is None else found.progress["a"][first][0])


def test_a_study_alone_on_the_front_reaches_it_at_its_last_point(tmp_path):
    trials = [("1-1-1", 0.1, 0, 2.0, 0), ("2-2-2", 0.1, 0, 1.0, 0), ("4-4-4", 0.1, 0, 0.5, 4)]
    worse = study(tmp_path / "worse", [("4-4-4", 0.1, 0, 3.0, 0)])
    found = compare_studies([study(tmp_path / "a", trials), worse]).studies[0]
    assert found.share == pytest.approx(1)
    assert (found.reached[-1].trials, found.reached[-1].paid) == (3, 1200)
    assert found.reached[-1].nominal == 2800


runs = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=5),
    min_size=1, max_size=3,
)  # fmt: skip


@given(runs, runs)
def test_attainment_differs_as_cells_of_a_fine_grid_say(one, other):
    """Points lie on tenths, so each cell of a tenth is attained wholly or not at all."""

    def attained(found, x, y):
        return sum(any(a <= x and b <= y for a, b in run) for run in found) / len(found)

    cells = [
        (attained(one, x, y) - attained(other, x, y)) / 100 for x in range(11) for y in range(11)
    ]
    sides = ([np.array(run) / 10 for run in found] for found in (one, other))
    ahead = attainment_difference(*sides)
    expected = sum(max(c, 0) for c in cells), sum(max(-c, 0) for c in cells)
    assert ahead == pytest.approx(expected, abs=1e-12)


def test_a_seed_whose_trials_all_failed_is_a_run_that_attains_nothing(tmp_path):
    """The areas ahead differ as the runs' mean hypervolumes do."""
    one = study(tmp_path / "one", [("2-2-2", 0.1, 0, 1.0, 0), ("4-4-4", 0.1, 0, 0.5, 0)])
    config = TrialConfig(policy="none", architecture="4-4-4", epochs=4, lr=0.1, seed=1)
    write_trial(one, "00002", config, [record(1, val_loss=math.nan, status="diverged")])
    both = [("2-2-2", 0.1, 0, 1.2, 0), ("4-4-4", 0.1, 1, 0.8, 0)]
    found = compare_studies([one, study(tmp_path / "other", both)])
    assert [s.seeds for s in found.studies] == [2, 2]
    (pair,) = found.pairs
    first, *others = (
        area(run, found.bounds)
        for run in ([(800, -1.0), (1600, -0.5)], [(800, -1.2)], [(1600, -0.8)])
    )
    assert pair.one_ahead - pair.other_ahead == pytest.approx(first / 2 - sum(others) / 2)


def two_optimizers(tmp_path, losses, others, **options):
    """The same learning rates and seeds with two weight decays."""
    rows = [
        [("2-2-2", lr, seed, loss, 0) for (lr, seed), loss in found.items()]
        for found in (losses, others)
    ]
    return (
        study(tmp_path / "a", rows[0], weight_decay=0.0),
        study(tmp_path / "b", [*rows[1], ("1-1-1", 0.9, 7, 3.0, 0)], weight_decay=0.1),
    )


def test_trials_of_equal_configuration_and_seed_are_paired(tmp_path):
    losses = {(lr, seed): 1 + lr + 0.01 * seed for lr in (0.1, 0.2) for seed in range(4)}
    gains = {0: 0.1, 1: 0.12, 2: 0.08, 3: 0.11}
    others = {(lr, seed): v + gains[seed] + lr / 100 for (lr, seed), v in losses.items()}
    del others[0.2, 3]
    (pair,) = compare_studies(two_optimizers(tmp_path, losses, others)).pairs
    assert pair.factors == ("weight_decay",)
    test = next(t for t in pair.tests if t.quantity == "metric")
    by_seed = [-gains[s] - 0.0015 for s in range(3)] + [-gains[3] - 0.001]
    assert (test.seeds, test.pairs, test.better) == (4, 7, "a")
    assert test.mean == pytest.approx(fmean(by_seed))
    half = 3.182446 * stdev(by_seed) / 2  # Student's t of three degrees of freedom, from a table
    assert (test.low, test.high) == pytest.approx((fmean(by_seed) - half, fmean(by_seed) + half))
    assert test.effect == pytest.approx(fmean(by_seed) / stdev(by_seed))
    # t is d * sqrt(n), with 3 degrees of freedom: P(|T| > t) in closed form
    t = abs(test.effect) * 2
    a = math.atan(t / math.sqrt(3))
    assert test.p == pytest.approx(1 - 2 / math.pi * (a + math.sin(a) * math.cos(a)))
    cost = next(t for t in pair.tests if t.quantity == "cost")
    assert (cost.mean, cost.effect, cost.better) == (0, None, None)


def test_equal_studies_differ_by_zero_without_a_sign(tmp_path):
    trials = [("2-2-2", 0.1, seed, 1.0 - seed / 10, 0) for seed in range(3)]
    trials += [("4-4-4", 0.1, seed, 0.5, 0) for seed in range(3)]
    found = compare_studies([study(tmp_path / name, trials) for name in "ab"])
    for test in found.pairs[0].tests:
        assert f"{test.mean:+} {test.low:+} {test.high:+}" == "+0.0 +0.0 +0.0"


def test_two_equal_seeds_tell_which_study_is_cheaper_but_not_which_is_better(tmp_path):
    """Costs of a schedule do not depend on the seed; that two losses differ equally is chance."""
    folders = [
        study(tmp_path / name, [(size, 0.1, seed, loss + seed / 10, 0) for seed in range(2)])
        for name, size, loss in (("small", "2-2-2", 1.0), ("large", "4-4-4", 0.8))
    ]
    found = compare_studies(folders)
    metric, cost = found.pairs[0].tests
    assert (metric.mean, metric.better, metric.p) == (pytest.approx(0.2), None, None)
    assert math.isinf(metric.low) and math.isinf(metric.high)
    assert (cost.low, cost.high, cost.better) == (pytest.approx(-50), pytest.approx(-50), "small")
    assert [row[2] for row in list(told(found))[1].rows] == ["-", "-50 to -50"]


def test_what_is_said_of_studies_without_a_log_is_of_one_or_of_several(two, tmp_path):
    for folders, said in (
        (two, "not known of b, which has no log: its trials"),
        ([two[1], study(tmp_path / "c", [("4-4-4", 0.2, 0, 1.0, 0)])],
         "not known of b, c, which have no log: their trials"),
    ):  # fmt: skip
        notes = next(told(compare_studies(folders))).notes
        assert any(said in note for note in notes)


@pytest.mark.slow
def test_other_numbers_of_seeds_are_noted_wherever_the_numbers_are_shown(tmp_path, capsys):
    """Each seed is a further chance of a point on the front."""
    trials = [("2-2-2", 0.1, seed, 1.0 - seed / 10, 0) for seed in range(3)]
    trials += [("4-4-4", 0.1, seed, 0.5 - seed / 10, 0) for seed in range(3)]
    every = study(tmp_path / "every", trials)
    one = study(tmp_path / "one", [trial for trial in trials if trial[2] == 0])
    found = compare_studies([every, one])
    assert found.studies[0].share > found.studies[1].share
    said = "The numbers of seeds differ (every 3, one 1)."
    (note,) = (note for note in found.limits if note.startswith(said))
    assert "favours the study with more" in note and "attainment compares runs" in note
    code, out, _ = run(capsys, "compare", every, one, "--out", tmp_path / "out")
    assert (code, said in " ".join(out.split())) == (0, True)
    assert note in (tmp_path / "out/comparison.html").read_text()
    _, out, _ = run(capsys, "compare", every, one, "--json")
    assert json.loads(out)["notes"] == list(found.limits)
    same = compare_studies([every, study(tmp_path / "same", trials)])
    assert not any("seeds differ" in note for note in same.limits)


def test_without_a_common_configuration_there_is_no_test(two, tmp_path):
    other = study(tmp_path / "c", [("1-1-1", 0.7, 5, 2.0, 0), ("2-2-2", 0.8, 5, 1.5, 0)])
    (pair,) = compare_studies([two[0], other]).pairs
    assert pair.tests == ()


def test_one_seed_has_no_interval(two):
    (pair,) = compare_studies(two).pairs
    assert {(t.seeds, t.pairs, t.effect, t.better) for t in pair.tests} == {(1, 1, None, None)}
    assert all(math.isinf(t.low) and math.isinf(t.high) for t in pair.tests)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train_size": 300}, "train_size is unset in 'a' and 300 in 'c'"),
        ({"dataset": "fashion-mnist"}, "dataset is digits in 'a' and fashion-mnist in 'c'"),
        ({"split": "paper"}, "split is clean in 'a' and paper in 'c'"),
        ({"metric": "val_accuracy"}, "their metric is val_loss in 'a' and val_accuracy in 'c'"),
    ],
)
def test_studies_of_other_data_or_metric_are_refused(two, tmp_path, capsys, changes, reason):
    other = study(tmp_path / "c", [("2-2-2", 0.1, 0, 1.5, 0)], **changes)
    with pytest.raises(InputError, match=reason):
        compare_studies([two[0], other])
    code, _, said = run(capsys, "compare", two[0], other)
    assert (code, said.count("\n")) == (2, 1)
    assert reason in said and "--force" in said
    forced = compare_studies([two[0], other], force=True)
    assert any(reason in found for found in forced.differences)


def test_every_option_of_a_users_task_counts_as_one_of_its_data_unless_it_has_a_role(
    own_registry, tmp_path
):
    load_plugins([str(ROOT / "examples/mlp.py")])
    rings = type(TrialConfig(task="rings", policy="none").task)
    made = {
        "noise": option(0.1, "of the data"), "hidden": option(1, "x", role="seed network"),
        "__annotations__": {"noise": float, "hidden": int}, "__module__": __name__,
    }  # fmt: skip
    register("task", "noisy")(dataclass(frozen=True, kw_only=True)(type("Noisy", (rings,), made)))
    changed = {"a": {}, "b": {"hidden": 2, "width": 8}, "c": {"noise": 0.2}}
    for name, changes in changed.items():
        create_study(tmp_path / name, command="search", searched=[], settings={})
        config = TrialConfig(task="noisy", policy="none", architecture="2", epochs=1, **changes)
        write_trial(tmp_path / name, "00000", config, [record(1, status="completed")])
    assert differences(read_entrants([tmp_path / "a", tmp_path / "b"])) == []
    told = ["noise is 0.1 in 'a' and 0.2 in 'c'"]
    assert differences(read_entrants([tmp_path / "a", tmp_path / "c"])) == told


def test_another_horizon_is_refused(two, tmp_path):
    other = create_study(
        tmp_path / "c", command="search", searched=[],
        settings={"costs": ["param_epochs"], "metric": "val_loss"},
    )  # fmt: skip
    records = [record(1, status="completed", val_loss=1.2)]
    write_trial(other, "00000", TrialConfig(policy="none", epochs=1), records)
    with pytest.raises(InputError, match="the longest horizon is 4 in 'a' and 1 in 'c'"):
        compare_studies([two[0], other])


def test_bad_studies_are_named(two, tmp_path):
    with pytest.raises(InputError, match="name two or more"):
        compare_studies(two[:1])
    with pytest.raises(InputError, match="are the same study"):
        compare_studies([two[0], two[0] / "../a"])
    with pytest.raises(InputError, match="cost 'ppe' is no sum over epochs"):
        compare_studies(two, paid="ppe")
    with pytest.raises(InputError, match="do not differ in both"):
        compare_studies([study(tmp_path / n, [("2-2-2", 0.1, 0, 1.0, 0)]) for n in ("c", "d")])
    cheap = replace(compare_studies(two).bounds, lowest_cost=1.0, highest_cost=2.0)
    with pytest.raises(InputError, match="no trial lies within bounds=Bounds"):
        compare_studies(two, bounds=cheap)
    unended = create_study(tmp_path / "e", command="search", searched=[], settings={})
    write_trial(unended, "00000", TrialConfig(policy="none", epochs=4), [record(1)])
    with pytest.raises(InputError, match="study 'e' has no completed trial"):
        compare_studies([two[0], unended], cost="param_epochs", metric="val_loss")


def test_a_study_without_the_metric_is_not_said_to_be_unfinished(two, tmp_path):
    losses = [math.nan, math.inf]
    other = study(tmp_path / "c", [("2-2-2", 0.1, n, loss, 0) for n, loss in enumerate(losses)])
    said = "no completed trial of study 'c' has a finite value of val_loss; .*--metric"
    with pytest.raises(InputError, match=said):
        compare_studies([two[0], other])


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_trial_whose_metric_is_not_finite_is_left_out(two, tmp_path, loss):
    own = [("2-2-2", 0.1, 0, 1.0, 2), ("4-4-4", 0.1, 0, 0.5, 0), ("4-4-4", 0.2, 0, loss, 0)]
    with_it = study(tmp_path / "of inf" / "a", own)
    without = study(tmp_path / "without" / "a", own[:2])
    found, expected = (compare_studies([folder, two[1]]) for folder in (with_it, without))
    for field in ("bounds", "hypervolume", "pairs"):
        assert getattr(found, field) == getattr(expected, field)
    assert found.front.equals(expected.front)
    assert [s.completed for s in found.studies] == [2, 3]


def test_a_running_search_is_compared_although_its_log_ends_in_half_a_line(two):
    before = compare_studies(two)
    with (two[0] / "search.jsonl").open("a") as log:
        log.write('{"trial": "00')
    assert compare_studies(two) == before


def test_the_command_prints_what_the_function_finds(two, capsys, tmp_path):
    found = compare_studies(two)
    code, out, _ = run(capsys, "compare", *two, "--json")
    assert code == 0
    printed = json.loads(out)
    assert printed["front"] == [
        {"cost": r.cost, "metric": r.metric, "studies": list(r.studies), "trials": list(r.trials)}
        for r in found.front.itertuples()
    ]
    assert printed["hypervolume"] == found.hypervolume
    assert [s["paid"] for s in printed["studies"]] == [s.paid for s in found.studies]
    code, out, _ = run(capsys, "compare", *two, "--out", tmp_path / "out")
    assert code == 0
    assert max(map(len, out.splitlines()[:20])) <= 80
    for text in ("3.6 k", "100.0 %") if found.studies[0].share == 1 else ("2 of 3",):
        assert text in out
    table = pd.read_csv(tmp_path / "out/studies.csv")
    assert table["hypervolume"].tolist() == pytest.approx([s.hypervolume for s in found.studies])
    page = (tmp_path / "out/comparison.html").read_text()
    assert "<svg" in page and "src=" not in page and "<script" not in page
    front = page.partition("The joint front")[2]
    assert front.count("<tr>") == 1 + len(found.front)
    assert all(f"<td>{metric:g}</td>" in front for metric in found.front["metric"])


def test_the_picture_names_its_axes_as_the_reports_do(two):
    found = replace(compare_studies(two), cost="flops")
    for metric, label in (
        ("val_loss", "validation loss"), ("metric/val_bits_per_byte", "val bits per byte"),
    ):  # fmt: skip
        axes = comparison_figure(replace(found, metric=metric)).axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("training FLOPs", label)
    assert comparison_figure(found).axes[1].get_xlabel() == "paid parameter-epochs"


@pytest.mark.parametrize("name", ["$x^$", r"metric/val_$\foo$"])
def test_a_dollar_in_a_name_is_no_mathematics(two, name):
    found = replace(compare_studies(two), cost=name, unit=name, metric=name)
    comparison_figure(found).savefig(io.BytesIO(), format="svg")


def test_no_name_of_a_study_is_computed_by_a_spreadsheet(two, tmp_path):
    (tmp_path / "a").rename(tmp_path / "=1+1")
    write_comparison(compare_studies([tmp_path / "=1+1", two[1]]), tmp_path / "out")
    assert pd.read_csv(tmp_path / "out/studies.csv")["study"].tolist() == ["'=1+1", "b"]


def test_what_cannot_be_drawn_leaves_the_page_and_the_tables(tmp_path, capsys, caplog):
    trials = [("1-1-1", 0.1, 0, 2.0, 0), ("2-2-2", 0.1, 0, 1.7e308, 0)]
    studies = [study(tmp_path / name, trials) for name in "ab"]
    code, out, _ = run(capsys, "compare", *studies, "--out", tmp_path / "out")
    assert code == 0
    assert "the picture cannot be drawn (" in caplog.text
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".html", ".csv"}
    assert "picture " not in out


def test_comparing_by_another_metric_as_its_plugin_is_not_loaded_is_told(tmp_path, capsys, caplog):
    trials = [("1-1-1", 0.1, 0, 2.0, 0), ("2-2-2", 0.1, 0, 1.0, 0)]
    named = [study(tmp_path / name, trials, metric="smooth") for name in "ab"]
    note = "Metric 'smooth' is of a plugin that is not loaded, so trials are compared by val_loss"
    code, out, _ = run(capsys, "compare", *named, "--json", "--out", tmp_path / "out")
    assert code == 0
    (said,) = caplog.messages  # once for both
    assert said.startswith(note)
    assert json.loads(out)["notes"][:1] == [said]
    assert said in unescape((tmp_path / "out/comparison.html").read_text())
    caplog.clear()
    code, out, _ = run(capsys, "compare", *named, "--json", "--metric", "val_loss")
    assert (code, caplog.messages) == (0, [])
    assert said not in json.loads(out)["notes"]


def test_a_page_shows_markup_in_names_as_text_and_takes_no_other_folder(tmp_path):
    from growsearch.comparing.page import write_comparison

    trials = [("1-1-1", 0.1, 0, 2.0, 0), ("2-2-2", 0.1, 0, 1.0, 0)]
    named = study(tmp_path / "<b>$x$", trials), study(tmp_path / "b", trials)
    found = compare_studies(named)
    page = write_comparison(found, tmp_path / "out").page.read_text()
    assert "<b>" not in page and "&lt;b&gt;" in page
    write_comparison(found, tmp_path / "out")  # again
    with pytest.raises(InputError, match="holds other files"):
        write_comparison(found, named[1])
