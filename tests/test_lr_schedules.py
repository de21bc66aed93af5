import pytest
import torch
from conftest import record

from growsearch.schedules.cosine import adaptive_cosine
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import TRAINING, History
from growsearch.trial.rates import learning_rate, staircase


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
