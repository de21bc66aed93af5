import pytest
import torch

from growsearch.lr_schedules import adaptive_cosine


def test_adaptive_cosine_has_the_papers_values(paper):
    for epoch, last_growth, expected in paper["adaptive_cosine"]["values"]:
        lr = adaptive_cosine(epoch, last_growth=last_growth, epochs=164, lr_max=0.5)
        assert lr == pytest.approx(expected, abs=5e-7)


def test_without_growth_it_is_torchs_cosine_annealing():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for epoch in range(50):
        ours = adaptive_cosine(epoch, last_growth=0, epochs=50, lr_max=0.5)
        assert ours == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_each_growth_starts_again_at_the_maximum():
    assert adaptive_cosine(110, last_growth=110, epochs=164, lr_max=0.3) == 0.3
