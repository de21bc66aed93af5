"""LipGrow's Figures 4 and 5 and AutoGrow's tables, from hand-made trials."""

import math
from dataclasses import dataclass, replace

import pandas as pd
import pytest

from growsearch.study.comparisons import found_networks, growth_schedules, growth_timing
from growsearch.study.figures import growth_timing_figure, schedules_figure
from growsearch.trial.components import register
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.from_scratch import from_scratch
from growsearch.trial.kinds import Policy

COLUMNS = ["config/policy", "growth_epochs", "ppe", "val_accuracy", "best_val_accuracy", "status"]


def trials(*rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    given = frame["growth_epochs"].where(frame["config/policy"].isin(["fixed", "hand-tuned"]))
    return frame.assign(
        trial_id=[f"t{i}" for i in frame.index],
        **{"config/growth_epochs": given, "config/seed": frame.index},
    )


GRID = trials(
    ("fixed", "4 17", 5.0, 90.0, 91.0, "completed"),
    ("fixed", "4 17", 5.0, 92.0, 92.0, "completed"),
    ("fixed", "10 20", 4.0, 95.0, 95.0, "completed"),
    ("fixed", "10 20", 4.0, 10.0, 10.0, "diverged"),
    ("lipschitz", "8 19", 4.4, 94.0, 96.0, "completed"),
    ("lipschitz", "12 22", 3.6, 93.0, 93.0, "completed"),
    ("hand-tuned", "11 20", 3.9, 94.0, 94.5, "completed"),
    ("none", "", 2.0, 89.0, 90.0, "completed"),
)


def test_growth_timing_is_the_mean_final_error_of_each_first_growth_epoch():
    table = growth_timing(GRID).set_index(["policy", "first_growth"])
    assert table.loc[("fixed", 4), "error"] == pytest.approx(9.0)
    assert table.loc[("fixed", 4), "error_std"] == pytest.approx(2**0.5)
    assert table.loc[("fixed", 10), "trials"] == 1
    own = table.loc[("lipgrow", 10.0)]
    assert own["error"] == pytest.approx(6.5)
    assert own["first_growth_std"] == pytest.approx(8**0.5)
    assert len(table) == 3


def test_schedules_are_compared_by_the_means_of_ppe_and_best_accuracy_over_seeds():
    table = growth_schedules(GRID)
    assert table["ppe"].tolist() == [2.0, 3.9, 4.0, 4.0, 5.0]
    table = table.set_index(["schedule", "growth_epochs"])
    assert sorted(table.index) == [
        ("hand-tuned", "11 20"), ("lipgrow", "8 19; 12 22"), ("sampled", "10 20"),
        ("sampled", "4 17"), ("vanilla", ""),
    ]  # fmt: skip
    lipgrow = table.loc[("lipgrow", "8 19; 12 22")]
    assert (lipgrow["ppe"], lipgrow["best_val_accuracy"], lipgrow["trials"]) == (4.0, 94.5, 2)
    assert lipgrow["ppe_std"] == pytest.approx(0.32**0.5)
    assert lipgrow["best_val_accuracy_std"] == pytest.approx(4.5**0.5)
    assert math.isnan(table.loc[("vanilla", ""), "ppe_std"])
    optimal = table[table["pareto_optimal"]]
    assert optimal.index.get_level_values("schedule").tolist() == [
        "vanilla", "hand-tuned", "sampled"
    ]  # fmt: skip
    assert optimal["best_val_accuracy"].tolist() == [90.0, 94.5, 95.0]


def test_a_study_without_both_sides_is_an_error_that_names_the_space():
    with pytest.raises(InputError, match=r"growth epochs on a grid.*first_growth_grid\.py"):
        growth_timing(GRID[GRID["config/policy"] != "fixed"])
    with pytest.raises(InputError, match="chosen by LipGrow"):
        growth_timing(GRID[GRID["config/policy"] == "fixed"])
    with pytest.raises(InputError, match="no completed trial"):
        growth_schedules(GRID[GRID["status"] == "diverged"])


def test_the_figures_show_their_tables():
    table = growth_timing(GRID)
    axes = growth_timing_figure(table).axes[0]
    drawn = axes.lines[0].get_xydata().tolist()
    assert drawn == [[4.0, 9.0], [10.0, 5.0]]
    heights = sorted(line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--")
    assert heights == pytest.approx([5.0, 6.5])
    axes = schedules_figure(growth_schedules(GRID)).axes[0]
    stars = [
        point
        for collection, label in ((c, c.get_label()) for c in axes.collections)
        if "Pareto-optimal" in label
        for point in collection.get_offsets().tolist()
    ]
    assert sorted(stars) == [[2.0, 90.0], [3.9, 94.5], [4.0, 95.0]]
    (bars,) = axes.containers
    across = [path.vertices[:, 0].tolist() for path in bars.lines[2][0].get_paths()]
    assert [4.0 - 0.32**0.5, 4.0 + 0.32**0.5] in [pytest.approx(ends) for ends in across]


def test_the_schedules_of_a_policy_without_a_colour_of_its_own_are_drawn():
    table = growth_schedules(GRID).assign(schedule="mine")
    axes = schedules_figure(table).axes[0]
    drawn = {tuple(point) for c in axes.collections for point in c.get_offsets().tolist()}
    assert drawn >= set(zip(table["ppe"], table["best_val_accuracy"], strict=True))


def finished(config: TrialConfig, val: float, test: float, architecture: str) -> dict:
    columns = {f"config/{name}": value for name, value in config.to_flat().items()}
    return columns | {
        "trial_id": config.digest, "status": "completed", "architecture": architecture,
        "epochs": 9, "ppe": 5.0, "growth_ended": "enough", "val_accuracy": val,
        "test_accuracy": test,
    }  # fmt: skip


def test_found_networks_stand_beside_their_trial_from_scratch():
    """The two have the same seed and depth; without a trial from scratch the delta is nan."""
    grown = TrialConfig(policy="periodic", interval=3, seed=1)
    other = TrialConfig(policy="convergent", initializer="adam")
    table = found_networks(
        pd.DataFrame(
            [
                finished(grown, 92.0, 91.0, "4-4-4"),
                finished(from_scratch(grown, "4-4-4"), 91.5, 91.25, "4-4-4"),
                finished(from_scratch(grown, "4-4-3"), 10.0, 10.0, "4-4-3"),
                finished(other, 80.0, 80.0, "2-2-2"),
                finished(from_scratch(replace(other, seed=2), "2-2-2"), 10.0, 10.0, "2-2-2"),
            ]
        )
    ).set_index("trial_id")
    assert table.loc[grown.digest, ["val_delta", "test_delta"]].tolist() == [0.5, -0.25]
    assert table.loc[grown.digest, ["start", "found", "interval"]].tolist() == ["1-1-1", "4-4-4", 3]
    assert table.loc[other.digest, ["val_delta", "test_delta"]].isna().all()
    assert len(table) == 2


def test_a_trial_that_cannot_grow_is_no_found_network_whatever_its_policy_is_called(own_registry):
    """The policy of a plugin that is not loaded may grow."""
    vanilla = finished(TrialConfig(policy="none"), 90.0, 90.0, "2-2-2")
    unknown = {**vanilla, "config/policy": "mine"}
    assert found_networks(pd.DataFrame([vanilla])).empty
    assert found_networks(pd.DataFrame([vanilla, unknown]))["policy"].tolist() == ["mine"]

    @register("policy", "never-grows")
    @dataclass(frozen=True, kw_only=True)
    class NeverGrows(Policy):
        grows = False

        def decide(self, trial, history):
            return None

    assert found_networks(pd.DataFrame([{**vanilla, "config/policy": "never-grows"}])).empty
