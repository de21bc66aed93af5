"""One command that starts a search, or goes on with it."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import RECORD, run

from growsearch.searches.ledger import remove_half_made
from growsearch.study.folder import create_study, is_half_made, make_folder
from growsearch.study.plugins import keep_plugins
from growsearch.study.results import read_study
from growsearch.trial.errors import InputError
from growsearch.trial.plugins import Plugin
from growsearch.tuning.start import start_or_resume

SPACE = """
from ray import tune

param_space = {
    "policy": "none", "epochs": 2, "train_size": 100, "lr": tune.grid_search([0.1, 0.05]),
}
"""
INFO = {
    "command": "search", "searched": ["lr"], "overrides": {}, "trials": 2, "search_seed": 0,
    "plugins": [], "resources_per_trial": {"cpu": 1, "gpu": 0},
}  # fmt: skip


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
    folder = create_study(tmp_path / "one", **INFO, settings={})
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
    settings = {"metric": "val_accuracy", "state_megabytes": 0}
    folder = create_study(tmp_path / "one", **INFO, settings=settings)
    (folder / "space.py").write_text(SPACE)
    with pytest.raises(InputError, match="delete states there beyond 0 MB"):
        start_or_resume(space, folder, overrides={}, store=str(tmp_path / "mine"))


def test_to_go_on_needs_a_folder(capsys, space):
    code, _, err = run(capsys, "search", space, "--resume")
    assert (code, err.count("\n")) == (2, 1)
    assert "give the folder by --out" in err


def half_made(folder):
    """What a kill has left of a study that was made with a plugin."""
    make_folder(folder)
    for name in ("search.jsonl", "search.lock", "space.py.unfinished"):
        (folder / name).write_text("")
    keep_plugins(folder, [Plugin("mine.py", "x = 1"), Plugin("growsearch.trial.status", "x = 2")])
    return folder


def test_files_that_growsearch_did_not_write_are_not_taken_for_a_half_made_study(tmp_path):
    assert is_half_made(half_made(tmp_path / "one"))
    for name in ("plugins/mywork.py", "plugins/mywork-2026.py", "thesis.tex", "trials/x"):
        path = half_made(tmp_path / name.replace("/", "-")) / name
        path.write_text("mine")
        assert not is_half_made(path.parents[len(Path(name).parts) - 1]), name
    (half_made(tmp_path / "folder") / "plugins" / f"mine-{'0' * 16}.py").mkdir()
    assert not is_half_made(tmp_path / "folder")
    linked = half_made(tmp_path / "linked")
    (linked / "space.py").symlink_to(tmp_path / "one")
    assert not is_half_made(linked)


@pytest.mark.parametrize("name", ["plugins/mywork.py", "space.py"])
def test_a_command_that_is_refused_removes_nothing(tmp_path, space, capsys, name):
    """The one file is not growsearch's, and the other may be."""
    (tmp_path / "one/trials").mkdir(parents=True)
    path = tmp_path / "one" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    code, _, err = run(
        capsys, "search", space, "--out", tmp_path / "one", "--resume", "--trials", 1
    )
    assert (code, err.count("\n")) == (2, 1), err
    assert path.read_text() == "mine"


@pytest.mark.parametrize("linked", [False, True])
def test_what_a_kill_has_left_is_removed_and_the_folder_or_link_stays(tmp_path, linked):
    real = half_made(tmp_path / "real")
    out = tmp_path / "out" if linked else real
    if linked:
        out.symlink_to(real)
    before = real.stat().st_ino
    remove_half_made(out)
    assert (list(real.iterdir()), real.stat().st_ino) == ([], before)
    assert out.is_symlink() == linked
    assert (make_folder(out) / "trials").is_dir()


@pytest.mark.slow
def test_a_command_that_is_repeated_starts_once_and_trains_nothing_twice(
    ray, tmp_path, space, capsys
):
    command = ["search", space, "--dataset", "digits", "--out", tmp_path / "one", "--resume"]
    command += ["--max-concurrent", 1]
    half_made(tmp_path / "real")
    (tmp_path / "one").symlink_to(tmp_path / "real")
    assert run(capsys, *command)[0] == 0
    first = read_study(tmp_path / "one")
    assert len(first) == 4
    assert run(capsys, *command)[0] == 0
    pd.testing.assert_frame_equal(read_study(tmp_path / "one")[RECORD], first[RECORD])
