import numpy as np
import pytest
from conftest import ROOT
from ray import tune
from ray.tune.search.sample import Domain

from growsearch.searches.spaces import find_space
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.tuning.cluster import at_once, reserve
from growsearch.tuning.search_space import draw_trials, load_spaces, searched_fields
from growsearch.tuning.space_text import space_text


def space_file(tmp_path, text: str):
    path = tmp_path / "space.py"
    path.write_text("from ray import tune\n" + text)
    return path


SPACES = sorted((ROOT / "search_spaces").glob("*.py"))


def stem(path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SPACES, ids=stem)
def test_every_space_in_the_repository_draws_trials(path):
    spaces = load_spaces(path)
    random = any(isinstance(values, Domain) for space in spaces for values in space.values())
    trials = draw_trials(spaces, 12 if random else None, seed=0)
    assert len(set(trials)) == len(trials) >= 2
    assert searched_fields(spaces)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("param_space = {'rtoll': 1.2}", "no field 'rtoll'; did you mean 'rtol'"),
        ("param_space = {'rtol': tune.uniform(-1, 2)}", "rtol must be greater than 0, but got -1"),
        ("param_space = {'window': tune.randint(0, 5)}", "window must be at least 1, but got 0"),
        ("param_space = {'policy': tune.choice(['none', 'never'])}", "policy 'never'"),
        ("param_space = {'lr': tune.grid_search([0.1, 0])}", "lr must be greater than 0"),
        ("param_space = {'epochs': 0}", "epochs must be at least 1"),
        ("param_space = {'dataset': None}", "unknown dataset None"),
        ("param_space = {'architecture': tune.choice(['2-2-2', '3-x-3'])}", "'3-x-3'"),
        ("param_space = [1]", "defines no param_space"),
        ("param_space = []", "defines no param_space"),
        ("param_space = [{}, {'rtol': 0}]", "rtol must be greater than 0"),
        ("params = {}", "defines no param_space"),
        ("\nparam_space = {'rtol': tune.unifrom(1, 2)}", "in line 3: AttributeError"),
        ("param_space = {'rtol': }", "in line 2: SyntaxError"),
        ("import nothing_like_it", "in line 2: ModuleNotFoundError"),
        ("raise ValueError('one\\ntwo')", "in line 2: ValueError: one two"),
        ("import sys; sys.exit(3)", "in line 2: SystemExit: 3"),
        ("param_space = {'rtol': tune.uniform(2, 1)}", "rtol is drawn from 2 to 1"),
        ("param_space = {'window': tune.randint(5, 5)}", "window is drawn from 5 to 5"),
        (
            "param_space = {'window': tune.qrandint(4, 5, 3)}",
            "from 4 to 5, a range without a multiple",
        ),
        (
            "param_space = {'window': tune.qrandint(1, 9, 'x')}",
            "steps of 'x'; give a number above 0",
        ),
        ("param_space = {'window': tune.choice([])}", "window has an empty tune.choice"),
        ("import numpy\nparam_space = {'lr': numpy.ones(2)}", "lr must be a finite number"),
    ],
)
def test_a_mistake_in_a_space_names_file_and_field(tmp_path, text, named):
    path = space_file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_spaces(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", SPACES, ids=stem)
def test_a_built_in_space_is_found_by_its_name_from_any_folder(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert find_space(path.stem).samefile(path)
    assert searched_fields(load_spaces(path.stem)) == searched_fields(load_spaces(path))


def test_a_path_is_a_file_whatever_the_built_in_spaces_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lipgrow").write_text("param_space = {'epochs': 7}")
    assert load_spaces("./lipgrow") == load_spaces(tmp_path / "lipgrow") == [{"epochs": 7}]


def test_an_unknown_name_tells_the_built_in_spaces_in_one_line(tmp_path):
    for unknown in ("lipgrw", "lipgrow.py", tmp_path, ""):
        with pytest.raises(InputError) as caught:
            load_spaces(unknown)
        names = ", ".join(path.stem for path in SPACES)
        assert str(caught.value).endswith(f"give a path or one of {names}")
        assert repr(str(unknown)) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_rules_between_fields_are_checked_for_every_trial_before_the_first(tmp_path):
    text = "param_space = {'policy': tune.choice(['none', 'lipschitz']), 'rtol': 1.2}"
    spaces = load_spaces(space_file(tmp_path, text))
    with pytest.raises(InputError, match=r"rtol=1.2 belongs to policy 'lipschitz'"):
        draw_trials(spaces, 20, seed=0)


def test_fields_may_depend_on_others_and_what_fails_to_is_one_line(tmp_path):
    text = """
param_space = {
    'policy': tune.grid_search(['none', 'lipschitz']),
    'rtol': tune.sample_from(lambda spec: 1.2 if spec.config.%s == 'lipschitz' else None),
}"""
    spaces = load_spaces(space_file(tmp_path, text % "policy"))
    trials = draw_trials(spaces, None, seed=0)
    assert [(t.policy.name, t.rtol) for t in trials] == [("none", None), ("lipschitz", 1.2)]
    spaces = load_spaces(space_file(tmp_path, text % "polity"))
    with pytest.raises(InputError, match=r"cannot be drawn.*rtol.*correct its") as caught:
        draw_trials(spaces, None, seed=0)
    assert "\n" not in str(caught.value)


def test_overrides_replace_what_the_file_says(tmp_path):
    path = space_file(tmp_path, "param_space = {'rtol': tune.uniform(1, 2), 'epochs': 30}")
    spaces = load_spaces(path, {"rtol": 1.5, "train_size": 100})
    assert searched_fields(spaces) == []
    (trial,) = draw_trials(spaces, None, seed=0)
    assert (trial.rtol, trial.train_size, trial.epochs) == (1.5, 100, 30)


def test_a_list_of_spaces_is_searched_whole(tmp_path):
    text = """
param_space = [
    {'policy': 'none', 'seed': tune.grid_search([0, 1]), 'epochs': 30},
    {'policy': 'lipschitz', 'rtol': tune.uniform(1, 2), 'epochs': 30},
]"""
    spaces = load_spaces(space_file(tmp_path, text))
    assert searched_fields(spaces) == ["policy", "seed", "rtol"]
    trials = draw_trials(spaces, 6, seed=0)
    assert [t.policy.name for t in trials] == ["none", "none", "lipschitz"] * 2
    assert len({t.rtol for t in trials}) == 3
    with pytest.raises(InputError, match="number of trials must be given; set --trials"):
        draw_trials(spaces, None, seed=0)
    with pytest.raises(InputError, match="trials=4 is not a positive multiple of the 3 points"):
        draw_trials(spaces, 4, seed=0)


def test_the_ablations_have_the_rows_of_autogrows_tables():
    """The rows of Tables 3 to 6; a row that is in two tables is here once."""
    trials = draw_trials(load_spaces(ROOT / "search_spaces/autogrow_ablation.py"), None, seed=0)
    rows = [
        (t.policy.name, t.lr_schedule.name, t.interval, t.initializer.name, t.architecture)
        for t in trials
    ]
    c, p = ("convergent", "staircase", 100), ("periodic", "constant")
    table_3 = [(*c, i, "1-1-1") for i in ("zero", "adam")]
    table_3 += [
        ("convergent", "constant", 100, i, "1-1-1") for i in ("zero", "adam", "uniform", "gaussian")
    ]
    table_4 = [(*p, k, "gaussian", "1-1-1") for k in (50, 20, 10, 5, 3, 1)]
    table_5 = [(*p, 3, i, "1-1-1") for i in ("zero", "adam", "uniform")]
    table_6 = [(*p, 3, "gaussian", seed) for seed in ("5-5-5", "1-1-1-1", "5-5-5-5")]
    assert rows == table_3 + table_4 + table_5 + table_6
    assert all(t.patience in (None, 100) and t.finetune_epochs == 200 for t in trials)


def test_a_grid_is_run_whole(tmp_path):
    text = (
        "param_space = {'rtol': tune.grid_search([1.1, 1.2]), 'seed': tune.grid_search([0, 1, 2])}"
    )
    spaces = load_spaces(space_file(tmp_path, text))
    trials = draw_trials(spaces, None, seed=0)
    pairs = {(t.rtol, t.seed) for t in trials}
    assert pairs == {(r, s) for r in (1.1, 1.2) for s in (0, 1, 2)}
    assert len(draw_trials(spaces, 12, seed=0)) == 12
    with pytest.raises(InputError, match=r"trials=10 is not a positive multiple of the 6 .*try 6"):
        draw_trials(spaces, 10, seed=0)


def test_draws_follow_the_seed_and_the_ranges():
    spaces = [{"rtol": tune.uniform(1.1, 1.3), "window": tune.randint(1, 4)}]
    trials = draw_trials(spaces, 200, seed=1)
    assert trials == draw_trials(spaces, 200, seed=1)
    assert trials != draw_trials(spaces, 200, seed=2)
    assert {trial.window for trial in trials} == {1, 2, 3}
    assert np.mean([trial.rtol for trial in trials]) == pytest.approx(1.2, abs=0.02)


def test_a_search_is_extended_by_configurations_that_it_does_not_have():
    """Of four values three are known: draws go on until the fourth is found, and then there is
    none.
    """
    from growsearch import TrialConfig
    from growsearch.searches.settings import SearchSettings
    from growsearch.tuning.drawing import new_trials

    space = [{"window": tune.choice([1, 2, 3, 4]), "epochs": 100}]
    options = SearchSettings.from_flat({})
    known = {TrialConfig(window=window, epochs=100) for window in (1, 2, 4)}
    for seed in range(5):
        assert new_trials(space, 1, seed, options, known) == [TrialConfig(window=3, epochs=100)]
    with pytest.raises(InputError, match="extend=1 adds no trial"):
        new_trials(space, 1, 0, options, known | {TrialConfig(window=3, epochs=100)})


def test_numbers_of_numpy_are_written_down_and_read_again(tmp_path):
    space = {
        "lr": tune.grid_search(list(np.logspace(-3, -1, 3))),
        "weight_decay": tune.loguniform(np.float64(1e-5), np.float64(1e-3)),
        "train_size": tune.choice([np.int64(100), 200]),
    }
    (tmp_path / "space.py").write_text(space_text(space))
    (read,) = load_spaces(tmp_path / "space.py")
    assert read["lr"]["grid_search"] == [0.001, 0.01, 0.1]
    assert (read["weight_decay"].lower, read["weight_decay"].upper) == (1e-5, 1e-3)
    assert read["train_size"].categories == [100, 200]
    (tmp_path / "space.py").write_text(space_text({"clip_norm": float("inf")}))
    with pytest.raises(InputError, match="clip_norm must be a finite number, but got inf"):
        load_spaces(tmp_path / "space.py")


CPUS, BOTH = {"CPU": 4.0}, {"CPU": 8.0, "GPU": 2.0}


def test_a_trial_needs_a_node_that_has_all_it_reserves():
    """The sum over nodes would let a trial wait for ever."""
    trials = [TrialConfig(policy="none")]
    assert reserve([CPUS, CPUS], trials, 4, None) == {"cpu": 4, "gpu": 0}
    with pytest.raises(InputError, match="cpus_per_trial=6 exceeds the 4 CPUs that a node"):
        reserve([CPUS, CPUS], trials, 6, None)
    with pytest.raises(InputError, match="gpus_per_trial=3 exceeds the 2 GPUs that a node"):
        reserve([BOTH, BOTH], trials, 1, 3)
    with pytest.raises(InputError, match="has cpus_per_trial=6 and gpus_per_trial=1 together"):
        reserve([{"CPU": 2.0, "GPU": 1.0}, {"CPU": 8.0}], trials, 6, 1)
    assert reserve([CPUS, BOTH], trials, 1, None) == {"cpu": 1, "gpu": 1}


def test_as_many_trials_run_at_once_as_fit_on_each_node():
    assert at_once([{"CPU": 3.0}, {"CPU": 3.0}], {"cpu": 2, "gpu": 0}) == 2
    assert at_once([CPUS, BOTH], {"cpu": 1, "gpu": 1}) == 2
    assert at_once([CPUS], {"cpu": 1, "gpu": 0.5}) == 1
