import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.study.pareto import is_pareto_optimal, pareto_front
from growsearch.trial.errors import InputError

points = st.lists(
    st.tuples(
        st.integers(1, 6), st.integers(1, 6), st.sampled_from(["completed", "completed", "failed"])
    ),
    min_size=1,
    max_size=12,
)


def table(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["ppe", "val_accuracy", "status"])
    return frame.assign(trial_id=[f"t{i:02}" for i in frame.index])


@given(points)
def test_the_front_is_what_no_completed_trial_dominates(rows):
    """The reference compares all pairs and keeps ties."""
    trials = table(rows)
    completed = [(c, a) for c, a, status in rows if status == "completed"]
    expected = [
        status == "completed"
        and not any(c <= cost and a >= acc and (c < cost or a > acc) for c, a in completed)
        for cost, acc, status in rows
    ]
    assert is_pareto_optimal(trials).tolist() == expected
    front = pareto_front(trials)
    assert front["ppe"].is_monotonic_increasing
    assert front["val_accuracy"].is_monotonic_increasing
    assert sorted(front["trial_id"]) == [f"t{i:02}" for i, e in enumerate(expected) if e]


def test_cost_and_accuracy_may_be_any_columns():
    trials = table([(1, 1, "completed"), (2, 9, "completed")]).assign(seconds=[5.0, 3.0])
    assert pareto_front(trials, cost="seconds")["trial_id"].tolist() == ["t01"]
    with pytest.raises(InputError, match="no column 'flops'; choose from ppe, val_accuracy"):
        pareto_front(trials, cost="flops")


def test_a_column_that_does_not_tell_which_is_better_is_not_guessed():
    trials = table([(1, 1, "completed"), (2, 9, "completed")])
    trials["metric/val_bleu"] = [0.1, 0.2]
    with pytest.raises(InputError, match=r"'metric/val_bleu' does not tell .* give minimized=True"):
        pareto_front(trials, accuracy="metric/val_bleu")
    for minimized, best in ((True, ["t00"]), (False, ["t00", "t01"])):
        front = pareto_front(trials, accuracy="metric/val_bleu", minimized=minimized)
        assert front["trial_id"].tolist() == best
