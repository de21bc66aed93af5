"""The states of a trial, and how records and files spell them."""

import io
import json

import pandas as pd
import pyarrow as pa
import pytest
import torch
from conftest import record

from growsearch.study.folder import create_study
from growsearch.study.results import read_histories, write_trial
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History, record_among
from growsearch.trial.status import Status


def test_each_state_has_ended_or_may_run_again_and_two_are_a_trials_own_end():
    """Everything that the properties say, spelled out."""
    assert {status.value: (status.ended, status.ran_to_end) for status in Status} == {
        "completed": (True, True),
        "stopped": (True, False),
        "paused": (False, False),
        "diverged": (True, True),
        "failed": (True, False),
        "running": (False, False),
        "waiting": (False, False),
    }


@pytest.mark.parametrize("status", Status)
def test_json_parquet_and_pandas_have_a_status_as_plain_text(status):
    assert json.dumps({"status": status}) == f'{{"status": "{status.value}"}}'
    assert f"{status}" == str(status) == status == status.value
    schema = pa.schema([("status", pa.string())])
    table = pa.Table.from_pylist([{"status": status}], schema).to_pandas()
    assert table["status"].tolist() == [status.value]
    assert (table["status"] == status).all() and table["status"].isin([status]).all()
    assert pd.Series([status.value]).value_counts()[status] == 1


@pytest.mark.parametrize("status", Status)
def test_a_record_has_a_status_whether_it_is_given_one_or_text(status, tmp_path):
    for given in (status, status.value):
        one = record(1, status=given)
        assert one.status is status
        assert record_among(vars(one)) == record_among(one.to_dict()) == one
    create_study(tmp_path / "study", command="train")
    write_trial(tmp_path / "study", "a", TrialConfig(), History([one]))
    assert read_histories(tmp_path / "study")["a"][0].status is status


def test_a_status_that_there_is_not_is_an_error():
    with pytest.raises(ValueError, match="'complete' is not a valid Status"):
        record(1, status="complete")


def test_a_records_plain_values_need_no_class_of_ours_to_be_read():
    """So a saved state is of numbers, text and tensors alone."""
    values, buffer = record(3, status="stopped").to_dict(), io.BytesIO()
    torch.save(values, buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True) == values
    assert type(values["status"]) is str
