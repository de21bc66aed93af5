"""Schedulers, samplers and logs: of growsearch, and from a user's file."""

import json
import re
from dataclasses import dataclass
from itertools import product

import pandas as pd
import pytest
from conftest import record, run
from ray import tune

import growsearch
from growsearch.cli import main
from growsearch.searches.kinds import Scheduler
from growsearch.searches.settings import SearchSettings
from growsearch.stopping.cost import OwnNumber, metric_of
from growsearch.study.figures import front_figure
from growsearch.study.folder import create_study, read_info
from growsearch.study.outcomes import Audit, audit
from growsearch.study.page_data import cost_axes
from growsearch.study.report import write_report
from growsearch.study.results import read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.trial.components import component, components, register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.options import option
from growsearch.tuning.optuna_search import ParetoOptunaSearch

PLUGIN = '''
"""Stops each trial after some epochs; draws at random; writes a line for each epoch."""

from dataclasses import dataclass

from growsearch import Log, LogWriter, Sampler, StoppingScheduler, option, register


@register("scheduler", "early")
@dataclass(frozen=True, kw_only=True)
class Early(StoppingScheduler):
    """Stops each trial early."""

    early_epochs: int = option(2, "how many epochs each trial has", least=1)

    def tune_scheduler(self, queue, metric, judge):
        from ray.tune.schedulers import FIFOScheduler

        last = self.early_epochs

        class Stops(FIFOScheduler):
            def on_trial_result(self, controller, trial, result):
                return self.STOP if result["epoch"] >= last else self.CONTINUE

        return Stops()


@register("sampler", "dice")
@dataclass(frozen=True, kw_only=True)
class Dice(Sampler):
    """Draws at random."""

    def optuna_sampler(self, seed, startup_trials):
        from optuna.samplers import RandomSampler

        return RandomSampler(seed)


@register("log", "lines")
@dataclass(frozen=True, kw_only=True)
class Lines(Log):
    """A file with a line for each epoch."""

    lines_file: str = option("lines.txt", "the file, in the study's folder")

    def writer(self, folder, owner):
        return Writer(folder / self.lines_file)


class Writer(LogWriter):
    def __init__(self, path):
        self.path = path

    def run(self, trial):
        return trial.name

    def forget(self, run):
        pass

    def start(self, run):
        self.write(f"start {run}")

    def step(self, run, record):
        self.write(f"{run} {record.epoch}")

    def end(self, run, failed):
        self.write(f"end {run}")

    def close(self, unfinished):
        self.write(f"close {len(unfinished)}")

    def write(self, line):
        with self.path.open("a") as file:
            print(line, file=file)
'''
POLICY = '''
from dataclasses import dataclass

from growsearch import Policy, option, register


@register("policy", "mine")
@dataclass(frozen=True, kw_only=True)
class Mine(Policy):
    """Never grows."""

    NAME: int = option(2, "a number", least=1)

    def decide(self, trial, history):
        return None
'''
SPACE = """
from ray import tune

param_space = {
    "policy": "none", "epochs": 4, "train_size": 100, "lr": tune.loguniform(0.01, 0.1),
}
"""


@pytest.fixture
def plugin(tmp_path, own_registry):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "space.py").write_text(SPACE)
    return ["--plugin", f"{tmp_path}/plugin.py"]


def test_a_users_components_are_offered_with_their_options(plugin, capsys):
    with pytest.raises(SystemExit):
        main(["search", *plugin, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--scheduler asha|branches|early|hyperband|median|none|pareto|pbt" in text
    assert "--sampler dice|gp|nsga2|tpe" in text
    assert "--log lines|mlflow|tensorboard|wandb" in text
    assert "--early-epochs int how many epochs each trial has (default: 2)" in text
    assert "--lines-file str the file, in the study's folder (default: lines.txt)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--early-epochs 3", "early_epochs=3 belongs to scheduler 'early', but scheduler is "
         "'none'; leave early_epochs out or choose 'early'"),
        ("--scheduler early --early-epochs 0", "early_epochs must be at least 1, but got 0"),
        ("--scheduler earl", "unknown scheduler 'earl'; did you mean 'early'?"),
        ("--scheduler early --racing 3", "racing=3 belongs to scheduler 'pareto', but scheduler is "
         "'early'; leave racing out or choose 'pareto'"),
        ("--lines-file a --log mlflow", "lines_file=a belongs to log 'lines', but log is 'mlflow'; "
         "leave lines_file out or choose 'lines'"),
    ],
)  # fmt: skip
def test_a_users_components_are_checked(plugin, tmp_path, capsys, options, message):
    search = ["search", f"{tmp_path}/space.py", *plugin, "--out", f"{tmp_path}/out"]
    assert main([*search, *options.split()]) == 2
    assert capsys.readouterr().err == f"growsearch search: error: {message}\n"
    assert not (tmp_path / "out").exists()


def test_a_users_components_run_a_search(ray, plugin, tmp_path):
    out = tmp_path / "out"
    options = [
        "--trials",
        "2",
        "--scheduler",
        "early",
        "--early-epochs",
        "3",
        "--sampler",
        "dice",
        "--log",
        "lines",
    ]
    assert main(["search", f"{tmp_path}/space.py", *plugin, *options, "--out", str(out)]) == 0
    study = read_study(out)
    trials = summarize(study)
    assert trials["status"].tolist() == ["stopped"] * 2
    assert trials["epochs"].tolist() == [3, 3]
    assert trials["config/lr"].nunique() == 2
    lines = (out / "lines.txt").read_text().splitlines()
    for name in trials["trial_id"]:
        mine = [line for line in lines if name in line.split()]
        assert mine == [f"start {name}", *(f"{name} {n}" for n in (1, 2, 3)), f"end {name}"]
    assert lines[-1] == "close 0"
    settings = read_info(out)["settings"]
    chosen = {name: settings[name] for name in ("scheduler", "early_epochs", "sampler", "log")}
    assert chosen == {
        "scheduler": "early", "early_epochs": 3, "sampler": "dice", "log": ["lines"]
    }  # fmt: skip


def test_an_option_that_is_also_a_trials_is_refused_in_one_line(own_registry, tmp_path, capsys):
    path = tmp_path / "plugin.py"
    path.write_text(PLUGIN.replace("early_epochs", "epochs"))
    assert main(["search", "--plugin", str(path), "--help"]) == 2
    assert re.fullmatch(
        "growsearch: error: option 'epochs' of scheduler 'early' is also one of searches or "
        "trials; rename it\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    "name",
    ["out", "trials", "space", "store", "costs", "command", "cpus_per_trial", "save_every", "help",
     "scheduler", "policy", "plugin", "given", "values", "epochs"],
)  # fmt: skip
def test_an_option_named_like_an_argument_is_refused_in_one_line(
    own_registry, tmp_path, capsys, name
):
    path = tmp_path / "plugin.py"
    path.write_text(POLICY.replace("NAME", name))
    assert main(["list", "--plugin", str(path), "policy"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(
        f"growsearch: error: .*option {name!r} of policy 'mine' .*rename it\n", said
    )


def test_a_component_without_its_method_is_refused(own_registry):
    with pytest.raises(InputError, match="must define tune_scheduler"):
        register("scheduler", "empty")(type("Empty", (Scheduler,), {}))


@pytest.mark.parametrize(
    ("kind", "base", "stated", "message"),
    [
        ("metric", "Metric", {"lowest": 0.0}, "must state column, highest"),
        ("metric", "Metric", {"lowest": 0.0, "highest": 1.0, "column": "val_acuracy"},
         "no number of an epoch; did you mean 'val_accuracy'"),
        ("metric", "Metric", {"lowest": 0.0, "highest": 1.0, "column": "test_accuracy"},
         "reads the test images"),
        ("cost", "Cost", {"of_epoch": lambda self, work, record: 1.0, "column": "joules"},
         "no number of an epoch"),
    ],
)  # fmt: skip
def test_what_a_component_must_state_is_asked_for_at_registration(
    own_registry, kind, base, stated, message
):
    cls = type("Mine", (getattr(growsearch, base),), stated)
    with pytest.raises(InputError, match=message) as caught:
        register(kind, "mine")(cls)
    assert "\n" not in str(caught.value)
    assert "mine" not in components(kind)


@pytest.mark.parametrize("name", components("scheduler"))
def test_a_scheduler_judges_trials_if_it_says_so(name):
    scheduler = components("scheduler")[name]()
    judge = scheduler.judge(["ppe"], components("metric")["val_accuracy"](), 0)
    assert (judge is not None) == scheduler.judges


def test_a_metric_of_a_user_bounds_audits_and_draws(own_registry, tmp_path):
    """The metric is the Lipschitz constant, of which less is better, under another name."""
    stated = {"column": "lipschitz", "unit": "1", "lowest": -9.0, "highest": 0.0, "minimized": True}
    register("metric", "smooth")(type("Smooth", (growsearch.Metric,), stated))
    folder = create_study(tmp_path / "study", searched=["lr"], settings={"scheduler": "early"})
    stop = {"dominated_by": "one", "slack": 0.0, "bound/ppe": 9.0, "bound/lipschitz": 2.5}
    for name, constant, why in (("one", 3.0, {}), ("two", 2.0, stop), ("three", 4.0, stop)):
        last = record(1, lipschitz=constant, status="completed")
        write_trial(folder, name, TrialConfig(lr=constant), [last], stop=why)
    trials = summarize(read_study(folder))
    assert trials.set_index("trial_id")["bound/lipschitz"].dropna().tolist() == [2.5, 2.5]
    assert audit(trials) == Audit(judged=2, wrong=1)  # only "two" is below the 3 of "one"
    assert '"audit":{"judged":2,"wrong":1}' in write_report(folder).page.read_text()
    search = ParetoOptunaSearch([{"lr": tune.uniform(0.1, 1.0)}], accuracy="smooth")
    assert search.objectives == ["ppe", "lipschitz"]
    assert [direction.name for direction in search.study.directions] == ["MINIMIZE", "MINIMIZE"]


def test_axes_call_a_cost_of_a_user_by_its_title_or_else_by_its_name(own_registry):
    trials = pd.DataFrame({
        "cost/joules": [1.0], "paid_joules": [0.5], "cost/co_two": [1.0], "val_loss": [1.0],
        "cost/not_loaded": [1.0], "status": ["completed"], "growth_epochs": [""],
    })  # fmt: skip
    for name, stated in {"joules": {"title": "energy (J)"}, "co_two": {}}.items():
        stated["of_epoch"] = lambda self, work, record: 1.0
        register("cost", name)(type("Mine", (growsearch.Cost,), stated))
    labels = {axis["column"]: axis["label"] for axis in cost_axes(trials)}
    assert labels == {
        "cost/joules": "energy (J)", "paid_joules": "energy (J) paid", "cost/co_two": "co two",
        "cost/not_loaded": "not loaded",
    }  # fmt: skip
    for column in ("cost/joules", "cost/co_two", "cost/not_loaded"):
        axes = front_figure(trials, column, "val_loss").axes[0]
        assert axes.get_xlabel() == labels[column]


def test_a_report_without_the_metric_of_its_plugin_has_no_audit(own_registry, tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr"], settings={"scheduler": "pareto"})
    stop = {"dominated_by": "one", "slack": 0.0, "bound/ppe": 9.0}
    write_trial(folder, "two", TrialConfig(), [record(1, status="completed")], stop=stop)
    assert '"audit":null' in write_report(folder).page.read_text()
    with pytest.raises(InputError, match="load the plugin that has it"):
        audit(summarize(read_study(folder)))


def test_a_study_by_the_metric_of_a_plugin_that_is_not_loaded_says_so(
    own_registry, tmp_path, capsys, caplog
):
    folder = create_study(tmp_path / "study", searched=["lr"], settings={"metric": "smooth"})
    write_trial(folder, "one", TrialConfig(), [record(1, lipschitz=2.0, status="completed")])
    note = (
        "Metric 'smooth' is of a plugin that is not loaded, so trials are compared by "
        "val_accuracy; give --plugin where the command has it, or --metric."
    )
    assert run(capsys, "best", folder)[0] == run(capsys, "report", folder)[0] == 0
    assert caplog.messages == [note, note]
    assert note in (folder / "report.html").read_text()
    caplog.clear()
    study = growsearch.Study(folder)
    assert study.metric == "val_accuracy"
    assert list(study.front()["trial_id"]) == ["one"]
    assert caplog.messages == [note]
    caplog.clear()
    assert run(capsys, "best", folder, "--metric", "val_loss")[0] == 0
    stated = {"column": "lipschitz", "lowest": -9.0, "highest": 0.0, "minimized": True}
    register("metric", "smooth")(type("Smooth", (growsearch.Metric,), stated))
    code, out, _ = run(capsys, "best", folder)
    assert code == 0 and "lipschitz" in out
    assert caplog.messages == []


def test_a_scheduler_that_says_nothing_more_gets_the_safe_answers(own_registry):
    methods = {"tune_scheduler": lambda self, queue, metric, judge: None}
    register("scheduler", "quiet")(type("Quiet", (Scheduler,), methods))
    refused = {
        "pauses trials": {"store": "none"},
        "has Tune start trials": {"max_concurrent": 1},
        "draws trials itself": {"sampler": "tpe"},
    }
    for message, setting in refused.items():
        with pytest.raises(InputError, match=f"scheduler 'quiet'.* {message}"):
            SearchSettings.from_flat({"scheduler": "quiet", **setting})
    quiet = SearchSettings.from_flat({"scheduler": "quiet"}).scheduler
    (note,) = quiet.notes(components("metric")["val_loss"]())
    assert note.startswith("scheduler 'quiet' compares val_loss at equal epochs: it is blind")


@pytest.mark.parametrize(
    ("scheduler", "setting"), list(product(components("scheduler"), ["store", "max_concurrent"]))
)
def test_only_schedulers_that_pause_need_a_store_and_start_trials(scheduler, setting):
    """Tune's HyperBand and its population based training pause trials by themselves."""
    given = {"scheduler": scheduler, setting: "none" if setting == "store" else 2}
    if scheduler in ("hyperband", "pbt"):
        with pytest.raises(InputError, match=f"scheduler {scheduler!r}"):
            SearchSettings.from_flat(given)
    else:
        assert SearchSettings.from_flat(given).scheduler.name == scheduler


@pytest.mark.parametrize("scheduler", ["hyperband", "branches"])
def test_a_scheduler_that_must_know_all_trials_refuses_a_sampler(scheduler):
    with pytest.raises(InputError, match=f"scheduler '{scheduler}' needs all of them"):
        SearchSettings.from_flat({"scheduler": scheduler, "sampler": "tpe"})


def test_settings_keep_their_flat_form():
    """The names and values that studies have had so far, also for what is not used."""
    flat = SearchSettings.from_flat({"owner": "me", "log": ["tensorboard"]}).to_flat()
    assert json.loads(json.dumps(flat)) == {
        "cpus_per_trial": 1, "gpus_per_trial": None, "max_concurrent": None,
        "from_scratch": False, "store": None, "keep_states": "forks", "state_megabytes": None,
        "max_failures": 2, "auto_precision": None, "epoch_timeout": None, "sampler": None,
        "copy_to": None,
        "scheduler": "none", "costs": ["ppe"], "metric": "val_accuracy", "alpha": 0.1,
        "delta": 0.0, "audit": 0.1, "racing": None, "budget": None, "log": ["tensorboard"],
        "owner": "me", "grace_period": 5, "reduction_factor": 4.0,
    }  # fmt: skip


def test_a_resumed_search_has_its_settings_and_those_that_are_new():
    raced = {"scheduler": "pareto", "racing": 3, "alpha": 0.2, "sampler": "gp"}
    stored = json.loads(json.dumps(SearchSettings.from_flat(raced).to_flat()))
    assert SearchSettings.from_flat({}, stored).to_flat() == stored
    assert SearchSettings.from_flat({"delta": 1}, stored).scheduler.values() == {
        "alpha": 0.2, "delta": 1.0, "audit": 0.1, "racing": 3.0
    }  # fmt: skip
    assert SearchSettings.from_flat({"scheduler": "asha"}, stored).scheduler.name == "asha"
    with pytest.raises(InputError, match="delta=1 belongs to scheduler 'branches' or 'pareto'"):
        SearchSettings.from_flat({"scheduler": "asha", "delta": 1}, stored)


def test_another_scheduler_has_its_own_defaults_and_not_those_kept_for_one_that_did_not_run():
    stored = SearchSettings.from_flat({"scheduler": "none"}).to_flat()
    assert stored["alpha"] == 0.1
    values = {
        name: SearchSettings.from_flat({"scheduler": name}, stored).scheduler.values()["alpha"]
        for name in ("pareto", "branches")
    }
    assert values == {"pareto": 0.1, "branches": 0.05}
    pareto = SearchSettings.from_flat({"scheduler": "pareto"}).to_flat()
    branches = SearchSettings.from_flat({"scheduler": "branches"}, pareto).scheduler
    assert branches.values()["alpha"] == 0.05
    before = SearchSettings.from_flat({"scheduler": "branches", "alpha": 0.1}).to_flat()
    assert SearchSettings.from_flat({}, before).scheduler.values()["alpha"] == 0.1


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_completed_trial_without_a_finite_number_ends_no_search(number):
    """A task's own numbers are not checked, and a perplexity may be infinite."""
    metric = OwnNumber(number="val_perplexity", better="lower")
    chosen = SearchSettings.from_flat({"scheduler": "pareto", "audit": 1.0}).scheduler
    judge = chosen.judge(["ppe"], metric, seed=0)
    for name, found in (("one", number), ("two", 2.0), ("three", 3.0)):
        trial, history = TrialConfig(policy="none", epochs=2), History()
        for epoch, status in ((1, "running"), (2, "completed")):
            last = record(epoch, status=status, metrics={"val_perplexity": found})
            history = history.plus(last)
            if status == "running":
                assert judge.verdict(name, trial, history) is None
        judge.ended(name, trial, history)
    assert {member.trial for member in judge.safe.front.members} <= {"two", "three"}


@pytest.mark.parametrize("name", ["cost", "costs"])
@pytest.mark.parametrize("form", [str, type, object, list])
def test_a_cost_is_given_by_its_name_or_as_a_class_or_object(own_registry, tmp_path, name, form):
    """The search is refused for its metric alone, which is looked at after its costs."""
    members = {"unit": "J", "of_epoch": lambda self, work, record: record.seconds}
    energy = register("cost", "energy")(type("Energy", (growsearch.Cost,), members))
    given = {str: "energy", type: energy, object: energy(), list: ["ppe", energy]}[form]
    with pytest.raises(InputError, match="unknown metric 'energetic'"):
        growsearch.search({"lr": 0.1}, **{name: given}, metric="energetic", out=tmp_path / "out")


def test_what_is_no_cost_is_refused_as_a_cost(tmp_path):
    with pytest.raises(InputError, match="cost=Fixed is policy 'fixed'; give it as policy=Fixed"):
        growsearch.search({"lr": 0.1}, cost=components("policy")["fixed"], out=tmp_path / "out")


@pytest.mark.parametrize("kind", ["cost", "metric"])
def test_a_cost_or_metric_with_an_option_is_refused_because_nothing_could_set_it(
    own_registry, kind
):
    @dataclass(frozen=True, kw_only=True)
    class Measured(component(kind, "ppe" if kind == "cost" else "val_loss")):
        watts: float = option(11.0, "power drawn", least=0)

    with pytest.raises(InputError, match=f"{kind} 'measured' has option 'watts', but a {kind} is"):
        register(kind, "measured")(Measured)


def test_a_setting_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"no setting 'racin'; did you mean 'racing'\?"):
        SearchSettings.from_flat({"racin": 3})


def test_a_component_itself_may_be_a_setting():
    pareto = components("scheduler")["pareto"](racing=2)
    settings = SearchSettings.from_flat({"scheduler": pareto, "alpha": 0.3})
    assert settings.scheduler.values() == {"alpha": 0.3, "delta": 0.0, "audit": 0.1, "racing": 2.0}


def test_branches_refuse_a_cost_of_which_nothing_is_known_before_it_is_paid():
    chosen = SearchSettings.from_flat({"scheduler": "branches"}).scheduler
    metric = metric_of("val_accuracy")
    with pytest.raises(InputError, match="nothing is known for 'seconds' before"):
        chosen.judge(["seconds"], metric, seed=0)
    assert chosen.judge(["flops"], metric, seed=0) is not None


def test_a_cost_of_0_ends_no_search():
    """torch counts no multiply-accumulates for some layers, so a network may have no FLOPs."""
    chosen = SearchSettings.from_flat({"scheduler": "pareto", "racing": 2}).scheduler
    judge = chosen.judge(["flops"], metric_of("val_accuracy"), seed=0)
    judge.sizes = lambda config: lambda architecture: (0, 0)
    trial = TrialConfig(policy="none", epochs=9)
    history = History()
    for epoch in range(1, 9):
        history = history.plus(record(epoch, train_flops=0.0, macs=0, parameters=0))
        assert judge.verdict("one", trial, history) is None
    last = record(9, train_flops=0.0, macs=0, parameters=0, status="completed")
    judge.ended("one", trial, history.plus(last))
    judge.verdict("two", trial, history[:3])
    judge.rest("two")
    assert judge.next_to_resume(["two"]) == "two"
