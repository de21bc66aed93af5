"""One command that starts a search, or goes on with it."""

import pandas as pd
import pytest
from conftest import RECORD, run

from growsearch.study.folder import create_study, make_folder
from growsearch.study.results import read_study
from growsearch.trial.errors import InputError
from growsearch.tuning.start import start_or_resume

SPACE = """
from ray import tune

param_space = {
    "policy": "none", "epochs": 2, "train_size": 100, "lr": tune.grid_search([0.1, 0.05]),
}
"""


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.py"
    path.write_text(SPACE)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"search_seed": 1}, "another search seed"),
        ({"trials": 9}, "another number of trials"),
        ({"overrides": {"lr": 0.2, "policy": "none"}}, "another trial options"),
        ({"plugins": ["growsearch.trial.status"]}, "another plugins"),
    ],
)
def test_a_study_of_another_search_is_not_gone_on_with(tmp_path, space, changes, said):
    info = {"overrides": {}, "trials": 2, "search_seed": 0, "plugins": [], "settings": {}}
    folder = create_study(tmp_path / "one", searched=["lr"], **info)
    (folder / "space.py").write_text(SPACE)
    with pytest.raises(InputError, match=f"{said}; choose a new --out"):
        start_or_resume(space, folder, **{"overrides": {}, **changes})
    (folder / "space.py").write_text(SPACE + "# changed\n")
    with pytest.raises(InputError, match="another search space; choose"):
        start_or_resume(space, folder, overrides={})


def test_the_limit_of_a_study_holds_for_a_store_of_the_command_only_with_trust(
    tmp_path, space, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # nothing was trusted before
    info = {"command": "search", "overrides": {}, "trials": 2, "search_seed": 0, "plugins": []}
    settings = {"metric": "val_accuracy", "state_megabytes": 0}
    folder = create_study(tmp_path / "one", searched=["lr"], settings=settings, **info)
    (folder / "space.py").write_text(SPACE)
    with pytest.raises(InputError, match="delete states there beyond 0 MB"):
        start_or_resume(space, folder, overrides={}, store=str(tmp_path / "mine"))


def test_to_go_on_needs_a_folder(capsys, space):
    code, _, err = run(capsys, "search", space, "--resume")
    assert (code, err.count("\n")) == (2, 1)
    assert "give the folder by --out" in err


@pytest.mark.slow
def test_a_command_that_is_repeated_starts_once_and_trains_nothing_twice(
    ray, tmp_path, space, capsys
):
    command = ["search", space, "--dataset", "digits", "--out", tmp_path / "one", "--resume"]
    command += ["--max-concurrent", 1]
    (make_folder(tmp_path / "one") / "search.jsonl").write_text("")  # what a kill has left
    assert run(capsys, *command)[0] == 0
    first = read_study(tmp_path / "one")
    assert len(first) == 4
    assert run(capsys, *command)[0] == 0
    pd.testing.assert_frame_equal(read_study(tmp_path / "one")[RECORD], first[RECORD])
