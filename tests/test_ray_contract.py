"""What growsearch relies on in Ray Tune, shown by Tune alone."""

import copy

import pytest

EPOCHS = 3


@pytest.fixture(scope="module")
def events(ray, tmp_path_factory):
    """Of a search whose second trial its scheduler stops, and whose third joins when they end."""
    from ray import tune
    from ray.tune.schedulers import FIFOScheduler
    from ray.tune.search.basic_variant import BasicVariantGenerator

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

    class Queue(BasicVariantGenerator):
        names, held, running = ["a", "b", "c"], 0, ()

        def add_configurations(self, experiments):
            self.experiment = experiments[0]

        @property
        def total_samples(self):
            return 3

        def is_finished(self):
            return not self.names

        def next_trial(self):
            if self.running:  # one at a time, so that each is held back while another runs
                self.held += 1
                return None
            experiment = copy.copy(self.experiment)
            experiment.spec = {**experiment.spec, "config": {"name": self.names[0]}}
            super().add_configurations([experiment])
            self._trial_iter = None
            trial = super().next_trial()
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
