"""Trials drawn by Optuna: what growsearch relies on, and what it reports to Optuna."""

import math
import signal
import subprocess
import sys
from collections import Counter

import moocore
import numpy as np
import optuna
import pytest
from conftest import ROOT, first_quick
from optuna.trial import TrialState
from ray import tune

from growsearch.trial.components import components
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.tuning import optuna_search
from growsearch.tuning.optuna_search import ParetoOptunaSearch
from growsearch.tuning.search_space import draw_trials, load_spaces, usual_front

SPACE = {
    "rtol": tune.uniform(1, 2),
    "window": tune.randint(1, 21),
    "lr": tune.loguniform(1e-3, 1),
    "weight_decay": tune.loguniform(1e-5, 1e-2),
    "epochs": 30,
}
LIPSCHITZ_OR_PERIODIC = [
    {"policy": "lipschitz", "rtol": tune.uniform(1, 2), "lr": tune.loguniform(1e-3, 1)},
    {
        "policy": "periodic",
        "interval": tune.randint(1, 6),
        "patience": tune.choice([5, 10]),
        "lr": tune.loguniform(1e-3, 1),
    },
]


def result(config: dict, status: str = "completed") -> dict:
    """The result of ZDT1; the front is at window 14, lr 0.03 and weight decay 3e-4."""
    x = config["rtol"] - 1
    off = (config["window"] / 20 - 0.7, math.log10(config["lr"]) + 1.5)
    g = 1 + 8 * off[0] ** 2 + off[1] ** 2 + (math.log10(config["weight_decay"]) + 3.5) ** 2
    return {"ppe": x, "val_accuracy": -g * (1 - math.sqrt(x / g)), "status": status}


def run(search: ParetoOptunaSearch, trials: int, at_once: int = 1, first: int = 0) -> list[dict]:
    """Suggests and completes trials, `at_once` at the same time; returns their results."""
    waiting, results = [], []
    for i in range(first, first + trials):
        waiting.append((f"t{i}", search.suggest(f"t{i}")))
        if len(waiting) == at_once:
            name, config = waiting.pop(0)
            search.tell(name, "completed", result(config))
            results.append(result(config))
    for name, config in waiting:
        search.tell(name, "completed", result(config))
        results.append(result(config))
    return results


def hypervolume(results: list[dict]) -> float:
    losses = np.array([[r["ppe"], -r["val_accuracy"]] for r in results])
    return float(moocore.hypervolume(losses, ref=np.array([1.1, 4.0])))


def states(search: ParetoOptunaSearch) -> list[str]:
    return [trial.state.name for trial in search.study.get_trials()]


@pytest.mark.parametrize(
    ("sampler", "trials", "seeds", "startup_trials", "fixed", "gain"),
    [
        pytest.param("tpe", 50, 6, 10, {}, 0.15, marks=pytest.mark.slow),
        pytest.param("nsga2", 200, 6, 10, {}, 0.05, marks=pytest.mark.long),
        pytest.param(
            "gp", 10, 2, 4, {"window": 14, "weight_decay": 3e-4}, 0.2, marks=pytest.mark.long
        ),
    ],
)
def test_a_sampler_finds_more_of_a_front_than_random_search(
    sampler, trials, seeds, startup_trials, fixed, gain
):
    """The measure is hypervolume; the whole front has 4.07."""
    gained, space = [], {**SPACE, **fixed}
    for seed in range(seeds):
        drawn = [result(config.to_flat()) for config in draw_trials([space], trials, seed)]
        search = ParetoOptunaSearch([space], sampler, seed=seed, startup_trials=startup_trials)
        gained.append(hypervolume(run(search, trials)) - hypervolume(drawn))
    assert np.mean(gained) > gain


@pytest.mark.parametrize("sampler", first_quick(sorted(components("sampler"), key="gp".__eq__)))
def test_the_same_seed_and_calls_give_the_same_suggestions(sampler):
    def suggested(seed: int) -> list[TrialConfig]:
        search = ParetoOptunaSearch([SPACE], sampler, seed=seed, startup_trials=4)
        run(search, 6, at_once=2)
        return list(search.configs.values())

    first = suggested(1)
    assert suggested(1) == first
    assert not set(suggested(2)) & set(first)


DRAWN = [
    ("window", tune.randint(1, 5)),
    ("window", tune.qrandint(2, 10, 3)),
    ("window", tune.qrandint(2, 6)),
    ("window", tune.lograndint(1, 5)),
    ("window", tune.qlograndint(2, 9, 2)),
    ("rtol", tune.quniform(1, 2, 0.25)),
    ("lr", tune.qloguniform(0.1, 0.5, 0.1)),
    ("initializer", tune.choice(["zero", "adam", "clone"])),
    ("train_size", tune.choice([None, 100, 200])),
    ("window", tune.choice([2, 2, 3])),
]


def rounded(values: list) -> set:
    return {round(v, 9) if isinstance(v, float) else v for v in values}


@pytest.mark.parametrize(("field", "domain"), DRAWN, ids=lambda v: getattr(v, "domain_str", v))
def test_suggestions_are_the_values_that_tune_draws(field, domain):
    search = ParetoOptunaSearch([{field: domain}], startup_trials=200)
    suggested = [search.suggest(f"t{i}")[field] for i in range(120)]
    drawn = domain.sample(size=500, random_state=0)
    assert rounded(suggested) == rounded(drawn)


@pytest.mark.parametrize("domain", [tune.uniform(0.01, 1), tune.loguniform(0.01, 1)])
def test_suggestions_spread_as_tune_spreads_them(domain):
    search = ParetoOptunaSearch([{"lr": domain}], startup_trials=500)
    suggested = [search.suggest(f"t{i}")["lr"] for i in range(300)]
    drawn = domain.sample(size=3000, random_state=0)
    for tenth in range(1, 10):
        assert np.mean(suggested < np.quantile(drawn, tenth / 10)) == pytest.approx(
            tenth / 10, abs=0.08
        )


@pytest.mark.parametrize("path", sorted((ROOT / "search_spaces").glob("*.py")), ids=str)
def test_every_space_in_the_repository_can_be_searched(path):
    spaces = load_spaces(path)
    search = ParetoOptunaSearch(spaces, accuracy=usual_front(spaces)["metric"])
    run = [TrialConfig.from_flat(search.suggest(f"t{i}")) for i in range(12)]
    assert run == list(search.configs.values())
    assert len(set(run)) >= 2


@pytest.mark.parametrize("ways", [tune.choice, tune.grid_search])
def test_a_grid_is_a_choice_and_choices_may_be_lists(ways):
    space = {"policy": "fixed", "growth_epochs": ways([[2, 16], (4, 17)]), "epochs": 30}
    search = ParetoOptunaSearch([space])
    assert {search.suggest(f"t{i}")["growth_epochs"] for i in range(20)} == {"2 16", "4 17"}
    assert {t.params["growth_epochs"] for t in search.study.trials} == {"[2, 16]", "(4, 17)"}


@pytest.mark.parametrize("sampler", components("sampler"))
def test_of_several_spaces_a_trial_has_the_fields_of_one(sampler):
    search = ParetoOptunaSearch(LIPSCHITZ_OR_PERIODIC, sampler, startup_trials=6)
    for i in range(10):
        config = search.suggest(f"t{i}")
        search.tell(f"t{i}", "completed", {"ppe": i, "val_accuracy": config["lr"]})
    found = Counter()
    for trial, config in zip(search.study.trials, search.configs.values(), strict=True):
        own = dict(trial.params)
        policy = ["lipschitz", "periodic"][own.pop("space")]
        assert (
            set(own)
            == {"lipschitz": {"rtol", "lr"}, "periodic": {"interval", "patience", "lr"}}[policy]
        )
        assert config == TrialConfig(policy=policy, **own)
        found[policy] += 1
    assert len(found) == 2


def test_a_field_that_spaces_draw_differently_is_a_parameter_for_each():
    spaces = [
        {"rtol": tune.uniform(1, 1.1), "window": tune.choice([1, 2]), "reserve": 3},
        {"rtol": tune.uniform(1.5, 2), "window": tune.choice([1, 2]), "lr": tune.choice([0.1])},
    ]
    search = ParetoOptunaSearch(spaces, startup_trials=4)
    for i in range(12):
        config = search.suggest(f"t{i}")
        search.tell(f"t{i}", "completed", {"ppe": i, "val_accuracy": i})
        params = search.study.trials[i].params
        own = {"0.rtol", "window"} if params["space"] == 0 else {"1.rtol", "window", "lr"}
        assert set(params) == {"space", *own}
        assert config["rtol"] == params[f"{params['space']}.rtol"]
        assert (config["rtol"] < 1.2) == (params["space"] == 0) == (config["reserve"] == 3)


@pytest.mark.parametrize(
    ("spaces", "named"),
    [
        ([{"lr": tune.randn(1, 0.1)}], "lr is drawn by tune.randn, which Optuna cannot search"),
        ([{"lr": tune.qrandn(1, 1, 1)}], "lr is drawn by tune.randn"),
        ([{"lr": tune.sample_from(lambda: 1)}], "tune.sample_from.*write a list of spaces, one"),
        ([{"lr": 0.1}], "nothing to search"),
        ([], "nothing to search"),
        ([{"rtoll": tune.uniform(1, 2)}], "no field 'rtoll'; did you mean 'rtol'"),
        ([{"policy": tune.choice(["none", "lipschitz"]), "rtol": 1.2}], "rtol=1.2 belongs to"),
    ],
)
def test_what_optuna_cannot_search_is_said_before_the_first_trial(spaces, named):
    with pytest.raises(InputError, match=named) as caught:
        ParetoOptunaSearch(spaces)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sampler": "tpo"}, "unknown sampler 'tpo'; choose from gp, nsga2, tpe"),
        ({"costs": ["pp"]}, "unknown objective 'pp'; did you mean 'ppe'"),
        ({"accuracy": "test_accuracy"}, "unknown metric 'test_accuracy'"),
        ({"costs": ["architecture"]}, "unknown objective 'architecture'"),
        ({"costs": []}, "give a cost and an accuracy"),
        ({"costs": ["val_accuracy"]}, "give a cost and an accuracy"),
        ({"seed": -1}, "search_seed must be at least 0, but got -1"),
        ({"startup_trials": 1}, "startup_trials must be at least 2, but got 1"),
        ({"storage": "/no/such/folder/study.db"}, "'/no/such/folder/study.db' cannot be opened"),
        ({"storage": __file__}, "cannot be opened.*give a new file"),
    ],
)
def test_a_mistake_in_the_options_is_named(options, named):
    with pytest.raises(InputError, match=named) as caught:
        ParetoOptunaSearch([SPACE], **options)
    assert "\n" not in str(caught.value)


def test_a_suggestion_that_breaks_a_rule_has_failed(monkeypatch):
    monkeypatch.setattr(optuna_search, "EXAMPLES", 0)
    search = ParetoOptunaSearch([{"policy": tune.choice(["none", "fixed"]), "rtol": 1.2}])
    with pytest.raises(InputError, match=r"rtol=1.2 belongs to policy"):
        search.suggest("t0")
    assert states(search) == ["FAIL"]
    assert search.running == []


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("how", "last", "state"),
    [
        ("completed", {"ppe": 2.0, "val_accuracy": 50.0}, "COMPLETE"),
        ("completed", {"ppe": 2.0, "val_accuracy": NAN}, "FAIL"),
        ("completed", {"ppe": INF, "val_accuracy": 50.0}, "FAIL"),
        ("completed", {"ppe": 2.0, "val_accuracy": None}, "FAIL"),
        ("completed", {"ppe": 2.0}, "FAIL"),
        ("completed", None, "FAIL"),
        ("stopped", {"ppe": 2.0, "val_accuracy": 50.0}, "PRUNED"),
        ("diverged", {"ppe": 2.0, "val_accuracy": 50.0}, "FAIL"),
        ("failed", None, "FAIL"),
    ],
)
def test_optuna_is_told_how_a_trial_ended(how, last, state):
    search = ParetoOptunaSearch([SPACE])
    search.suggest("t0")
    assert search.running == ["t0"]
    search.tell("t0", how, last)
    (trial,) = search.study.get_trials()
    assert trial.state.name == state
    assert trial.values == ([2.0, 50.0] if state == "COMPLETE" else None)
    assert search.running == []


def test_a_trial_ends_once_and_a_name_is_one_trial():
    search = ParetoOptunaSearch([SPACE])
    config = search.suggest("t0")
    search.tell("t0", "stopped")
    search.tell("t0", "completed", result(config))
    assert search.suggest("t0") == config
    assert states(search) == ["PRUNED"]


def low(search: ParetoOptunaSearch, how: str) -> int:
    """The number of 30 suggestions with rtol < 1.5, where trials end as `how`; others complete."""
    configs = [search.suggest(f"t{i}") for i in range(8)]
    for i in range(8, 38):
        rtol = configs[i - 8]["rtol"]
        told = {"ppe": 1.0, "val_accuracy": 1.0}
        search.tell(f"t{i - 8}", how if rtol < 1.5 else "completed", told)
        configs.append(search.suggest(f"t{i}"))
    return sum(config["rtol"] < 1.5 for config in configs[8:])


@pytest.mark.slow
def test_tpe_keeps_away_from_where_trials_were_stopped():
    def total(how: str) -> int:
        return sum(low(ParetoOptunaSearch([SPACE], seed=seed), how) for seed in range(6))

    assert total("stopped") < 0.7 * total("failed")


@pytest.mark.parametrize("sampler", first_quick(["nsga2", "gp"], 1, slow=0))
def test_other_samplers_learn_nothing_from_stopped_trials(sampler):
    def suggested(how: str) -> list[TrialConfig]:
        search = ParetoOptunaSearch([SPACE], sampler, startup_trials=2)
        for i in range(6):
            config = search.suggest(f"t{i}")
            search.tell(f"t{i}", "completed" if i % 2 else how, result(config))
        return list(search.configs.values())

    assert suggested("stopped") == suggested("failed") != suggested("completed")


def test_tpe_takes_stopped_trials_for_good_while_hardly_any_has_completed():
    """A tenth of 2 completed and 38 stopped trials count as good: both completed and 2 stopped."""
    search = ParetoOptunaSearch([{"rtol": tune.uniform(1, 2)}])
    rtols = [1.9] * 2 + [1.1] * 2 + [1.5] * 36
    for rtol, state in zip(
        rtols, [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 38, strict=True
    ):
        search.study.add_trial(
            optuna.create_trial(
                state=state,
                values=[1, 1] if state is TrialState.COMPLETE else None,
                params={"rtol": rtol},
                distributions={"rtol": optuna.distributions.FloatDistribution(1, 2)},
            )
        )
    found = sorted(search.suggest(f"t{i}")["rtol"] for i in range(2))
    assert found == pytest.approx([1.1, 1.9], abs=0.1)


def test_the_study_is_one_that_optuna_loads(tmp_path):
    path = tmp_path / "study.db"
    search = ParetoOptunaSearch([SPACE], costs=["ppe", "seconds"], storage=path, study_name="mine")
    configs = [search.suggest(f"t{i}") for i in range(4)]
    search.tell("t1", "completed", {"ppe": 3.0, "seconds": 5, "val_accuracy": 60.0})
    search.tell("t2", "stopped")
    search.tell("t3", "diverged")
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{path}")
    assert [direction.name for direction in study.directions] == [
        "MINIMIZE",
        "MINIMIZE",
        "MAXIMIZE",
    ]
    assert study.metric_names == ["ppe", "seconds", "val_accuracy"]
    assert [t.state.name for t in study.trials] == ["RUNNING", "COMPLETE", "PRUNED", "FAIL"]
    assert [t.values for t in study.trials] == [None, [3.0, 5.0, 60.0], None, None]
    assert [t.user_attrs["name"] for t in study.trials] == ["t0", "t1", "t2", "t3"]
    for trial, config in zip(study.trials, configs, strict=True):
        assert trial.params == {name: config[name] for name in trial.params}
        assert len(trial.params) == 4


def test_a_study_goes_on_with_the_same_search_alone(tmp_path):
    path = tmp_path / "study.db"
    earlier = ParetoOptunaSearch([SPACE], storage=path)
    run(earlier, 6)
    later = ParetoOptunaSearch([SPACE], "nsga2", storage=path)
    run(later, 6, first=6)
    assert len(set(later.configs.values())) == len(later.study.trials) == 12
    for options in ({"costs": ["ppe", "seconds"]}, {"costs": ["train_flops"]}):
        with pytest.raises(InputError, match=r"other spaces, costs or metric .*; give those again"):
            ParetoOptunaSearch([SPACE], storage=path, **options)
    for change in ({"epochs": 60}, {"window": tune.randint(1, 20)}, {"weight_decay": 0.1}):
        with pytest.raises(InputError, match=r"other spaces, costs or metric .*; give those again"):
            ParetoOptunaSearch([{**SPACE, **change}], storage=path)
    assert ParetoOptunaSearch([SPACE], storage=path, study_name="another").configs == {}


@pytest.mark.parametrize("sampler", first_quick(["tpe", "nsga2"], 1))
def test_a_search_that_goes_on_draws_what_an_undisturbed_one_does(tmp_path, sampler):
    def begun(file):
        return ParetoOptunaSearch(
            [SPACE], sampler, seed=3, startup_trials=4, storage=tmp_path / file
        )

    undisturbed = begun("one.db")
    run(undisturbed, 14)
    for first in range(0, 14, 7):
        disturbed = begun("other.db")
        run(disturbed, 7, first=first)
        disturbed.study.ask()  # killed before the trial had its name
    assert begun("other.db").configs == undisturbed.configs


ENDLESS = """
import sys
sys.path.insert(0, sys.argv[1])
from test_optuna_search import *
search = ParetoOptunaSearch([SPACE], storage=sys.argv[2], startup_trials=4)
for i in range(1000):
    config = search.suggest(f"t{i}")
    print("suggested", f"t{i}", config["rtol"], flush=True)
    how = ("completed", "stopped", "failed", None)[i % 4]
    if how:
        search.tell(f"t{i}", how, result(config))
        print("told", f"t{i}", how, flush=True)
"""


@pytest.mark.slow
def test_a_killed_search_loses_nothing_that_it_was_told(tmp_path):
    path = tmp_path / "study.db"
    command = [sys.executable, "-c", ENDLESS, str(ROOT / "tests"), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        lines = [next(driver.stdout).split() for _ in range(17)]
        driver.send_signal(signal.SIGKILL)
        lines += [line.split() for line in driver.stdout]
    suggested = {name: float(value) for what, name, value in lines if what == "suggested"}
    told = {name: how for what, name, how in lines if what == "told"}

    search = ParetoOptunaSearch([SPACE], storage=path, startup_trials=4)
    kinds = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL", None: "RUNNING"}
    named = {t.user_attrs["name"]: t for t in search.study.trials if "name" in t.user_attrs}
    # When it was killed, the driver was at most one suggestion ahead of its output.
    assert len(suggested) <= len(named) <= len(search.study.trials) <= len(suggested) + 1
    for name, value in suggested.items():
        assert search.suggest(name)["rtol"] == named[name].params["rtol"] == value
    unsure = set(named) - set(told)
    assert {name: named[name].state.name for name in told} == {n: kinds[h] for n, h in told.items()}
    assert set(search.running) <= unsure
    assert {name for name in suggested if int(name[1:]) % 4 == 3} <= set(search.running)

    before = Counter(states(search))
    for name in told:
        search.tell(name, "completed", {"ppe": 1, "val_accuracy": 1})
    assert Counter(states(search)) == before
    for name in search.running:
        search.tell(name, "failed")
    run(search, 3, first=1000)
    assert Counter(states(search))["COMPLETE"] == before["COMPLETE"] + 3
    assert Counter(states(search))["RUNNING"] == 0


def test_a_trial_killed_while_it_was_drawn_has_failed(tmp_path):
    path = tmp_path / "study.db"
    ParetoOptunaSearch([SPACE], storage=path).study.ask()
    search = ParetoOptunaSearch([SPACE], storage=path)
    assert states(search) == ["FAIL"]
    assert search.running == []


def test_contract_optuna_wants_one_set_of_choices_for_a_name(tmp_path):
    """This is why a field that spaces draw differently has one parameter for each space."""
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    study.ask().suggest_categorical("x", [1, 2])
    with pytest.raises(ValueError, match="does not support dynamic value space"):
        study.ask().suggest_categorical("x", [1, 3])
