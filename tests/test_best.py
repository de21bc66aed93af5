"""The best configuration under constraints, against a search through all of them."""

import json
import math
import random
import shlex
import statistics
from contextlib import suppress
from decimal import Decimal

import pandas as pd
import pytest
from conftest import record, run

from growsearch import InputError, Study, TrialConfig
from growsearch.cli.options import chosen_options
from growsearch.cli.parser import _parser, _plugin_names
from growsearch.study.best import choose
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.study.retraining import OF_TRAIN, given_options, train_command
from growsearch.trial.trial_options import every_option

CONFIG = TrialConfig(policy="none", epochs=2, precision="float32", compile="off")


def study_of(folder, trials) -> Study:
    """A study of trials of one epoch: name to options of the trial and fields of its record."""
    create_study(folder, command="search", searched=["lr", "seed"], trials=len(trials))
    for name, (options, fields) in trials.items():
        given = {"status": "completed", "key": name, **fields}
        write_trial(folder, name, CONFIG.replaced(**options), [record(1, **given)])
    return Study(folder)


SEEDS = {
    "a": ({"lr": 0.1, "seed": 0}, {"val_accuracy": 90.0, "ppe": 100.0, "seconds": 5.0}),
    "b": ({"lr": 0.1, "seed": 1}, {"val_accuracy": 94.0, "ppe": 100.0, "seconds": 7.0}),
    "c": ({"lr": 0.2, "seed": 0}, {"val_accuracy": 93.0, "ppe": 200.0, "seconds": 1.0}),
    "d": ({"lr": 0.3, "seed": 0}, {"val_accuracy": 99.0, "ppe": 300.0, "seconds": 9.0}),
    "e": (
        {"lr": 0.4, "seed": 0},
        {"val_accuracy": 99.9, "ppe": 1.0, "status": "stopped"},
    ),
}


@pytest.fixture
def seeds(tmp_path):
    return study_of(tmp_path / "study", SEEDS)


def test_trials_that_differ_in_seed_alone_are_one_configuration(seeds):
    found = seeds.best(max_ppe=150)
    assert found.trials == ("b", "a")  # the better one first
    assert found.trial == "b"
    assert found.mean["val_accuracy"] == 92.0
    assert found.std["val_accuracy"] == pytest.approx(statistics.stdev([90, 94]))
    assert found.mean["ppe"] == 100.0
    assert not found.misses


def test_one_seed_has_no_deviation(seeds):
    assert seeds.best().trials == ("d",)
    assert seeds.best().std["val_accuracy"] is None


def test_a_trial_that_did_not_complete_is_not_chosen(seeds):
    assert seeds.best(max_ppe=50).trials == ("b", "a")
    assert seeds.best(max_ppe=50).misses == ("ppe is 100, above 50",)


def test_with_a_least_accuracy_it_is_the_cheapest(seeds):
    assert seeds.best(min_accuracy=91).trials == ("b", "a")
    assert seeds.best(min_accuracy=91, cost="seconds").trials == ("c",)
    assert seeds.best(min_accuracy=93).trials == ("c",)


def test_a_limit_of_any_cost(seeds):
    assert seeds.best(cost="seconds", max_cost=2).trials == ("c",)
    assert seeds.best(cost="seconds", max_cost=8, max_ppe=150).trials == ("b", "a")


MEAN_OF_96 = (95.74, 96.16, 94.82, 95.47, 97.81)
"""Their mean is 96, and 95.99999999999999 if they are added as floats."""


def test_a_mean_that_only_floats_make_less_is_as_good_and_meets_the_limit(tmp_path):
    assert sum(map(Decimal, map(str, MEAN_OF_96))) / 5 == 96
    trials = {
        str(seed): ({"lr": 0.1, "seed": seed}, {"val_accuracy": accuracy, "ppe": 100.0})
        for seed, accuracy in enumerate(MEAN_OF_96)
    }
    trials["dear"] = ({"lr": 0.2}, {"val_accuracy": 96.0, "ppe": 200.0})
    study = study_of(tmp_path / "study", trials)
    assert study.best().trial == "4"  # the best seed of the cheaper configuration
    found = study.best(min_accuracy=96)
    assert (found.trial, found.misses) == ("4", ())


def test_a_limit_that_is_missed_by_little_is_told_with_the_digits_that_differ(tmp_path):
    fields = {"val_accuracy": 95.9999996, "ppe": 1234567.25}
    study = study_of(tmp_path / "study", {"a": ({}, fields)})
    assert study.best(max_ppe=1234567, min_accuracy=96).misses == (
        "ppe is 1234567.2, above 1234567",
        "val_accuracy is 95.9999996, below 96",
    )


def test_loss_is_better_where_it_is_less(tmp_path):
    trials = {
        "a": ({"lr": 0.1}, {"val_loss": 0.5, "val_accuracy": 99.0}),
        "b": ({"lr": 0.2}, {"val_loss": 0.2, "val_accuracy": 9.0}),
    }
    study = study_of(tmp_path / "study", trials)
    assert study.best(metric="val_loss").trial == "b"
    assert study.best().trial == "a"
    assert list(study.front(metric="val_loss")["trial_id"]) == ["b"]
    assert list(study.front()["trial_id"]) == ["a"]


def test_against_all_configurations_of_drawn_tables():
    draw = random.Random(0)
    for _ in range(200):
        rows = [
            {
                "trial_id": f"{n:02}", "status": draw.choice(["completed", "completed", "stopped"]),
                "val_accuracy": float(draw.randint(1, 6)), "test_accuracy": 0.0,
                "ppe": float(draw.randint(1, 6)), "config/seed": n,
                "config/lr": draw.choice([0.1, 0.2, 0.3, math.nan]),
            }
            for n in range(draw.randint(1, 8))
        ]  # fmt: skip
        completed = [row for row in rows if row["status"] == "completed"]
        if not completed:
            continue
        limit = draw.choice([None, 2.5, 4.0])
        least = draw.choice([None, 3.0, 4.5])
        found = choose(pd.DataFrame(rows), at_most={"ppe": limit}, min_accuracy=least)
        groups = {}
        for row in completed:
            groups.setdefault(str(row["config/lr"]), []).append(row)
        means = [
            [statistics.fmean(row[c] for row in group) for c in ("val_accuracy", "ppe")]
            for group in groups.values()
        ]
        meet = [
            (accuracy, ppe)
            for accuracy, ppe in means
            if (limit is None or ppe <= limit) and (least is None or accuracy >= least)
        ]
        assert bool(meet) == (not found.misses)
        chosen = (found.mean["val_accuracy"], found.mean["ppe"])
        if meet and least is not None:
            assert chosen == min(meet, key=lambda m: (m[1], -m[0]))
        elif meet:
            assert chosen == max(meet, key=lambda m: (m[0], -m[1]))
        else:

            def excess(accuracy, ppe, limit=limit, least=least):
                over = max(ppe / limit - 1, 0) if limit else 0
                return over + (max(1 - accuracy / least, 0) if least else 0)

            assert excess(*chosen) == pytest.approx(min(excess(*mean) for mean in means))


COMMANDS = [
    TrialConfig(),
    TrialConfig(policy="none", epochs=3, seed=7),
    TrialConfig(policy="fixed", growth_epochs=(2, 4), growth_architectures="2-3-2 3-3-5", epochs=6),
    TrialConfig(policy="periodic", interval=2, patience=2, finetune_epochs=3, epochs=20),
    TrialConfig(policy="convergent", network="plain3net", dataset="fashion-mnist", image_size=28),
    TrialConfig(policy="hand-tuned", initializer="gaussian", placement="end", lr=0.1 + 0.2),
    TrialConfig(optimizer_changes=("10:lr=0.05", "12:weight_decay=0.001"), scaling="step-size"),
    TrialConfig(data_dir="/some where/else", dataset="cifar10"),
]


@pytest.mark.parametrize("config", COMMANDS, ids=str)
def test_the_command_makes_the_same_trial_by_the_fewest_options(config):
    flat = TrialConfig.from_flat(config.to_flat())  # as a row of results gives it
    words = shlex.split(train_command(given_options(flat)))
    assert words[:2] == ["growsearch", "train"]
    parsed = _parser().parse_args(words[1:])
    assert TrialConfig(**chosen_options(parsed)) == config
    given = given_options(flat)
    assert len(given) <= len(config.given)
    for name in given:
        fewer = {n: v for n, v in given.items() if n != name}
        with suppress(InputError):  # another option may need it
            assert TrialConfig(**fewer) != config


STRANGE = [
    {"data_dir": "--plugin=evil.py"},
    {"data_dir": "--plugin"},
    {"data_dir": "-h"},
    {"growth_epochs": ("3", "--plugin=evil.py")},
    {"plugin": "evil.py"},
    {"plugin=evil.py": "x"},
    {"out": "elsewhere", "store": "s3://evil", "json": 1},
    {"": "--plugin=evil.py", "lr --plugin": "evil.py"},
]


@pytest.mark.parametrize("given", STRANGE, ids=str)
@pytest.mark.parametrize("plugins", [(), ("own.py",)], ids=["alone", "with a plugin"])
def test_no_name_or_value_of_a_table_is_another_option_of_the_command(given, plugins):
    words = shlex.split(train_command({"epochs": 3, **given, "lr": -1e-05}, plugins))[1:]
    assert _plugin_names(words) == list(plugins)
    try:
        parsed = vars(_parser().parse_args(words))
    except SystemExit:  # several values, of which one is none of the option's
        assert isinstance(given.get("growth_epochs"), tuple)
        return
    assert parsed["lr"] == -1e-05
    assert parsed.get("data_dir") == given.get("data_dir")
    assert parsed["out"] is None and "store" not in parsed and not parsed["json"]


def test_several_numbers_of_which_some_are_negative_stay_apart(own_registry):
    words = shlex.split(train_command({"offsets": ("-1", "2")}, ["own.py"]))
    assert words[-3:] == ["--offsets", "-1", "2"]


def test_the_options_of_train_that_are_no_trials_are_known():
    (train,) = (a.choices["train"] for a in _parser()._actions if a.dest == "command")
    assert {a.dest for a in train._actions} - set(every_option()) == OF_TRAIN


def test_the_command_has_the_arithmetic_that_the_trial_had(tmp_path):
    options = {"precision": "auto", "compile": "auto"}
    study = study_of(tmp_path / "study", {"a": (options, {"precision": "bfloat16"})})
    command = study.best().command
    assert "--precision bfloat16 --compile off" in command


def test_the_command_line_prints_it(capsys, seeds):
    code, out, err = run(capsys, "best", seeds.folder, "--max-ppe", 150)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split(maxsplit=1) == ["trial", "b (seeds: b, a)"]
    assert lines[1].split() == ["val_accuracy", "92.00", "±", "2.83"]
    assert seeds.best(max_ppe=150).command in lines[-1]
    assert "lr=0.1" in out


def test_the_command_line_prints_small_numbers_with_their_digits(capsys, tmp_path):
    trials = {
        name: ({"seed": seed}, {"metrics": {"val_squared_error": error}, "seconds": 0.03125})
        for seed, (name, error) in enumerate({"a": 3.25e-6, "b": 3.75e-6}.items())
    }
    study = study_of(tmp_path / "study", trials)
    asked = ("--metric", "val_squared_error", "--cost", "seconds")
    code, out, _ = run(capsys, "best", study.folder, *asked)
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert code == 0
    assert rows["val_squared_error"] == ["3.5e-06", "±", "3.5e-07"]  # the deviation is 3.54e-7
    assert rows["seconds"] == ["0.03125", "±", "0"]


def test_json_has_all_of_it(capsys, seeds):
    code, out, _ = run(
        capsys, "best", seeds.folder, "--cost", "seconds", "--max", 8, "--min-accuracy", 92.5,
        "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert (code, found["trial"], found["meets"], found["misses"]) == (0, "c", True, [])
    assert found["mean"] == {
        "val_accuracy": 93.0, "test_accuracy": 50.0, "seconds": 1.0
    }  # fmt: skip
    assert TrialConfig.from_flat(found["config"]) == seeds.config("c")


def test_constraints_that_nothing_meets_give_the_nearest_and_exit_code_1(capsys, seeds):
    code, out, err = run(capsys, "best", seeds.folder, "--max-ppe", 90, "--min-accuracy", 91)
    assert code == 1
    assert out.startswith("trial           b")
    assert err == (
        "growsearch best: nothing meets the constraints; the nearest: ppe is 100, above 90\n"
    )
    code, out, _ = run(capsys, "best", seeds.folder, "--min-accuracy", 99.5, "--json")
    assert (code, json.loads(out)["trial"], json.loads(out)["meets"]) == (1, "d", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cost", "secnds"], "the study has no cost 'secnds'; did you mean 'seconds'?"),
        (["--metric", "accuracy"], "no metric 'accuracy'"),
        (["--max-ppe", "-1"], "ppe has a limit of -1; give a number above 0"),
        (["--min-accuracy", "nan"], "min_accuracy has a limit of nan"),
        (["--max-ppe", "5", "--max", "6"], "both limit ppe; leave one out"),
    ],
)
def test_what_cannot_be_asked_is_one_line(capsys, seeds, arguments, message):
    code, out, err = run(capsys, "best", seeds.folder, *arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


def test_a_study_without_accuracy_has_no_best_by_it(capsys, tmp_path):
    fields = {"val_accuracy": None, "test_accuracy": None, "val_loss": 0.5}
    study = study_of(tmp_path / "study", {"a": ({}, fields)})
    assert study.best().mean["val_loss"] == 0.5
    code, out, err = run(capsys, "best", study.folder, "--metric", "val_accuracy")
    assert (code, out) == (2, "")
    assert "the study has no metric 'val_accuracy'" in err and err.count("\n") == 1
    with pytest.raises(InputError, match="no metric 'val_accuracy'"):
        study.front(metric="val_accuracy")
    with pytest.raises(InputError, match="the trials have no accuracy; leave it out"):
        study.best(min_accuracy=80)


def test_a_trial_without_the_metric_or_the_cost_is_never_the_best(capsys, tmp_path):
    fields = {
        "a": {"val_accuracy": None, "val_loss": 0.1}, "b": {"val_accuracy": 90.0, "val_loss": 0.2},
        "c": {"val_accuracy": 95.0, "val_loss": 0.3, "status": "stopped"},
    }  # fmt: skip
    study = study_of(
        tmp_path / "study", {n: ({"seed": i}, f) for i, (n, f) in enumerate(fields.items())}
    )
    assert study.best(metric="val_accuracy").trials == ("b",)
    without = study_of(tmp_path / "without", {n: ({}, fields[n]) for n in "ac"})
    with pytest.raises(InputError, match="no completed trial has all of val_accuracy, ppe"):
        without.best(metric="val_accuracy")


def test_a_trial_without_accuracy_does_not_meet_a_least_accuracy(tmp_path):
    fields = {
        "a": {"val_accuracy": None, "val_loss": 0.1, "ppe": 1.0},
        "b": {"val_accuracy": 90.0, "val_loss": 0.2, "ppe": 2.0},
    }
    study = study_of(
        tmp_path / "study", {n: ({"lr": i + 1.0}, f) for i, (n, f) in enumerate(fields.items())}
    )
    found = study.best(metric="val_loss", min_accuracy=80)
    assert (found.trial, found.misses) == ("b", ())
    nearest = study.best(metric="val_loss", max_ppe=1.5, min_accuracy=80)
    assert (nearest.trial, nearest.misses) == ("b", ("ppe is 2, above 1.5",))


def test_a_study_in_which_nothing_has_completed(capsys, tmp_path):
    trials = {n: ({"seed": i}, {"status": "stopped"}) for i, n in enumerate("ab")}
    study_of(tmp_path / "study", trials)
    code, _, err = run(capsys, "best", tmp_path / "study")
    assert code == 2
    assert "none of the study's 2 trials has completed" in err and err.count("\n") == 1


def test_a_cost_of_a_plugin_needs_no_plugin(tmp_path):
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b"], "status": "completed", "val_accuracy": [1.0, 2.0],
            "test_accuracy": 0.0, "ppe": 1.0, "cost/joules": [3.0, 4.0], "config/lr": [1, 2],
        }
    )  # fmt: skip
    assert choose(trials, cost="joules", at_most={"joules": 3.5}).trials == ("a",)
