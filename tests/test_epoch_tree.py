"""The tree of epochs, built from the keys of a study."""

import pandas as pd
import pytest

from growsearch.study.epoch_tree import count_epochs, epoch_tree


def study(paths: dict[str, str], reused=()) -> pd.DataFrame:
    """A study whose epochs have one-letter keys; capitals are epochs of a grown network."""
    rows = [
        {
            "trial_id": trial_id, "epoch": epoch, "key": path[:epoch], "parameters": 10,
            "architecture": "4-4-4" if key.isupper() else "2-2-2",
            "reused": (trial_id, epoch) in reused,
        }
        for trial_id, path in paths.items()
        for epoch, key in enumerate(path, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


SHARED = study({"t1": "abCD", "t2": "abcE", "t3": "abcf", "t4": "xyzw"}, reused={("t2", 1)})


def test_counts_are_of_all_epochs_of_the_distinct_ones_and_of_those_trained():
    counts = count_epochs(SHARED)
    assert (counts.nominal, counts.distinct, counts.paid) == (16, 11, 15)
    assert counts.merge_rate == pytest.approx(16 / 15)


def test_a_study_of_a_growsearch_without_keys_shares_nothing():
    old = SHARED.assign(key=None, reused=None)
    counts = count_epochs(old)
    assert (counts.nominal, counts.distinct, counts.paid, counts.merge_rate) == (16, 16, 16, 1)
    assert epoch_tree(old).empty


def test_stretches_end_where_trials_part_or_the_network_has_grown():
    tree = epoch_tree(SHARED)
    columns = ["parent", "first_epoch", "last_epoch", "architecture", "trials"]
    assert list(tree[columns].itertuples(index=False, name=None)) == [
        (-1, 1, 2, "2-2-2", 3),  # ab
        (0, 3, 4, "4-4-4", 1),  # CD
        (0, 3, 3, "2-2-2", 2),  # c
        (2, 4, 4, "4-4-4", 1),  # E
        (2, 4, 4, "2-2-2", 1),  # f
        (-1, 1, 4, "2-2-2", 1),  # xyzw
    ]
    assert tree["y"].tolist() == [0.75, 0, 1.5, 1, 2, 3]


def test_every_epoch_is_in_one_stretch():
    tree = epoch_tree(SHARED)
    assert (tree["last_epoch"] - tree["first_epoch"] + 1).sum() == count_epochs(SHARED).distinct
