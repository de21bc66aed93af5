"""GrowingTrial as a trainable of Tune: first in this process, then by Tune's own schedulers."""

import random
from itertools import pairwise

import pytest
from conftest import first_quick

from growsearch import EpochRecord, Trainer, TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import record_among
from growsearch.tuning import GrowingTrial

SMALL = {
    "dataset": "digits", "train_size": 60, "epochs": 4, "lr": 0.1, "policy": "fixed",
    "architecture": "1-1-1", "growth_epochs": [2], "initializer": "zero",
    "momentum_on_growth": "carry",
}  # fmt: skip


def records(trainable, epochs=100) -> list[EpochRecord]:
    results = []
    while len(results) < epochs and not (results and results[-1]["done"]):
        results.append(trainable.train())
    return [record_among(result) for result in results]


def restored(config, trainable, folder):
    trainable.save(str(folder))
    other = GrowingTrial(config)
    other.restore(str(folder))
    return other


@pytest.fixture(scope="module")
def undisturbed():
    """Of a trainer of the same configuration."""
    return list(Trainer(TrialConfig.from_flat(SMALL)))


def test_its_results_are_the_records_of_a_trainer_and_the_last_one_is_done(undisturbed):
    assert records(GrowingTrial(SMALL)) == undisturbed


@pytest.mark.parametrize("epochs", [0, 2, 3])
def test_a_trial_from_a_checkpoint_has_the_records_of_an_undisturbed_one(
    epochs, undisturbed, tmp_path
):
    """Before the first epoch, just after a growth, and late."""
    trial = GrowingTrial(SMALL)
    before = records(trial, epochs)
    assert before + records(restored(SMALL, trial, tmp_path)) == undisturbed


def test_a_checkpoint_goes_on_with_another_learning_rate_as_its_configuration_says(
    undisturbed, tmp_path
):
    """The same as a trial that changes its learning rate and weight decay after epoch 3."""
    trial = GrowingTrial(SMALL)
    before = records(trial, 3)
    other = restored(SMALL | {"lr": 0.05, "weight_decay": 1e-3}, trial, tmp_path)
    changes = {"optimizer_changes": ["3:lr=0.05", "3:weight_decay=0.001"]}
    changed = list(Trainer(TrialConfig.from_flat(SMALL | changes)))
    assert [r.val_loss for r in before + records(other)] == [r.val_loss for r in changed]
    assert changed[:3] == undisturbed[:3] and changed[3] != undisturbed[3]


@pytest.mark.parametrize("epochs", first_quick([1, 0, 3], 1, slow=0))
def test_with_a_store_trials_train_each_epoch_once_also_from_a_checkpoint(
    epochs, undisturbed, tmp_path
):
    """The second trial is the same; the third grows an epoch later, and shares two epochs."""
    trainable = GrowingTrial.with_store(str(tmp_path / "epochs"))
    first = trainable(SMALL)
    assert records(first) == undisturbed
    again = trainable(SMALL)
    before = records(again, epochs)
    again.save(str(tmp_path / "saved"))
    resumed = trainable(SMALL)
    resumed.restore(str(tmp_path / "saved"))
    both = before + records(resumed)
    assert both == undisturbed and not any((tmp_path / "epochs/claims").rglob("*/*"))
    later = SMALL | {"growth_epochs": [3]}
    found = records(trainable(later))
    assert [r.key for r in found[:2]] == [r.key for r in undisturbed[:2]]
    assert found == list(Trainer(TrialConfig.from_flat(later)))
    kept = [path for path in (tmp_path / "epochs/records").rglob("*/*") if path.is_file()]
    distinct = {r.key for r in (*undisturbed, *found)}
    assert len(kept) == len(distinct) + 2  # and two growths


@pytest.mark.long
def test_trials_of_tune_share_epochs_by_a_store_and_their_records_stay(ray, tmp_path):
    from ray import tune

    space = {"growth_epochs": tune.grid_search([[2], [3]])}
    trainable = GrowingTrial.with_store(str(tmp_path / "epochs"))
    results = tuner(tmp_path, space, trainable=trainable, max_concurrent_trials=1).fit()
    assert not results.errors
    for result in results:
        config = TrialConfig.from_flat(SMALL | {"growth_epochs": result.config["growth_epochs"]})
        assert record_among(result.metrics) == list(Trainer(config))[-1]
    kept = [path for path in (tmp_path / "epochs/records").rglob("*/*") if path.is_file()]
    assert len(kept) == 6 + 2  # two of four epochs are shared; and two growths


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "3-3-3"}, "architecture='1-1-1' cannot go on with architecture='3-3-3'"),
        ({"momentum": 0.5}, "momentum=0.9 cannot go on with momentum=0.5; let the scheduler"),
        ({"network": "preact3resnet"}, "network='basic3resnet' cannot go on with network="),
        ({"train_size": 50}, "train_size=60 cannot go on with train_size=50"),
    ],
)
def test_a_checkpoint_of_other_weights_is_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        restored(SMALL | changes, GrowingTrial(SMALL), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rtoll": 1.2}, "no field 'rtoll'; did you mean 'rtol'?"),
        ({"lr": -1}, "lr must be greater than 0, but got -1"),
        ({"rtol": 1.2}, "rtol=1.2 belongs to policy"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as raised:
        GrowingTrial(SMALL | changes)
    assert "\n" not in str(raised.value)


def test_an_actor_that_is_used_again_trains_as_a_new_one():
    trial = GrowingTrial(SMALL)
    records(trial, 3)
    assert trial.reset(SMALL | {"lr": 0.05})
    assert records(trial) == list(Trainer(TrialConfig.from_flat(SMALL | {"lr": 0.05})))


def test_memory_that_runs_out_at_a_growth_ends_the_trial_with_an_error(monkeypatch):
    """Its epoch so far is reported before."""
    import growsearch.trainer

    def no_memory(*arguments):
        raise MemoryError("no memory")

    monkeypatch.setattr(growsearch.trainer, "run_growth", no_memory)
    trial = GrowingTrial(SMALL)
    assert [record.epoch for record in records(trial, 2)] == [1, 2]
    with pytest.raises(MemoryError, match="out of memory at growth to 2-2-2"):
        trial.train()


# On Ray.


def tuner(folder, space, scheduler=None, callbacks=(), trainable=GrowingTrial, **options):
    from ray import tune

    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=SMALL | space,
        tune_config=tune.TuneConfig(
            metric="val_loss", mode="min", scheduler=scheduler, reuse_actors=True, **options
        ),
        run_config=tune.RunConfig(
            name="growing", storage_path=str(folder), callbacks=list(callbacks), verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
    )  # fmt: skip


def recorder():
    """A callback, and what it keeps: each trial's configurations and records."""
    from ray import tune

    kept = {}  # Tune copies the callback, but not this

    class Recorder(tune.Callback):
        def on_trial_result(self, trial, result, **info):
            known = kept.setdefault(trial.trial_id, [])
            known.append((dict(result["config"]), record_among(result)))

    return Recorder(), kept


RATES = [0.1, 0.05, 0.02, 1e-4, 1e-5, 1e-6]


@pytest.mark.long
def test_hyperband_pauses_trials_which_go_on_to_the_records_of_undisturbed_ones(ray, tmp_path):
    from ray import tune
    from ray.tune.schedulers import HyperBandScheduler

    """The first three trials are a bracket without pauses, the others one that is halved."""
    paused, (callback, seen) = [], recorder()

    class HyperBand(HyperBandScheduler):
        def on_trial_result(self, controller, trial, result):
            decision = super().on_trial_result(controller, trial, result)
            paused.extend([trial.trial_id] * (decision == self.PAUSE))
            return decision

    scheduler = HyperBand(max_t=4, reduction_factor=2)
    results = tuner(tmp_path, {"lr": tune.grid_search(RATES)}, scheduler, [callback]).fit()
    assert not results.errors
    assert paused and any(len(seen[name]) == 4 for name in paused)
    for trained in seen.values():
        config = TrialConfig.from_flat(trained[0][0])
        assert [r for _, r in trained] == list(Trainer(config))[: len(trained)]


@pytest.mark.long
def test_a_population_goes_on_from_checkpoints_of_its_best(ray, tmp_path):
    """The same as one alone of the other's configuration that changes its learning rate."""
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    callback, seen = recorder()
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, quantile_fraction=0.25,
        hyperparam_mutations={"lr": [0.3, 0.2]}, resample_probability=1.0, synch=True,
    )  # fmt: skip
    results = tuner(tmp_path, {"lr": tune.grid_search(RATES[:4])}, scheduler, [callback]).fit()
    assert not results.errors
    exploits = 0
    for trained in seen.values():
        for (before, one), (after, other) in pairwise(trained):
            if after["lr"] == before["lr"]:
                assert other.epoch == one.epoch + 1
                continue
            assert after["lr"] in (0.3, 0.2)
            exploits += 1
            epoch = other.epoch - 1
            alone = [next_loss(config, epoch, after["lr"]) for config in donors(seen, epoch)]
            assert other.val_loss in alone
    assert exploits
    assert all(result.metrics["epoch"] == 4 for result in results)


def donors(seen, epoch):
    """Configurations of the trials that have trained so many epochs, and nothing but their own."""
    for trained in seen.values():
        own = trained[:epoch]
        if [r.epoch for _, r in own] == [*range(1, epoch + 1)] and own[-1][0] == own[0][0]:
            yield own[0][0]


def next_loss(config, epoch, lr):
    """Of the epoch after `epoch` epochs, if the learning rate is `lr` from there on."""
    changed = TrialConfig.from_flat(config | {"optimizer_changes": [f"{epoch}:lr={lr}"]})
    return list(Trainer(changed))[epoch].val_loss


@pytest.mark.long
def test_an_interrupted_experiment_ends_with_the_records_of_an_undisturbed_one(
    ray, tmp_path, monkeypatch
):
    from ray import tune

    marker = tmp_path / "marker"

    class Interrupts(tune.Callback):
        seen = 0

        def on_trial_result(self, **info):
            self.seen += 1
            if self.seen == 6 and not marker.exists():
                marker.touch()
                raise RuntimeError("interrupted")

    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0.1")
    space = {"lr": tune.grid_search(RATES[:2])}
    with pytest.raises(Exception, match="interrupted"):
        tuner(tmp_path, space, callbacks=[Interrupts()]).fit()
    trainable = tune.with_resources(GrowingTrial, {"cpu": 1})
    results = tune.Tuner.restore(str(tmp_path / "growing"), trainable).fit()
    assert not results.errors
    for result in results:
        config = TrialConfig.from_flat(SMALL | {"lr": result.config["lr"]})
        assert record_among(result.metrics) == list(Trainer(config))[-1]


@pytest.mark.long
def test_a_wrong_option_fails_its_trial_with_the_line_and_not_the_others(ray, tmp_path):
    from ray import tune

    space = {"lr": tune.grid_search([0.1, -1.0])}
    results = tuner(tmp_path, space).fit()
    [error] = results.errors
    assert "InputError: lr must be greater than 0, but got -1.0" in str(error)
    assert [r.metrics["epoch"] for r in results if not r.error] == [4]


@pytest.mark.long
def test_components_of_a_users_file_are_loaded_where_trials_run(ray, tmp_path):
    from conftest import ROOT

    trainable = GrowingTrial.with_plugins(str(ROOT / "examples/rmsprop.py"))
    space = {
        "optimizer": "rmsprop",
        "lr": 0.002,
        "smoothing": 0.9,
        "epochs": 2,
        "growth_epochs": [1],
    }
    [result] = tuner(tmp_path, space, trainable=trainable).fit()
    assert not result.error
    assert result.metrics["epoch"] == 2


@pytest.mark.long
def test_asha_and_a_pareto_scheduler_stop_growing_trials(ray, tmp_path):
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    from growsearch.tuning import ParetoScheduler

    draw = random.Random(0)
    space = {"lr": tune.grid_search([draw.uniform(0.05, 0.1), 1e-5, 1e-6])}
    asha = ASHAScheduler(max_t=4, grace_period=2, reduction_factor=2)
    results = tuner(tmp_path / "asha", space, asha, max_concurrent_trials=1).fit()
    assert [r.metrics["epoch"] for r in results] == [4, 2, 2]
    pareto = ParetoScheduler(
        metric="val_accuracy", mode="max", cost="param_epochs", max_t=4, rate_never_falls=True,
        alpha=0.5, audit=0,
    )  # fmt: skip
    space = {"lr": tune.grid_search([1e-5, 1e-6, 0.1, 1e-6, 1e-6])}
    results = tuner(tmp_path / "pareto", space, pareto, max_concurrent_trials=1).fit()
    assert not results.errors
    ended = [result.metrics["epoch"] for result in results]
    assert ended[:3] == [4, 4, 4] and max(ended[3:]) < 4
