import os

import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from conftest import record

from growsearch.study.folder import create_study, read_info
from growsearch.study.results import read_study, write_trial
from growsearch.study.schema import schema
from growsearch.study.summary import summarize
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

LIPGROW = TrialConfig(rtol=1.2)
FIXED = TrialConfig(policy="fixed", growth_epochs=(60, 110), train_size=5000)


@pytest.fixture
def study(tmp_path):
    folder = create_study(tmp_path / "study", searched=["rtol"])
    curve = [40.0, 90.0, 85.0, 88.0]
    records = [
        record(
            epoch,
            architecture="4-4-4" if epoch > 2 else "2-2-2",
            val_accuracy=accuracy,
            test_accuracy=accuracy - 1,
            grew=epoch == 2,
            status="completed" if epoch == 4 else "running",
        )
        for epoch, accuracy in enumerate(curve, start=1)
    ]
    write_trial(folder, "b", LIPGROW, records)
    write_trial(folder, "a", FIXED, [record(1, train_loss=float("nan"), status="diverged")])
    return folder


def test_every_column_has_its_unit_and_meaning_in_the_file(study):
    found = pq.read_schema(study / "trials" / "b.parquet")
    assert found.metadata[b"study"].decode() == read_info(study)["id"]
    found = found.with_metadata({k: v for k, v in found.metadata.items() if k != b"study"})
    assert found.equals(schema(), check_metadata=True)
    named = "trial_id epoch architecture parameters param_epochs ppe lr train_loss val_loss "
    named += "val_accuracy test_accuracy lipschitz grew seconds status"
    assert found.names[:15] == named.split()
    for column in found:
        assert column.metadata[b"description"]
    units = {name: found.field(name).metadata[b"unit"] for name in ("val_accuracy", "seconds")}
    assert units == {"val_accuracy": b"percent", "seconds": b"s"}


def test_pandas_and_pyarrow_read_the_folder_as_it_stands(study):
    by_pandas = pd.read_parquet(study / "trials").sort_values(["trial_id", "epoch"])
    by_arrow = pyarrow.dataset.dataset(study / "trials").to_table().to_pandas()
    assert len(by_arrow) == 5
    pd.testing.assert_frame_equal(by_pandas.reset_index(drop=True), read_study(study))


def test_a_trial_carries_its_configuration_in_every_row(study):
    rows = read_study(study)
    config = rows[rows["trial_id"] == "b"]["config/rtol"]
    assert config.tolist() == [1.2] * 4
    fixed = rows[rows["trial_id"] == "a"].iloc[0]
    assert fixed["config/growth_epochs"] == "60 110"
    assert fixed["config/train_size"] == 5000
    assert pd.isna(fixed["config/rtol"])


def test_what_was_written_is_what_is_read(study):
    rows = read_study(study)
    assert rows["trial_id"].tolist() == ["a", "b", "b", "b", "b"]
    assert rows["epoch"].tolist() == [1, 1, 2, 3, 4]
    assert rows["train_loss"].isna().tolist() == [True, False, False, False, False]


def test_writing_again_replaces_the_file_and_leaves_no_other(study):
    write_trial(study, "b", LIPGROW, [record(1), record(2)])
    assert len(read_study(study)) == 3
    assert sorted(os.listdir(study / "trials")) == ["a.parquet", "b.parquet"]


def test_the_summary_has_the_last_epoch_and_the_best_beside_it(study):
    trials = summarize(read_study(study)).set_index("trial_id")
    grown = trials.loc["b"]
    assert (grown["status"], grown["epochs"], grown["growth_epochs"]) == ("completed", 4, "2")
    assert (grown["val_accuracy"], grown["test_accuracy"]) == (88.0, 87.0)
    assert (grown["best_epoch"], grown["best_val_accuracy"]) == (2, 90.0)
    assert grown["test_accuracy_at_best"] == 89.0
    assert grown["seconds"] == 4.0
    assert (trials.loc["a", "status"], trials.loc["a", "growth_epochs"]) == ("diverged", "")


@pytest.mark.parametrize("content", ["study.json", "thesis.tex"])
def test_a_folder_with_anything_in_it_is_left_as_it_is(tmp_path, content):
    (tmp_path / content).write_text("mine")
    with pytest.raises(InputError, match=r"nothing was changed.*--out"):
        create_study(tmp_path, searched=[])
    assert os.listdir(tmp_path) == [content]
    assert (tmp_path / content).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be made"):
        create_study(tmp_path / ("x" * 300), searched=[])


def test_an_empty_folder_will_do(tmp_path):
    create_study(tmp_path, searched=[])
    assert (tmp_path / "study.json").exists()


def test_what_is_no_study_is_an_error_that_says_what_to_give(tmp_path, study):
    with pytest.raises(InputError, match=r"no study\.json.*--out"):
        read_study(tmp_path)
    empty = create_study(tmp_path / "empty", searched=[])
    with pytest.raises(InputError, match="no finished epoch yet"):
        read_study(empty)
    (empty / "study.json").write_text("{}")
    with pytest.raises(InputError, match="damaged: it lacks created, hardware"):
        read_study(empty)
    for name in "ab":
        (study / "trials" / f"{name}.parquet").write_bytes(b"PAR1 not parquet")
    with pytest.raises(InputError, match="all tables of study") as caught:
        read_study(study)
    assert "\n" not in str(caught.value)
