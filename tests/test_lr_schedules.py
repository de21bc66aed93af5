import copy
from dataclasses import dataclass
from math import cos, pi, sqrt

import numpy as np
import pytest
import torch
from conftest import record
from hypothesis import assume, given
from hypothesis import strategies as st

from growsearch.schedules.cosine import adaptive_cosine
from growsearch.tasks.builtin.image_classification import ImageClassification
from growsearch.tasks.task import Task
from growsearch.trainer import Trainer
from growsearch.trial.components import components, register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import TRAINING, History
from growsearch.trial.rates import Rates, learning_rate, staircase
from growsearch.trial.rates import rates as planned_rates


def test_adaptive_cosine_has_the_papers_values(paper):
    for epoch, last_growth, expected in paper["adaptive_cosine"]["values"]:
        lr = adaptive_cosine(epoch, last_growth, epochs=164, lr=0.5)
        assert lr == pytest.approx(expected, abs=5e-7)


def test_without_growth_it_is_torchs_cosine_annealing():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for epoch in range(50):
        ours = adaptive_cosine(epoch, 0, epochs=50, lr=0.5)
        assert ours == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_a_learning_rate_below_the_usual_end_never_rises():
    assert {adaptive_cosine(e, 0, epochs=9, lr=1e-4) for e in range(9)} == {1e-4}


def test_each_growth_starts_again_at_the_maximum():
    assert adaptive_cosine(110, 110, epochs=164, lr=0.3) == 0.3


def rates(grew_after=(), **fields) -> list[float]:
    """The learning rates of all epochs of a trial with scripted growths."""
    config, history, rates = TrialConfig(**{"policy": "none", **fields}), History(), []
    for epoch in range(1, config.epochs + 1):
        rates.append(learning_rate(config, history, TRAINING))
        history = history.plus(record(epoch, grew=epoch in grew_after))
    return rates


def test_growth_moves_the_adaptive_cosine_alone():
    for schedule in ("cosine", "constant", "step"):
        fields = {"epochs": 20, "lr_schedule": schedule}
        assert rates(**fields) == rates(grew_after=(5, 9), **fields)
    adaptive = rates(epochs=20, lr_schedule="adaptive-cosine", grew_after=(5, 9))
    assert [adaptive[e] for e in (0, 5, 9)] == [0.5] * 3


def test_restarts_are_torchs_cosine_with_warm_restarts():
    """torch's schedule only has cycles of equal length, so the test has them too."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10, eta_min=0.001)
    for rate in rates(epochs=40, lr_schedule="cosine-restarts", lr_epochs=(10, 20, 30)):
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_a_staircase_has_autogrows_steps():
    """x0.1 at 1/2 and 3/4 of 200 epochs, or at 30 and 60 of ImageNet's 90 (AutoGrow, section 3)."""
    baseline = rates(epochs=200, lr=0.1, lr_schedule="staircase")
    assert baseline == pytest.approx([0.1] * 100 + [0.01] * 50 + [0.001] * 50)
    imagenet = rates(epochs=90, lr=0.1, lr_schedule="staircase", dataset="imagenet")
    assert imagenet == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)


STEPS = {
    1: [1], 2: [1, 0.1], 3: [1, 1, 0.1], 4: [1, 1, 0.1, 0.01], 5: [1, 1, 1, 0.1, 0.01],
    6: [1, 1, 1, 0.1, 0.1, 0.01], 7: [1, 1, 1, 1, 0.1, 0.1, 0.01],
    8: [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01], 9: [1, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01],
}  # fmt: skip


@pytest.mark.parametrize("epochs", STEPS)
def test_a_staircase_falls_once_a_half_and_three_quarters_are_completed(epochs):
    """Its first epoch always has the full rate (section 3.2): K/2 and 3K/4 are rounded up."""
    assert [staircase(e, epochs, lr=1.0) for e in range(epochs)] == pytest.approx(STEPS[epochs])


def test_autogrow_grows_at_a_constant_rate_or_a_staircase_of_each_interval():
    fields = {"policy": "convergent", "interval": 8, "epochs": 250}
    assert set(rates(**fields)[:50]) == {0.1}
    stairs = rates(**fields, lr_schedule="staircase")
    assert stairs[:50] == pytest.approx(([0.1] * 4 + [0.01] * 2 + [0.001] * 2) * 6 + [0.1] * 2)


def test_fine_tuning_is_a_staircase_whatever_growing_had():
    config = TrialConfig(policy="periodic", epochs=30, finetune_epochs=8, lr_schedule="cosine")
    history = History(record(e) for e in range(1, 12))
    tuned = []
    for epoch in range(12, 20):
        tuned.append(learning_rate(config, history, "fine-tuning"))
        history = history.plus(record(epoch, phase="fine-tuning"))
    assert tuned == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_network_morphism_trains_each_depth_with_its_own_staircase():
    """Train to convergence, morph, then train in the standard way (AutoGrow, section 3.1)."""
    morphism = rates(
        policy="fixed", growth_epochs=200, growth_architectures="5-5-5", epochs=400,
        lr=0.1, lr_schedule="staircase",
    )  # fmt: skip
    one = [0.1] * 100 + [0.01] * 50 + [0.001] * 50
    assert morphism == pytest.approx(one + one)


def test_epochs_that_initialize_do_not_move_a_schedule():
    config = TrialConfig(policy="hand-tuned", initializer="adam", epochs=20)
    history = History(record(e, grew=e == 7) for e in range(1, 8))
    before = learning_rate(config, history, TRAINING)
    history = history.plus(record(8, phase="initializing"))
    assert learning_rate(config, history, "initializing") == 0.001  # the rate of Adam
    assert learning_rate(config, history, TRAINING) == before == config.lr


def test_restarts_follow_the_growth_epochs_if_not_told_otherwise():
    config = TrialConfig(policy="hand-tuned", lr_schedule="cosine-restarts")
    assert config.lr_epochs == config.growth_epochs == (60, 110)


def test_step_is_torchs_multi_step_and_constant_is_constant():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [82, 123], gamma=0.1)
    for rate in rates(lr_schedule="step"):
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()
    assert set(rates(lr_schedule="constant")) == {0.5}


def test_after_a_change_a_schedule_is_that_of_a_trial_with_the_other_learning_rate():
    options = {"epochs": 40, "lr_schedule": "cosine"}
    before, other = rates(**options, lr=0.5), rates(**options, lr=0.1)
    assert rates(**options, lr=0.5, optimizer_changes="10:lr=0.2 15:lr=0.1")[15:] == other[15:]
    assert rates(**options, lr=0.5, optimizer_changes="15:lr=0.1")[:15] == before[:15]


STEPS_AN_EPOCH = 7
MIDDLES = (np.arange(10 * STEPS_AN_EPOCH) + 0.5) / STEPS_AN_EPOCH
"""The middles of the steps of ten epochs, in epochs."""


def by_epoch(grew_after=(), steps=STEPS_AN_EPOCH, **fields) -> list[Rates]:
    """The rates of all epochs of a trial with scripted growths."""
    config = TrialConfig(**{"policy": "none", "epochs": 10, **fields})
    history, found = History(), []
    for epoch in range(1, config.epochs + 1):
        found.append(planned_rates(config, history, TRAINING).taken(lambda: steps))
        history = history.plus(record(epoch, grew=epoch in grew_after))
    return found


def by_step(**fields) -> list[float]:
    """The learning rate of each step."""
    steps = fields.get("steps", STEPS_AN_EPOCH)
    return [lr for taken in by_epoch(**fields) for lr in taken.lrs or [taken.lr] * steps]


SHAPES = {
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + cos(pi * x)) / 2,
    "1-sqrt": lambda x: 1 - sqrt(x),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("decay", "length"), [(0.3, 3), (0.25, 2.5), (4.5, 4.5), (1, 1)])
@pytest.mark.parametrize(("warmup", "final"), [(0, 0), (1.5, 0.1), (0.5, 0)])
def test_wsd_rises_stays_and_falls_at_the_end(shape, decay, length, warmup, final):
    """Hägele et al. 2024, with steps counted by their middles."""
    found = by_step(lr_schedule="wsd", lr=0.4, decay=decay, decay_shape=shape, warmup=warmup,
                    final_lr=final)  # fmt: skip
    expected = []
    for t in MIDDLES:
        if t < warmup:
            expected.append(0.4 * t / warmup)
        elif t < 10 - length:
            expected.append(0.4)
        else:
            part = (t - (10 - length)) / length
            expected.append(0.4 * (final + (1 - final) * SHAPES[shape](part)))
    assert found == pytest.approx(expected, rel=1e-12)


def test_linear_goes_from_the_end_of_warm_up_to_the_end():
    found = by_step(lr_schedule="linear", lr=0.4, warmup=2.5, final_lr=0.25)
    assert found == pytest.approx(np.interp(MIDDLES, [0, 2.5, 10], [0, 0.4, 0.1]), rel=1e-12)
    assert by_step(lr_schedule="linear", lr=0.4) == pytest.approx(0.4 * (1 - MIDDLES / 10))


def test_a_cosine_by_step_is_torchs_of_as_many_steps():
    """torch's has values at the ends of steps: with twice as many, every other is a middle."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    both = 2 * len(MIDDLES)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=both, eta_min=0.001)
    expected = []
    for _ in range(both):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    found = by_step(lr_schedule="cosine", lr_per="step", lr=0.5)
    assert found == pytest.approx(expected[1::2], rel=1e-9)


@pytest.mark.parametrize("warmup", [0, 1.5])
def test_cosines_by_step_begin_at_growths_at_restarts_and_after_warm_up(warmup):
    options = {"lr_per": "step", "lr": 0.5, "warmup": warmup}
    adaptive = by_step(lr_schedule="adaptive-cosine", grew_after=(4,), **options)
    restarts = by_step(lr_schedule="cosine-restarts", lr_epochs=(4,), **options)

    def cosine(t, begin, end):
        return 0.001 + 0.499 * (1 + cos(pi * (t - begin) / (end - begin))) / 2

    for t, one, other in zip(MIDDLES, adaptive, restarts, strict=True):
        if t < warmup:
            assert one == other == pytest.approx(0.5 * t / warmup)
        elif t < 4:
            assert one == pytest.approx(cosine(t, warmup, 10))
            assert other == pytest.approx(cosine(t, warmup, 4))
        else:
            assert one == other == pytest.approx(cosine(t, 4, 10))


@pytest.mark.parametrize("name", ["constant", "step", "staircase"])
def test_warm_up_multiplies_what_other_schedules_have(name):
    without = np.repeat(rates(epochs=10, lr_schedule=name, lr=0.4), STEPS_AN_EPOCH)
    found = by_step(lr_schedule=name, lr=0.4, warmup=2.25)
    assert found == pytest.approx(without * np.minimum(MIDDLES / 2.25, 1), rel=1e-12)


def test_a_cosine_by_epoch_begins_after_warm_up_and_every_schedule_takes_warm_up():
    found = by_epoch(lr_schedule="cosine", lr=0.4, warmup=2)
    later = [adaptive_cosine(epoch, 2, 10, 0.4) for epoch in range(2, 10)]
    assert [taken.lr for taken in found] == pytest.approx([0.1, 0.3, *later])
    assert all(taken.lrs is None for taken in found[2:])
    for name in components("lr_schedule"):
        options = {"lr_epochs": (5,)} if name == "cosine-restarts" else {}
        first = by_epoch(lr_schedule=name, lr=0.4, warmup=1, **options)[0]
        assert first.lrs == pytest.approx(0.4 * MIDDLES[:STEPS_AN_EPOCH])


DECAYS = st.floats(0.01, 0.6) | st.floats(1, 6)
"""A share, or epochs: of ten, at least three are left for warm-up."""


@given(steps=st.integers(1, 40), warmup=st.floats(0, 3), decay=DECAYS)
def test_the_recorded_rate_is_the_mean_and_epochs_of_one_rate_have_no_list(steps, warmup, decay):
    assume(warmup <= 10 - (10 * decay if decay < 1 else decay))  # of 10 epochs
    for taken in by_epoch(lr_schedule="wsd", steps=steps, warmup=warmup, decay=decay):
        if taken.lrs is None:
            continue
        assert len(taken.lrs) == steps and len(set(taken.lrs)) > 1
        assert taken.lr == pytest.approx(sum(taken.lrs) / steps)


def test_equal_plans_have_equal_rates_and_those_of_other_horizons_are_equal_before_the_decay():
    def planned(**fields):
        config = TrialConfig(**{"policy": "none", "lr_schedule": "wsd", "warmup": 0.5, **fields})
        histories = (History(record(e) for e in range(1, n + 1)) for n in range(config.epochs))
        return [planned_rates(config, history, TRAINING) for history in histories]

    for decay in (0.1, 0.3, 0.7):  # 0.1 * 70 is 7.000000000000001
        short, long = planned(epochs=70, decay=decay), planned(epochs=140, decay=decay)
        begin = round(70 * (1 - decay))
        assert short[:begin] == long[:begin]
        assert all(a != b for a, b in zip(short[begin:], long[begin:70], strict=True))
    assert planned(epochs=9, decay_shape="linear") != planned(epochs=9, decay_shape="1-sqrt")


def test_training_takes_each_step_with_its_rate():
    """The same bits as a plain loop of torch over the same batches."""
    trainer = Trainer(
        TrialConfig(
            policy="none", epochs=3, train_size=200, batch_size=64, lr=0.1, lr_schedule="wsd",
            warmup=1.25, decay=1.5,
        )
    )  # fmt: skip
    network = copy.deepcopy(trainer.state.network).train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4, foreach=True
    )
    for epoch in range(3):
        assert next(trainer).epoch == epoch + 1
        for step, batch in enumerate(trainer.task.training_batches(epoch + 1)):
            t = epoch + (step + 0.5) / 4
            rise, part = min(t / 1.25, 1.0), min(max((t - 1.5) / 1.5, 0), 1)
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - part) * rise
            optimizer.zero_grad()
            trainer.task.loss(network, batch).backward()
            optimizer.step()
    for name, tensor in trainer.state.network.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-5, atol=1e-6)


SMALL = {"policy": "none", "train_size": 200, "batch_size": 64, "lr": 0.1}


@pytest.mark.slow
def test_epochs_of_one_rate_have_the_keys_of_a_constant_rate_and_others_their_values_alone():
    def keys(**fields):
        return [r.key for r in Trainer(TrialConfig(**SMALL, **fields))]

    constant = keys(epochs=3, lr_schedule="constant")
    short, long = (keys(epochs=n, lr_schedule="wsd", decay=1) for n in (3, 4))
    assert short[:2] == constant[:2] == long[:2] and long[2] == constant[2] != short[2]
    # one straight line by two schedules
    line = keys(epochs=2, lr_schedule="linear")
    assert line == keys(epochs=2, lr_schedule="linear", warmup=0)
    warm = keys(epochs=2, lr_schedule="constant", warmup=1)
    assert warm == keys(epochs=2, lr_schedule="step", lr_epochs=(), warmup=1)
    assert warm[0] != constant[0] and warm[1] != constant[1]


@pytest.mark.slow
def test_a_trial_resumes_within_a_warm_up_and_a_decay_to_the_same_bits(tmp_path):
    config = TrialConfig(**SMALL, epochs=4, lr_schedule="wsd", warmup=1.5, decay=0.4)
    straight = list(Trainer(config))
    for stop in (1, 3):
        trainer = Trainer(config)
        for _ in range(stop):
            next(trainer)
        trainer.save(tmp_path / "state.safetensors")
        resumed = Trainer.load(tmp_path / "state.safetensors")
        assert [*resumed.history, *resumed] == straight


def test_epochs_that_initialize_keep_their_own_rate_or_that_of_the_epoch_that_follows():
    fields = {"policy": "fixed", "growth_epochs": 2, "epochs": 10, "lr_schedule": "linear"}
    history = History(record(e, grew=e == 2) for e in (1, 2))
    apart, trained = (
        planned_rates(TrialConfig(**fields, initializer=name), history, phase).taken(lambda: 5)
        for name, phase in (("adam", "initializing"), ("partial", "initializing"))
    )
    assert apart.lrs is None and apart.lr == 0.001
    lr = TrialConfig(**fields).lr
    assert trained.lrs == pytest.approx([lr * (1 - (2 + (k + 0.5) / 5) / 10) for k in range(5)])


def test_where_new_blocks_are_initialized_first_trials_part_after_that():
    from growsearch.trial.path import TrialPath

    path = TrialPath(
        TrialConfig(
            policy="fixed", growth_epochs=4, epochs=5, initializer="partial", lr_schedule="wsd",
            decay=1,
        )
    )  # fmt: skip
    parted = []
    for epoch in range(1, 7):
        path.follow(record(epoch, train_accuracy=50.0, val_accuracy=50.0))
        parted.append(path.parts)
    assert sum(parted) == 1
    assert path.history[parted.index(True)].phase == "initializing"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"lr_schedule": "wsd", "decay": 20}, ["decay=20", "20 epochs", "0.1"]),
        ({"lr_schedule": "wsd", "decay": 31.5}, ["decay=31.5", "20 epochs"]),
        ({"lr_schedule": "wsd", "decay": 0}, ["decay", "greater than 0", "0"]),
        ({"lr_schedule": "wsd", "decay": -0.1}, ["decay", "greater than 0", "-0.1"]),
        ({"lr_schedule": "wsd", "warmup": 18.5}, ["warmup=18.5", "18 epochs", "'wsd'"]),
        ({"lr_schedule": "step", "warmup": 11}, ["warmup=11", "10 epochs", "'step'"]),
        ({"lr_schedule": "cosine", "warmup": 21}, ["warmup=21", "20 epochs"]),
        ({"lr_schedule": "constant", "warmup": -1}, ["warmup", "at least 0"]),
        ({"lr_schedule": "wsd", "final_lr": 1}, ["final_lr must be less than 1", "got 1"]),
        ({"lr_schedule": "linear", "final_lr": 1.5}, ["final_lr must be less than 1", "got 1.5"]),
        ({"lr_schedule": "wsd", "decay_shape": "square"}, ["decay_shape", "1-sqrt"]),
        ({"lr_schedule": "cosine", "decay": 0.1}, ["decay=0.1", "'wsd'", "'cosine'"]),
    ],
)
def test_what_cannot_be_is_one_line_with_value_rule_and_remedy(fields, named):
    with pytest.raises(InputError) as caught:
        TrialConfig(policy="none", epochs=20, **fields)
    assert all(text in str(caught.value) for text in named) and "\n" not in str(caught.value)


def test_a_task_must_tell_its_steps_and_tell_them_right(own_registry):
    @register("task", "silent")
    @dataclass(frozen=True, kw_only=True)
    class Silent(ImageClassification):
        """It does not say its steps."""

        steps = Task.steps

    @register("task", "wrong")
    @dataclass(frozen=True, kw_only=True)
    class Wrong(ImageClassification):
        """It says one step too many, or that it does not know."""

        def steps(self):
            return None if self.trial.seed else 5

    options = {**SMALL, "epochs": 2, "lr_schedule": "constant"}
    TrialConfig(**options, task="silent")
    with pytest.raises(InputError, match=r"'constant' with warmup .* 'silent'.* define its steps"):
        TrialConfig(**options, task="silent", warmup=1)
    with pytest.raises(InputError, match=r"yields 4 batches in epoch 1, and its steps\(\) is 5"):
        next(Trainer(TrialConfig(**options, task="wrong", warmup=1)))
    with pytest.raises(InputError, match=r"steps\(\) is None"):
        next(Trainer(TrialConfig(**options, task="wrong", warmup=1, seed=1)))


def test_a_cosine_may_end_at_a_share_of_the_largest_rate():
    """nanoGPT's ends at a tenth; halfway it is in the middle."""
    found = rates(lr_schedule="cosine", lr=0.4, epochs=10, final_lr=0.1)
    assert (found[0], found[5]) == pytest.approx((0.4, (0.4 + 0.04) / 2))
    expected = [0.04 + 0.18 * (1 + cos(pi * epoch / 10)) for epoch in range(10)]
    assert found == pytest.approx(expected)
