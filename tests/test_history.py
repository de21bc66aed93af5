import dataclasses

import pytest
from conftest import record

from growsearch.trial.history import History


def test_records_that_differ_in_wall_time_alone_are_equal():
    assert record(seconds=1.0) == record(seconds=2.0)
    assert record(val_loss=1.0) != record(val_loss=1.0 + 1e-15)


def test_records_and_histories_do_not_change():
    history = History().plus(record(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        history[0].epoch = 2
    longer = history.plus(record(2))
    assert [len(history), len(longer)] == [1, 2]


def test_growths_are_counted_in_completed_epochs():
    history = History(record(e, grew=e in (2, 5)) for e in range(1, 8))
    assert history.growth_epochs == (2, 5)
    assert history.last_growth == 5
    assert [r.epoch for r in history.since_growth] == [6, 7]
    assert History().last_growth == 0
