"""The table of late growth, from hand-made trials whose losses are known functions of cost."""

import math

import pytest
from conftest import record

from growsearch.study.folder import create_study
from growsearch.study.jumps import late_growth
from growsearch.study.results import read_studies, read_study, write_trial
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

EPOCHS = 10
FLOPS = {"1-1-1": 1.0, "4-4-4": 4.0}
SECONDS = {"1-1-1": 2.0, "4-4-4": 5.0}


def static_loss(epochs: int, seed: int) -> float:
    """Linear in the logarithm of the horizon, so that interpolation between horizons is exact."""
    return 3 - math.log(epochs) + 0.1 * seed


def trial(folder, name, seed, growth=None, epochs=EPOCHS, architecture="4-4-4", loss=None):
    grows = {"policy": "fixed", "growth_epochs": (growth,), "growth_architectures": ("4-4-4",),
             "architecture": "1-1-1", "initializer": "zero"} if growth else {
             "policy": "none", "architecture": architecture}  # fmt: skip
    config = TrialConfig(**grows, epochs=epochs, seed=seed, lr_schedule="cosine")
    records, flops = [], 0.0
    for epoch in range(1, epochs + 1):
        shape = "1-1-1" if growth and epoch <= growth else architecture
        flops += FLOPS[shape]
        last, grew = epoch == epochs, epoch == growth
        records.append(
            record(
                epoch, architecture=shape, train_flops=flops, train_seconds=SECONDS[shape],
                val_loss=loss if last else 5.0, grew=grew, grown_val_loss=5.25 if grew else None,
                status="completed" if last else "running", key=f"{name} {epoch}",
            )
        )  # fmt: skip
    write_trial(folder, name, config, records)


@pytest.fixture
def study(tmp_path):
    folder = create_study(tmp_path / "study", command="search", searched=[])
    for seed in (0, 1, 2):
        for epochs in (4, 7, 10):
            trial(folder, f"s{seed}-{epochs}", seed, epochs=epochs, loss=static_loss(epochs, seed))
        # it ends above the static network by 0.2, 0.3 and 0.4
        trial(folder, f"g{seed}", seed, growth=5,
              loss=static_loss(EPOCHS, seed) + 0.2 + 0.1 * seed)  # fmt: skip
    return folder


def test_trials_of_one_seed_are_one_seed(study):
    once = late_growth(read_study(study)).iloc[0]
    for seed in (0, 1, 2):
        trial(study, f"again{seed}", seed, growth=5,
              loss=static_loss(EPOCHS, seed) + 0.2 + 0.1 * seed)  # fmt: skip
    twice = late_growth(read_study(study)).iloc[0]
    assert twice["seeds"] == 3
    assert twice["at_steps_error"] == pytest.approx(once["at_steps_error"])


def test_a_growing_trial_is_compared_with_the_static_one_at_equal_steps_flops_and_seconds(study):
    (row,) = late_growth(read_study(study)).to_dict("records")
    assert (row["lr_schedule"], row["initializer"], row["share"]) == ("cosine", "zero", 0.5)
    assert row["seeds"] == 3
    assert row["jump"] == pytest.approx(0.25)
    assert row["flops"] == pytest.approx((5 * 1 + 5 * 4) / 40)
    assert row["seconds"] == pytest.approx((5 * 2 + 5 * 5) / 50)
    assert row["at_steps"] == pytest.approx(0.3)
    # the static network has as many FLOPs after 6.25 epochs, as many seconds after 7
    assert row["at_flops"] == pytest.approx(0.3 + math.log(6.25 / 10))
    assert row["at_seconds"] == pytest.approx(0.3 + math.log(7 / 10))
    # differences 0.2, 0.3, 0.4: deviation 0.1, and t = 4.303 for two degrees of freedom
    assert row["at_steps_error"] == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=1e-3)


def test_a_growing_trial_is_also_compared_with_shallow_static_ones_for_as_many_flops(
    study, tmp_path
):
    """By hand: 25 FLOPs of a growing trial; one block over 20 epochs costs 20 of them."""
    shallow = create_study(tmp_path / "shallow", command="search", searched=[])
    for seed in (0, 1, 2):
        trial(shallow, f"one{seed}", seed, architecture="1-1-1", epochs=20, loss=0.5)
    (alone,) = late_growth(read_study(study)).to_dict("records")
    assert alone["at_flops_of_any"] == pytest.approx(alone["at_flops"])
    (row,) = late_growth(read_studies([study, shallow])).to_dict("records")
    # the growing trials end at 3 - log 10 + 0.2, + 0.4 and + 0.6
    assert row["at_flops_of_any"] == pytest.approx(3 - math.log(10) + 0.4 - 0.5)
    assert row["at_flops_of_any_error"] == pytest.approx(4.303 * 0.2 / math.sqrt(3), rel=1e-3)
    assert {name: row[name] for name in alone if "any" not in name} == pytest.approx(
        {name: alone[name] for name in alone if "any" not in name}
    )


def test_seconds_of_a_second_study_which_ran_elsewhere_are_not_mixed_with_the_first(
    study, tmp_path, monkeypatch
):
    elsewhere = create_study(tmp_path / "elsewhere", command="search", searched=[])
    monkeypatch.setitem(SECONDS, "1-1-1", 0.01)
    trial(elsewhere, "one", 0, architecture="1-1-1", epochs=20, loss=0.5)
    (row,) = late_growth(read_studies([study, elsewhere])).to_dict("records")
    assert row["seconds"] == pytest.approx((5 * 2 + 5 * 5) / 50)


def test_the_best_depth_is_chosen_by_the_mean_of_all_seeds(study, tmp_path):
    """Seed 2's own shallow network is the best of all there, by luck: it is not chosen."""
    shallow = create_study(tmp_path / "shallow", command="search", searched=[])
    for seed, loss in ((0, 90.0), (1, 90.0), (2, -50.0)):
        trial(shallow, f"one{seed}", seed, architecture="1-1-1", epochs=20, loss=loss)
    growing = read_studies([study, shallow])
    trial(study, "alone", seed=2, growth=6, loss=1.0)
    growing = growing[growing["config/seed"] == 2]
    (alone,) = late_growth(growing).to_dict("records")  # one seed alone: its own is
    assert alone["at_flops_of_any"] == pytest.approx(alone["val_loss"] + 50.0)
    table = late_growth(read_studies([study, shallow])).set_index("share")
    (of_seed_2,) = table.loc[[0.6]].to_dict("records")
    assert of_seed_2["at_flops_of_any"] == pytest.approx(of_seed_2["at_flops"])


def test_beyond_the_static_horizons_nothing_is_made_up(study):
    trial(study, "early", 0, growth=1, loss=2.0)  # 37 of 40 FLOPs: within
    trial(study, "late", 0, growth=9, loss=2.0)  # 13 of 40: the shortest static one has 16
    table = late_growth(read_study(study)).set_index("share")
    assert math.isfinite(table.loc[0.1, "at_flops"])
    assert math.isnan(table.loc[0.9, "at_flops"])
    assert table.loc[0.1, "at_steps_error"] == math.inf  # of one seed


def test_a_study_that_cannot_be_compared_is_said_in_one_line(study, tmp_path):
    trial(study, "alone", seed=7, growth=5, loss=2.0)
    with pytest.raises(InputError, match=r"trial alone has no static one of architecture 4-4-4"):
        late_growth(read_study(study))
    folder = create_study(tmp_path / "other", command="search", searched=[])
    trial(folder, "s", 0, loss=2.0)
    with pytest.raises(InputError, match=r"0 completed trials that grew once and 1 static"):
        late_growth(read_study(folder))
