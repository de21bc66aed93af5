"""The file in which Optuna keeps the trials of a search: damaged, and on a full disk."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from conftest import files_of_at_most
from ray import tune

from growsearch.machine.files import storage_error
from growsearch.trial.errors import InputError
from growsearch.tuning.optuna_search import ParetoOptunaSearch

SPACE = {"rtol": tune.uniform(1, 2), "window": tune.randint(1, 21), "epochs": 30}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "optuna.db"
    search = ParetoOptunaSearch([SPACE], storage=path)
    for name in ("a", "b", "c"):
        search.suggest(name)
        search.tell(name, "completed", {"ppe": 1.0, "val_accuracy": 90.0})
    return path


@pytest.fixture
def path(kept, tmp_path) -> Path:
    return Path(shutil.copy(kept, tmp_path))


DAMAGE = [
    "update trial_user_attributes set value_json = '{'",
    "delete from trial_params",
    "update trial_user_attributes set value_json = '[1]'",
    "update study_user_attributes set value_json = '[1]'",
    "update trial_params set distribution_json = '{}'",
    "update trial_params set param_value = 'x'",
    "update trials set state = 'X'",
    "delete from study_directions",
]


@pytest.mark.parametrize("statement", DAMAGE)
def test_a_damaged_file_is_named_in_one_line(path, statement):
    with sqlite3.connect(path) as database:
        database.execute(statement)
    with pytest.raises(InputError, match=rf"^storage '{path}' cannot be opened: ") as caught:
        ParetoOptunaSearch([SPACE], storage=path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_an_error_of_its_disk_and_loses_nothing(path):
    search = ParetoOptunaSearch([SPACE], storage=path)
    with pytest.raises(OSError, match=r"optuna\.db") as caught, files_of_at_most(1):
        search.suggest("d")
    assert storage_error(caught.value) is caught.value
    assert list(ParetoOptunaSearch([SPACE], storage=path).configs) == ["a", "b", "c"]
