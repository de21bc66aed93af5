import pytest
import torch
from conftest import record

from growsearch.config import TrialConfig
from growsearch.history import History
from growsearch.lr_schedules import adaptive_cosine, learning_rate


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
    """The learning rates of a whole trial with scripted growths."""
    config, history, rates = TrialConfig(policy="none", **fields), History(), []
    for epoch in range(1, config.epochs + 1):
        rates.append(learning_rate(config, history))
        history = history.plus(record(epoch, grew=epoch in grew_after))
    return rates


def test_growth_moves_the_adaptive_cosine_alone():
    for schedule in ("cosine", "constant", "step"):
        fields = {"epochs": 20, "lr_schedule": schedule}
        assert rates(**fields) == rates(grew_after=(5, 9), **fields)
    adaptive = rates(epochs=20, lr_schedule="adaptive-cosine", grew_after=(5, 9))
    assert [adaptive[e] for e in (0, 5, 9)] == [0.5] * 3


def test_restarts_are_torchs_cosine_with_warm_restarts():
    """Where cycles are equally long; it knows no others."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10, eta_min=0.001)
    for rate in rates(epochs=40, lr_schedule="cosine-restarts", lr_epochs=(10, 20, 30)):
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


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
