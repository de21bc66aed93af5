"""What growsearch relies on in Ray Tune, shown by Tune alone.

The first part is what Tune documents, by a small search; the second is each part of ray_private.
"""

import inspect
import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from growsearch.tuning import cluster, ray_private
from growsearch.tuning.ray_private import OneTrialGenerator, Population

EPOCHS = 3


@pytest.fixture(scope="module")
def events(ray, tmp_path_factory):
    """Events of a search: its scheduler stops the second trial, and a third is added after both."""
    from ray import tune
    from ray.tune.schedulers import FIFOScheduler

    seen = []

    class Toy(tune.Trainable):
        def setup(self, config):
            self.name, self.epoch, self.resets = config["name"], 0, 0

        def step(self):
            self.epoch += 1
            return {"epoch": self.epoch, "resets": self.resets, "done": self.epoch == EPOCHS}

        def reset_config(self, config):
            self.name, self.epoch, self.resets = config["name"], 0, self.resets + 1
            return True

        def save_checkpoint(self, folder):
            raise AssertionError("saved")

    class First(tune.Stopper):
        def __call__(self, trial_id, result):
            seen.append(("stopper", result["config"]["name"], result["epoch"]))
            return False

        def stop_all(self):
            return False

    class Scheduler(FIFOScheduler):
        def on_trial_result(self, controller, trial, result):
            seen.append(("scheduler", trial.config["name"], result["epoch"]))
            stops = trial.config["name"] == "b" and result["epoch"] == 2
            return self.STOP if stops else self.CONTINUE

        def on_trial_complete(self, controller, trial, result):
            seen.append(("scheduler: complete", trial.config["name"], result["epoch"]))

    class Queue(OneTrialGenerator):
        names, held, running = ["a", "b", "c"], 0, ()

        @property
        def total_samples(self):
            return 3

        def is_finished(self):
            return not self.names

        def next_trial(self):
            if self.running:  # one trial runs at a time; the others are held back
                self.held += 1
                return None
            trial = self.make_trial({"name": self.names[0]})
            self.names.pop(0)
            self.running = (trial.trial_id,)
            return trial

        def on_trial_complete(self, trial_id, result=None, error=False):
            super().on_trial_complete(trial_id, result, error)
            assert self.running == (trial_id,)
            self.running = ()
            seen.append(("queue: complete", result["config/name"], result["epoch"]))

    class Watcher(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):
            seen.append(("callback", trial.config["name"], result["epoch"]))

    queue = Queue()
    results = tune.Tuner(
        tune.with_resources(Toy, {"cpu": 1}),
        tune_config=tune.TuneConfig(search_alg=queue, scheduler=Scheduler(), reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path_factory.mktemp("contract")),
            stop=First(),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[Watcher()],
            verbose=0,
        ),
    ).fit()
    seen.append(("resets", max(r.metrics["resets"] for r in results), len(results.errors)))
    seen.append(("held", queue.held, len(results)))
    return seen


def test_a_generator_that_holds_its_trials_back_is_asked_again(events):
    (held,) = [event for event in events if event[0] == "held"]
    assert held[1] > 0
    assert held[2] == 3
    completed = [name for kind, name, _ in events if kind == "queue: complete"]
    assert completed == ["a", "b", "c"]


def test_the_stopper_sees_each_result_and_before_the_others_do(events):
    for name, epochs in (("a", 3), ("b", 2), ("c", 3)):
        for epoch in range(1, epochs + 1):
            kinds = [event[0] for event in events if event[1:] == (name, epoch)]
            assert kinds[0] == "stopper"
            assert kinds.count("stopper") == kinds.count("callback") == 1


def test_the_scheduler_is_not_asked_about_a_trials_last_result_but_told_of_its_end(events):
    assert ("scheduler", "a", EPOCHS) not in events
    end = events.index(("scheduler: complete", "a", EPOCHS))
    assert events.index(("callback", "a", EPOCHS)) < end
    assert end < events.index(("queue: complete", "a", EPOCHS))


def test_a_trial_that_the_scheduler_stops_completes_with_its_last_result(events):
    stopped = events.index(("scheduler", "b", 2))
    assert ("scheduler: complete", "b", 2) in events[stopped:]
    assert ("queue: complete", "b", 2) in events[stopped:]
    assert ("stopper", "b", 3) not in events


def test_actors_are_reused_and_nothing_is_saved_at_a_trials_end(events):
    (resets,) = [event for event in events if event[0] == "resets"]
    assert resets == ("resets", 2, 0)


CHANGED = f"Ray {version('ray')} has changed {{}}; adapt growsearch/tuning/ray_private.py"


def test_pyproject_admits_the_version_that_these_tests_run_with_and_no_later_minor_one():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (ray,) = [r for r in map(Requirement, declared) if r.name == "ray"]
    major, minor, _ = map(int, version("ray").split("."))
    assert version("ray") in ray.specifier
    assert f"{major}.{minor + 1}.0" not in ray.specifier


@pytest.fixture
def experiment():
    from ray import tune
    from ray.tune.experiment import Experiment

    class Nothing(tune.Trainable):
        pass

    return Experiment("search", Nothing)


def test_trials_are_made_one_at_a_time_each_with_its_configuration(experiment):
    generator = OneTrialGenerator()
    for attribute in ("_total_samples", "_trial_iter"):
        assert hasattr(generator, attribute), CHANGED.format(f"BasicVariantGenerator.{attribute}")
    generator.add_configurations([experiment])
    spec = experiment.spec
    made = [generator.make_trial({"name": name, "options": {"store": None}}) for name in "abc"]
    expected = [{"name": name, "options": {"store": None}} for name in "abc"]
    assert [trial.config for trial in made] == expected, CHANGED.format("Experiment.spec")
    assert len({trial.trial_id for trial in made}) == 3
    assert generator.made == 3, CHANGED.format("BasicVariantGenerator._total_samples")
    assert experiment.spec is spec and "name" not in spec.get("config", {})


def test_a_trial_that_raised_has_its_traceback_and_one_that_did_not_has_none(events, tmp_path):
    """While the search runs: the callback is called before Tune moves the file."""
    from ray import tune

    class Raises(tune.Trainable):
        def step(self):
            raise LookupError("no such picture")

    class Reader(tune.Callback):
        texts = ()

        def on_trial_start(self, iteration, trials, trial, **info):
            self.texts += (ray_private.error_text(trial),)

        def on_trial_error(self, iteration, trials, trial, **info):
            self.texts += (ray_private.error_text(trial),)

    reader = Reader()
    tune.Tuner(
        tune.with_resources(Raises, {"cpu": 1}),
        run_config=tune.RunConfig(storage_path=str(tmp_path), callbacks=[reader], verbose=0),
    ).fit()
    before, after = reader.texts
    assert before is None, CHANGED.format("Trial.run_metadata.error_filename")
    raised = "LookupError: no such picture"
    assert after is not None and raised in after, CHANGED.format("Trial.error_file")


def test_a_population_replaces_its_worst_when_their_interval_is_over():
    """Four trials of rising accuracy: the first is the worst quarter, the last the best."""
    from ray.tune.experiment import Trial

    class Recorded(Population):
        replaced = ()

        def replace_trial(self, trial, better):
            self.replaced += ((trial.trial_id, [other.trial_id for other in better]),)

    population = Recorded(
        time_attr="epoch", metric="val_accuracy", mode="max", perturbation_interval=3,
        custom_explore_fn=dict,
    )  # fmt: skip
    trials = [Trial("nothing", stub=True, trial_id=name) for name in "abcd"]
    controller = SimpleNamespace(search_alg=None, get_trials=lambda: trials)
    for trial in trials:
        population.on_trial_add(controller, trial)
        assert trial in population._trial_state, CHANGED.format("PBT's _trial_state")
        population.start_interval(trial, 2)
    for epoch in range(3, 9):  # after epoch 5 none is worse than those that have been seen
        for accuracy, trial in enumerate(trials):
            result = {"epoch": epoch, "val_accuracy": 10.0 * accuracy}
            population.on_trial_result(controller, trial, result)
        expected = () if epoch < 8 else (("a", ["d"]),)
        assert population.replaced == expected, CHANGED.format(
            "when PBT calls _checkpoint_or_exploit, or last_perturbation_time"
        )


@pytest.mark.parametrize("name", ["AsyncHyperBandScheduler", "MedianStoppingRule"])
def test_stopping_schedulers_need_no_more_of_a_trial_and_a_controller_than_there_is(name):
    """The second of two trials, half as accurate, is stopped; the first is not."""
    from ray.tune import schedulers

    scheduler = getattr(schedulers, name)(
        time_attr="epoch", metric="val_accuracy", mode="max", grace_period=1
    )
    if name == "MedianStoppingRule":
        scheduler._min_samples_required = 1
    controller, decisions = ray_private.controller_without_trials(), {}
    for trial_id, height in (("a", 80.0), ("b", 40.0)):
        trial = ray_private.ScheduledTrial(trial_id)
        scheduler.on_trial_add(controller, trial)
        for epoch in range(1, 6):
            result = {"epoch": epoch, "val_accuracy": height}
            decisions[trial_id] = scheduler.on_trial_result(controller, trial, result)
            if decisions[trial_id] == scheduler.STOP:
                break
        scheduler.on_trial_complete(controller, trial, result)
    assert decisions == {"a": scheduler.CONTINUE, "b": scheduler.STOP}


def test_callbacks_read_no_more_of_a_trial_than_a_logged_one_has(tmp_path):
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.air.integrations.wandb import WandbLoggerCallback
    from ray.tune.logger import TBXLoggerCallback

    logged = ray_private.LoggedTrial("00001", "id", tmp_path / "run", {"lr": 0.1})
    there = {name for name in dir(logged) if not name.startswith("__")}
    for callback in (MLflowLoggerCallback, WandbLoggerCallback, TBXLoggerCallback):
        # of a trial's checkpoint we tell none of them
        source = inspect.getsource(callback)
        if "log_trial_save" in vars(callback):
            source = source.replace(inspect.getsource(callback.log_trial_save), "")
        read = set(re.findall(r"\btrial\.(\w+)", source))
        assert read and read <= there, CHANGED.format(f"what {callback.__name__} reads of a trial")
    logged.init_local_path()
    assert (tmp_path / "run").is_dir()


def test_mlflows_callback_keeps_its_runs_and_its_experiment_where_we_look_for_them():
    """By its source: MLflow itself is not installed for the tests."""
    from ray.air._internal import mlflow as utilities
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    callback, utility = map(inspect.getsource, (MLflowLoggerCallback, utilities._MLflowLoggerUtil))
    for text in ("self._trial_runs[trial] = run.info.run_id", "self.mlflow_util = _MLflowLogger"):
        assert text in callback, CHANGED.format("MLflowLoggerCallback")
    assert "self.experiment_id = " in utility, CHANGED.format("_MLflowLoggerUtil.experiment_id")


def test_a_file_in_an_experiments_folder_on_the_driver_is_in_its_storage_at_the_end(ray, tmp_path):
    """It is written by a scheduler, which Tune itself does not save."""
    from ray import tune
    from ray.tune.schedulers import FIFOScheduler

    class Nothing(tune.Trainable):
        def step(self):
            return {"loss": {"train": 1.0}, "done": True}

    class Writes(FIFOScheduler):
        def on_trial_add(self, controller, trial):
            self.stored = ray_private.StoredFile(trial, "events.jsonl")
            assert self.stored.read() == ""
            self.stored.local.parent.mkdir(parents=True, exist_ok=True)
            self.stored.local.write_text("added\n")

        def on_trial_complete(self, controller, trial, result):
            self.keys, self.last = ray_private.own_keys(result), ray_private.last_result(trial)

    scheduler = Writes()
    tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        tune_config=tune.TuneConfig(scheduler=scheduler),
        run_config=tune.RunConfig(
            name="stored", storage_path=str(tmp_path), verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()  # fmt: skip
    assert hasattr(scheduler, "keys"), CHANGED.format("that a Tuner uses the given scheduler")
    assert scheduler.keys == ["loss/train"], CHANGED.format("the keys of results")
    assert scheduler.last["loss/train"] == 1.0, CHANGED.format("Trial.last_result")
    assert scheduler.stored.read() == "added\n", CHANGED.format("Trial.storage, or its syncing")
    assert (tmp_path / "stored/events.jsonl").is_file()


def test_search_spaces_consist_of_domains_that_we_can_read():
    from ray import tune

    names = {"lower": 2, "upper": 9}
    for domain, kind, sampler in (
        (tune.uniform(2, 9), ray_private.Float, ray_private.Uniform),
        (tune.loguniform(2, 9), ray_private.Float, ray_private.LogUniform),
        (tune.randint(2, 9), ray_private.Integer, ray_private.Uniform),
        (tune.lograndint(2, 9), ray_private.Integer, ray_private.LogUniform),
    ):
        assert isinstance(domain, kind) and isinstance(domain, ray_private.Domain)
        assert isinstance(domain.get_sampler(), sampler), CHANGED.format("Domain.get_sampler")
        assert {name: getattr(domain, name) for name in names} == names
    stepped = tune.quniform(2, 9, 0.5).get_sampler()
    assert isinstance(stepped, ray_private.Quantized) and stepped.q == 0.5
    assert isinstance(stepped.sampler, ray_private.Uniform)
    choice = tune.choice(["a", "b"])
    assert isinstance(choice, ray_private.Categorical) and choice.categories == ["a", "b"]
    assert isinstance(tune.sample_from(len), ray_private.Function)
    assert tune.grid_search([1, 2]) == {"grid_search": [1, 2]}


def test_a_space_is_drawn_the_same_from_the_same_random_state():
    from ray import tune

    space = {"config": {"lr": tune.uniform(0, 1), "seed": tune.grid_search([3, 4])}}

    def drawn(seed):
        generator = np.random.default_rng(seed)
        return [
            v["config"] for _, v in ray_private.generate_variants(space, random_state=generator)
        ]

    assert drawn(1) == drawn(1) != drawn(2), CHANGED.format("generate_variants")
    assert [config["seed"] for config in drawn(1)] == [3, 4]


def test_ray_reads_each_variable_that_we_set():
    import ray

    source = "".join(path.read_text() for path in Path(ray.__file__).parent.rglob("*.py"))
    for variable in cluster._RAY_SETTINGS:
        assert variable in source, CHANGED.format(f"the variable {variable}")


def test_a_cluster_can_be_asked_before_ray_connects_to_it():
    """By what `ray_private.ASK_CLUSTER` imports, in a process of its own."""
    imported = [line for line in ray_private.ASK_CLUSTER.splitlines() if "import" in line]
    assert any("ray" in line for line in imported)
    there: dict = {}
    exec("\n".join(line.strip() for line in imported), there)
    called = re.findall(r"\btoken\.(\w+)", ray_private.ASK_CLUSTER)
    assert called and all(hasattr(there["token"], name) for name in called)


def test_ray_private_is_the_only_module_that_uses_what_ray_does_not_document():
    """Its deep imports, and underscore attributes of anything but self."""
    ours = Path(ray_private.__file__)
    for path in ours.parent.rglob("*.py"):
        text = path.read_text()
        deep = re.findall(r"from (ray\.tune\.search\.(?!optuna)\S+|ray\.\S*\._\S+) import", text)
        hidden = re.findall(r"\b(?!self\b|torch\b|os\b)\w+\._[a-z]\w*", text)
        assert path == ours or not deep + hidden, f"{path.name}: {deep + hidden}"


def test_a_trial_keeps_its_last_result_and_no_statistics_of_results(tmp_path):
    """Tune keeps each trial until the end: by default tens of kilobytes, most of it statistics."""
    from ray import tune
    from ray.tune.experiment import Experiment, Trial

    tune.register_trainable("idle", type("Idle", (tune.Trainable,), {}))
    queue, results = OneTrialGenerator(), {f"metric{n}": float(n) for n in range(40)}
    queue.add_configurations([Experiment("tune", "idle", storage_path=str(tmp_path))])
    ours, tunes = queue.make_trial({"name": "a"}), Trial("idle", stub=True)
    for trial in (ours, tunes):
        trial.update_last_result({**results, "training_iteration": 1, "done": True})
    assert ours.last_result["metric3"] == tunes.last_result["metric3"] == 3.0
    assert set(tunes.metric_analysis) > set(results)
    assert ours.metric_analysis == ours.metric_n_steps == {}
    assert ours.checkpoint is None
    queue.save_to_dir(str(tmp_path), session_str="now")
    assert not queue.has_checkpoint(str(tmp_path))
    assert queue._iterators == []


def test_the_processes_of_ray_are_in_groups_of_their_own(ray):
    from ray._private.worker import _global_node

    started = [info.process for many in _global_node.all_processes.values() for info in many]
    assert started
    assert all(os.getpgid(process.pid) == process.pid for process in started)
