"""What a kill, a full disk or damage leaves: a whole study, or one line that says what to do."""

import itertools
import json
import shutil
from argparse import Namespace
from contextlib import suppress
from dataclasses import fields

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import RECORD, files_of_at_most, first_quick, record, run

from growsearch.cli.train import begin
from growsearch.machine.files import replacing
from growsearch.searches.ledger import Ledger, written
from growsearch.searches.messages import Report
from growsearch.searches.resumed import read_search
from growsearch.searches.settings import SearchSettings
from growsearch.study.folder import add_searched, create_study, make_folder, read_info, write_info
from growsearch.study.gathering import gather_ended
from growsearch.study.results import read_study, write_trial
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.status import Status


def said(error) -> str:
    """The message, which is one line."""
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def folder(tmp_path):
    """A search of three trials: two have completed, and one is in its second epoch."""
    folder = create_study(
        tmp_path / "study", command="search", searched=["lr"], trials=3, search_seed=0,
        settings={"metric": "val_accuracy"}, resources_per_trial={}, overrides={},
    )  # fmt: skip
    ledger = Ledger(folder)
    ledger.add_all(TrialConfig(lr=lr, epochs=2) for lr in (0.1, 0.2, 0.3))
    for name in ("00000", "00001"):
        ledger.start(name)
        for epoch, status in ((1, "running"), (2, "completed")):
            ledger.enter(name, Report(record=record(epoch, status=status, key=f"{name}{epoch}")))
    ledger.start("00002")
    ledger.enter("00002", Report(record=record(1, key="k")))
    return folder


def test_a_full_disk_while_trials_join_leaves_all_of_them_or_none(tmp_path):
    ledger = Ledger(make_folder(tmp_path / "study"))
    configs = [TrialConfig(seed=seed) for seed in range(40)]
    with files_of_at_most(20_000), pytest.raises(OSError, match="too large"):
        ledger.add_all(configs)
    assert Ledger.read(tmp_path / "study").trials == {}
    other = Ledger.read(tmp_path / "study")
    other.add_all(configs)
    size = (tmp_path / "study" / "search.jsonl").stat().st_size
    with files_of_at_most(size + 20_000), pytest.raises(OSError, match="too large"):
        Ledger.read(tmp_path / "study").add_all(configs)
    assert [t.config for t in Ledger.read(tmp_path / "study").trials.values()] == configs


def test_a_study_that_was_interrupted_while_it_was_made_says_so_and_what_to_do(tmp_path, capsys):
    folder = make_folder(tmp_path / "study")
    (folder / "space.py").write_text("param_space = {}")
    Ledger(folder).add_all([TrialConfig()])
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        write_info(folder, {"searched": ["x" * 200]})
    for command in ("resume", "report", "best"):
        code, _, err = run(capsys, command, folder)
        assert code == 2
        assert "interrupted while it was made" in err
        assert "remove the folder and start again" in err
        assert err.count("\n") == 1
    with pytest.raises(InputError, match="interrupted while it was made"):
        create_study(folder, searched=[])
    shutil.rmtree(folder)
    assert read_info(create_study(folder, searched=[]))["searched"] == []


def test_a_folder_with_files_of_the_users_is_not_taken_for_a_study_that_was_interrupted(tmp_path):
    folder = make_folder(tmp_path / "study")
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="other files; nothing was changed"):
        create_study(folder, searched=[])
    with pytest.raises(InputError, match="not a study"):
        read_info(folder)


def test_a_full_disk_leaves_study_json_as_it_was(folder):
    before = (folder / "study.json").read_text()
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        add_searched(folder, "epochs")
    assert (folder / "study.json").read_text() == before
    add_searched(folder, "epochs")
    assert read_info(folder)["searched"] == ["lr", "epochs"]


def test_a_full_disk_leaves_a_trials_table_as_it_was(folder):
    before = read_study(folder)
    with files_of_at_most(100), pytest.raises(OSError, match="large"):
        write_trial(folder, "00000", TrialConfig(), [record(1), record(2), record(3)])
    assert read_study(folder).equals(before)


def test_what_a_kill_leaves_of_a_file_is_written_anew(tmp_path):
    (tmp_path / "a.unfinished").write_text("half")
    with replacing(tmp_path / "a") as unfinished:
        unfinished.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_log_without_trials_that_the_search_began_with_is_refused(folder, capsys):
    log = folder / "search.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:1]))
    for path in (folder / "trials").iterdir():
        path.unlink()
    code, _, err = run(capsys, "resume", folder)
    assert code == 2
    assert "has 1 of the 3 trials that the search began with" in err
    assert "--extend 2" in err
    log.write_text("")
    assert "has 0 of the 3 trials" in run(capsys, "resume", folder)[2]
    log.unlink()
    code, _, err = run(capsys, "resume", folder)
    assert code == 2
    assert "search.jsonl' cannot be read (No such file or directory)" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"\n", "Expecting value"),
        (b"\0\0\0\n", "Expecting value"),
        (b"\xff\xfe\xfa\n", "codec"),
        (b"[" * 100_000 + b"\n", "recursion"),
        (b"[]\n", "names no trial"),
        (b'{"trial": "00009", "epochs": 1}\n', "no line before it"),
        (b'{"trial": "00000", "status": "asleep"}\n', "asleep"),
        (b'{"trial": "00003", "config": {"speed": 9}}\n', "speed"),
        (b'{"trial": "00003", "config": 7}\n', "int"),
        (b'{"trial": "00003", "config": {}, "given": 5}\n', "given options are no dict"),
        (b'{"trial": "00000", "status": "completed", "epochs": "two"}\n', "epochs are no number"),
        (b'{"trial": "00000", "records": 7}\n', "records are no list"),
    ],
)
def test_a_damaged_line_of_the_log_is_named(folder, capsys, line, what):
    log = folder / "search.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:3], line, *lines[3:]]))
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"line 4 of {str(log)!r} is damaged" in err
    assert what in err
    assert "restore the file from a copy" in err


@pytest.mark.parametrize(
    ("order", "named", "was"),
    [([0, 1, 2, 3, 5, 6, 7, 8], 5, 6), ([0, 1, 2, 6, 4, 5, 3, 7, 8], 4, 7),
     ([0, 1, 2, 3, 3, 4, 5, 6, 7, 8], 5, 4)],
    ids=["gone", "moved", "twice"],
)  # fmt: skip
def test_a_whole_line_of_the_log_that_is_gone_or_moved_is_noticed(
    folder, capsys, order, named, was
):
    """The order of results decides what schedulers do next, and the tables do not have it."""
    log = folder / "search.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) == 10  # three that join, five results, two ends
    log.write_bytes(b"".join(lines[n] for n in [*order, 9]))
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"line {named} of {str(log)!r} is damaged (it was line {was}, so others are gone" in err
    with pytest.raises(InputError, match=f"line {named} of"):
        list(Ledger(folder).results())


def test_lines_have_their_numbers_though_a_signal_came_just_after_one_was_written(
    folder, monkeypatch
):
    ledger = Ledger.read(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_count_lines", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.leave("00002", Status.WAITING, "")
    ledger.leave("00002", Status.WAITING, "")
    log = (folder / "search.jsonl").read_text()
    numbers = [json.loads(line)["n"] for line in log.splitlines()]
    assert numbers == list(range(1, 13))


def interrupted(*given):
    raise KeyboardInterrupt


def test_a_log_of_an_older_growsearch_without_numbers_is_read_and_goes_on_with_them(folder):
    log = folder / "search.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    numbers = [line.pop("n") for line in lines]
    results = list(Ledger(folder).results())
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ledger = Ledger.read(folder)
    assert list(ledger.results()) == results
    ledger.enter("00002", Report(record=record(2, status="completed", key="k2")))
    ledger.add_all([TrialConfig(lr=0.4), TrialConfig(lr=0.5)])
    ledger.add(TrialConfig(lr=0.6))
    later = [json.loads(line) for line in log.read_text().splitlines()]
    assert later[: len(lines)] == lines
    assert [*numbers, *(line["n"] for line in later[len(lines) :])] == list(range(1, 16))
    assert list(Ledger.read(folder).results()) == [*results, ("00002", 2)]


def test_a_record_with_a_field_that_this_growsearch_does_not_know_is_named(folder, capsys):
    line = {"trial": "00002", "epochs": 2, "records": [{"speed": 1}]}
    with (folder / "search.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "damaged record of trial 00002" in err


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path):
    path.write_bytes(b"")


def of_other_columns(path):
    pq.write_table(pa.table({"a": [1]}), path)


def of_other_types(path):
    table = pq.read_table(path)
    at = table.schema.get_field_index("val_loss")
    pq.write_table(table.set_column(at, "val_loss", pa.array(["low"] * len(table))), path)


def as_a_folder(path):
    path.unlink()
    path.mkdir()


def without_rows(path):
    pq.write_table(pq.read_table(path)[:0], path)


def with_a_gap(path):
    table = pq.read_table(path)
    at = table.schema.get_field_index("trial_id")
    names = pa.array([None, *table["trial_id"].to_pylist()[1:]])
    pq.write_table(table.set_column(at, "trial_id", names), path)


def of_a_later_growsearch(path):
    table = pq.read_table(path)
    at = table.schema.get_field_index("status")
    pq.write_table(table.set_column(at, "status", pa.array(["paused-2"] * len(table))), path)


def of_many_rows(path):
    """In some kilobytes, because all are the same."""
    row = pq.read_table(path)[:1]
    pq.write_table(row.take(pa.array(np.zeros(10**5, dtype=int))), path, compression="zstd")


def of_a_long_list(path):
    table = pq.read_table(path)
    at = table.schema.get_field_index("lipschitz_blocks")
    lists = pa.array([[0.0] * 10**6] * len(table))
    pq.write_table(table.set_column(at, "lipschitz_blocks", lists), path, compression="zstd")


DAMAGE = [
    truncated, emptied, of_other_columns, of_other_types, as_a_folder, without_rows,
    with_a_gap, of_a_later_growsearch, of_many_rows, of_a_long_list,
]  # fmt: skip


@pytest.mark.parametrize("damage", first_quick(DAMAGE, slow=3))
def test_a_damaged_table_is_named_and_the_rest_is_read(folder, caplog, capsys, damage):
    whole, path = read_study(folder), folder / "trials" / "00001.parquet"
    damage(path)
    rest = read_study(folder)
    assert rest.equals(whole[whole["trial_id"] != "00001"].reset_index(drop=True))
    assert f"{path} is damaged and left out" in caplog.text
    caplog.clear()
    assert run(capsys, "report", folder)[0] == 0
    assert [f"{path} is damaged and left out" in line for line in caplog.messages] == [True]
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"table {str(path)!r} is damaged" in err
    assert "restore it from a copy, or remove it: its trial then goes on" in err


STRANGE_TYPES = {
    "lists": pa.array([[1, 2]] * 2),
    "structs": pa.array([{"a": 1}] * 2),
    "maps": pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
    "half": pa.array([1.0, 2.0], pa.float16()),
    "text": pa.array(["a", "b"]),
    "dates": pa.array([0, 1], pa.date32()),
}


@pytest.mark.parametrize(
    ("column", "kind"),
    [(c, k) for c in ("config/plugged", "slack") for k in ("lists", "structs", "maps", "half")]
    + [("lr", "half"), ("val_loss", "lists")]
    + [(c, k) for c in ("metric/val_x", "cost/mine", "bound/mine") for k in STRANGE_TYPES],
)
def test_a_column_of_a_type_that_no_version_writes_is_damage(folder, caplog, column, kind):
    path = folder / "trials" / "00001.parquet"
    table, values = pq.read_table(path), STRANGE_TYPES[kind]
    if column in table.column_names:
        table = table.drop_columns(column)
    pq.write_table(table.append_column(column, values).replace_schema_metadata({}), path)
    assert set(read_study(folder)["trial_id"]) == {"00000"}
    assert f"{path} is damaged and left out (its column {column} has " in caplog.text


def test_the_columns_of_plugins_are_texts_and_numbers(folder, caplog):
    path = folder / "trials" / "00001.parquet"
    table = pq.read_table(path)
    for name, values in {
        "config/few": ["a", "b"], "config/many": [1, 2], "metric/val_x": [1, 2],
        "cost/mine": [1.0, 2.0], "bound/cost/mine": [0.5, None],
    }.items():  # fmt: skip
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
    assert set(read_study(folder)["trial_id"]) == {"00000", "00001"}
    assert not caplog.messages


def test_a_trial_whose_table_was_removed_goes_on_and_others_stay(folder):
    (folder / "trials" / "00001.parquet").unlink()
    known = Ledger.read(folder)
    assert [trial.status for trial in known.trials.values()] == ["completed", "waiting", "running"]
    shutil.rmtree(folder / "trials")
    with pytest.raises(InputError, match="has no folder 'trials' of its own"):
        Ledger.read(folder)
    (folder / "trials").mkdir()
    assert {trial.status for trial in Ledger.read(folder).trials.values()} == {"waiting", "running"}


def test_a_table_of_no_trial_and_the_copy_of_one_are_named(folder, capsys):
    own, copy = folder / "trials" / "00001.parquet", folder / "trials" / "00009.parquet"
    shutil.copy(own, copy)
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"tables {str(own)!r} and {str(copy)!r} both have trial 00001; remove the one" in err
    table = pq.read_table(copy)
    names = pa.array(["00009"] * len(table), table.schema.field("trial_id").type)
    place = table.schema.get_field_index("trial_id")
    pq.write_table(table.set_column(place, "trial_id", names), copy)
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "00009.parquet' is of no trial in search.jsonl; remove it" in err


@pytest.mark.parametrize("copied", ["00000.parquet", "00002.parquet"], ids=["ended", "running"])
@pytest.mark.parametrize("name", ["00077.parquet", "!.parquet"], ids=["behind", "before"])
@pytest.mark.parametrize("gathered", ["before it", "after it", None])
def test_the_copy_of_a_table_is_not_counted(folder, caplog, capsys, copied, name, gathered):
    write_trial(folder, "00002", TrialConfig(lr=0.3, epochs=2), [record(1, key="k")])
    whole, copy = read_study(folder), folder / "trials" / name
    if gathered == "before it":
        gather_ended(folder)
    shutil.copy(folder / "trials" / copied, copy)
    if gathered == "after it":
        gather_ended(folder)
    assert read_study(folder).equals(whole)
    (line,) = caplog.messages
    assert f"{copy} is damaged and left out (its trial {copied[:5]!r} is also in another" in line
    code, out, _ = run(capsys, "report", folder, "--json")
    assert (code, json.loads(out)["epochs"]["nominal"]) == (0, len(whole))
    gather_ended(folder)
    assert read_study(folder).equals(whole)


def test_trials_in_one_table_are_read_and_one_that_is_in_it_twice_is_not(folder, caplog):
    whole, tables = read_study(folder), sorted((folder / "trials").iterdir())
    several = pa.concat_tables(pq.read_table(table) for table in tables)
    for table in tables:
        table.unlink()
    pq.write_table(several, folder / "trials" / "all.parquet")
    assert read_study(folder).equals(whole)
    shutil.copy(folder / "trials" / "all.parquet", folder / "trials" / "copy.parquet")
    assert read_study(folder).equals(whole)
    assert "copy.parquet is damaged and left out" in caplog.text
    (folder / "trials" / "copy.parquet").unlink()
    pq.write_table(pa.concat_tables([several, several]), folder / "trials" / "all.parquet")
    with pytest.raises(InputError, match="epochs of its trial '00000' are not 1, 2, 3 and so on"):
        read_study(folder)


@pytest.mark.parametrize(
    ("epochs", "of"), [([1, 3], "00001"), ([2, 3], "00000"), ([1, 1], "00001"), ([0, 1], "00000")]
)
def test_a_table_that_lacks_an_epoch_or_has_one_twice_is_left_out(folder, caplog, epochs, of):
    whole, path = read_study(folder), folder / "trials" / f"{of}.parquet"
    table = pq.read_table(path)
    numbers = pa.array(epochs, pa.int64())
    place = table.schema.get_field_index("epoch")
    table = table.set_column(place, table.schema.field("epoch"), numbers)
    pq.write_table(table.replace_schema_metadata({}), path)
    assert read_study(folder).equals(whole[whole["trial_id"] != of].reset_index(drop=True))
    assert f"{path} is damaged and left out (the epochs of its trial {of!r} are" in caplog.text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("null", "it is no dict"),
        ("7", "it is no dict"),
        ("[" * 100_000, "recursion"),
        ("{", "is damaged"),
        (b"\xff\xfe", "codec"),
        ({"settings": 7}, "settings is '7'"),
        ({"plugins": {}}, "plugins is"),
        ({"versions": None}, "versions is"),
        ({"plugins": [7]}, "as a plugin"),
        ({"settings": {"speed": 9}}, "speed"),
        ({"settings": {"state_megabytes": 10**400}}, "state_megabytes is"),
        ({"trials": "many"}, "trials is 'many'"),
        ({"settings": {"scheduler": "later"}}, "unknown scheduler 'later'"),
        ({"resources_per_trial": {"cpu": 1}}, "lacks the number of cpu or gpu"),
        ({"resources_per_trial": {"cpu": 10**400}}, "resources_per_trial is"),
        ({"data": [5]}, "an entry of data is '5'"),
        ({"data": [{"key": []}]}, "an entry of data is"),
        ({"to_draw": "x"}, "to_draw is 'x'"),
    ],
)
def test_a_damaged_study_json_is_named(folder, capsys, text, what):
    path = folder / "study.json"
    if isinstance(text, dict):
        text = json.dumps(read_info(folder) | text)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert what in err


NEEDED = ["overrides", "resources_per_trial", "search_seed", "settings", "trials"]


@pytest.mark.parametrize("more", [(), ("--extend", 4)])
@pytest.mark.parametrize("name", NEEDED)
def test_a_study_json_that_lacks_what_resume_reads_is_named(folder, capsys, name, more):
    path = folder / "study.json"
    path.write_text(json.dumps({k: v for k, v in read_info(folder).items() if k != name}))
    code, _, err = run(capsys, "resume", folder, *more)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{str(path)!r} is damaged: it lacks {name}; restore it from a copy" in err


def test_settings_of_other_types_are_named_and_a_report_needs_none_of_them(folder, capsys):
    path, info = folder / "study.json", read_info(folder)
    flat, refused = SearchSettings().to_flat(), {}
    own = [field.name for field in fields(SearchSettings)]
    for name, value in itertools.product(own, ["x", 5, [], {"a": 1}, None, 10**400, "\0"]):
        path.write_text(json.dumps({**info, "settings": {**flat, name: value}}))
        try:
            settings = read_search(folder)["settings"]
        except InputError as error:
            refused[name, str(value)] = str(error)
        else:
            with suppress(InputError):
                SearchSettings.from_flat({}, settings)
    for (name, value), line in refused.items():
        assert f"{str(path)!r} is damaged: its setting {name} is {value[:100]!r}; restore" in line
    numbers = {"cpus_per_trial", "gpus_per_trial", "max_concurrent", "max_failures"}
    for name in (*numbers, "state_megabytes", "epoch_timeout"):
        assert {(name, "x"), (name, "[]"), (name, str(10**400))} <= refused.keys()
        assert (name, "5") not in refused
    path.write_text(json.dumps({**info, "settings": {**flat, "cpus_per_trial": "x"}}))
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{str(path)!r} is damaged: its setting cpus_per_trial is 'x'; restore" in err
    assert run(capsys, "report", folder)[0] == 0


def test_options_of_other_types_in_the_study_of_one_trial_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(TrialConfig(epochs=1, train_size=100), "one", {})
    path, wrong = tmp_path / "one" / "study.json", ["x", 5, 0.5, [], {"a": 1}, None, True, "\0"]
    info, right = read_info("one"), {
        "store": ["x"], "keep_states": ["x"], "state_megabytes": [5, 0.5], "save_every": [5],
    }  # fmt: skip
    for name, value in itertools.product([*right, "other"], [*wrong, 10**400]):
        path.write_text(json.dumps({**info, "options": {name: value}}))
        if value in right.get(name, []) and not isinstance(value, bool):
            continue
        code, _, err = run(capsys, "resume", "one", "--trust")
        assert (code, err.count("\n")) == (2, 1)
        assert f"study.json' is damaged: its option {name} is {str(value)[:100]!r}; restore" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


def test_a_search_of_an_older_version_is_read(folder):
    """It has no more settings than its version had, and no list of data, plugins or numbers."""
    old = {"cpus_per_trial": 1, "gpus_per_trial": None, "max_concurrent": None, "metric": "ppe"}
    info = read_info(folder) | {"settings": old}
    for name in ("data", "plugins", "own_metrics", "command", "id"):
        info.pop(name, None)
    (folder / "study.json").write_text(json.dumps(info))
    assert read_search(folder)["settings"] == old


def test_a_report_leaves_out_options_and_columns_of_a_later_growsearch(folder, capsys):
    later = read_info(folder) | {"searched": ["lr", "warp"], "climate": "warm"}
    (folder / "study.json").write_text(json.dumps(later))
    path = folder / "trials" / "00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("warp", pa.array([1.0] * len(table))), path)
    code, out, _ = run(capsys, "report", folder)
    assert code == 0
    assert "lr" in out
    assert "warp" not in out
    assert set(read_study(folder)["trial_id"]) == {"00000", "00001"}
    assert Ledger.read(folder).trials["00001"].status == "completed"


def test_a_line_that_a_kill_has_cut_short_is_dropped(folder):
    log = folder / "search.jsonl"
    whole = log.read_bytes()
    for cut in (b'{"trial": "00002", "ep', b'{"trial": "00002", "reason": "' + b"x" * 200_000):
        log.write_bytes(whole + cut)
        assert len(Ledger.read(folder).trials) == 3
        assert log.read_bytes() == whole


@pytest.mark.parametrize("gone", ["search.jsonl", "trials", ""])
def test_a_study_that_is_removed_while_it_runs_ends_the_search_in_one_line(folder, gone):
    ledger = Ledger.read(folder)
    ledger.start("00002")
    path = folder / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)

    def in_tune():
        try:
            ledger.enter("00002", Report(record=record(2, status="completed", key="k")))
        except OSError as error:
            raise RuntimeError("in Tune") from error

    with pytest.raises(InputError) as error, written(folder):
        in_tune()
    assert f"study {str(folder)!r} cannot be written (No such file or directory" in said(error)
    assert f"restore what was removed, and go on with growsearch resume {folder}" in said(error)
    assert not path.exists()


def test_a_study_that_is_removed_at_the_end_of_its_search_is_no_success(folder):
    """The chaos suite found it: --seed 0 --only 18 22 19 10 11."""
    from growsearch.cli import search
    from growsearch.tuning.running import SearchEnd

    shutil.rmtree(folder)
    with pytest.raises(InputError, match="was removed while it ran, so there is no report"):
        search._show_end(Namespace(command="search", json=False), str(folder), SearchEnd([], 0))


def test_a_full_disk_ends_the_search_in_one_line_and_leaves_what_was_written(folder):
    log = folder / "search.jsonl"
    before, ledger = log.read_bytes(), Ledger.read(folder)
    with pytest.raises(InputError) as error, written(folder), files_of_at_most(len(before) + 10):
        ledger.enter("00002", Report(record=record(2, key="k2")))
    assert "cannot be written (File too large" in said(error)
    assert "make room, or make it writable, and go on with growsearch resume" in said(error)
    assert [len(trial.history) for trial in Ledger.read(folder).trials.values()] == [1, 1, 1]
    assert log.read_bytes() == before


def test_an_error_of_ours_within_a_search_is_not_taken_for_one_of_a_disk(folder):
    with pytest.raises(ZeroDivisionError), written(folder):
        1 / 0  # noqa: B018


@pytest.mark.slow
def test_train_on_a_full_disk_ends_in_one_line_and_goes_on_where_there_is_room(capsys, tmp_path):
    """There is room for the states of the small network, and none for that after the growth."""
    small = ["--dataset", "digits", "--train-size", "100", "--epochs", "4", "--lr", "0.1"]
    growing = ["--policy", "fixed", "--growth-epochs", "2", "--initializer", "zero"]
    depths = ["--architecture", "1-1-1", "--growth-architectures", "4-4-4"]
    options = [*small, *growing, *depths]
    out, undisturbed = tmp_path / "one", tmp_path / "undisturbed"
    with files_of_at_most(1_000_000):
        code, _, err = run(capsys, "train", *options, "--out", out)
    assert (code, err.count("\n")) == (1, 1)
    assert "error: a file cannot be read or written (File too large" in err
    assert not list(tmp_path.rglob("*.unfinished"))
    assert len(read_study(out)) == 2  # the second epoch grows; its state was not written
    assert read_state(out / "state.safetensors")[1][-1].epoch == 1
    assert run(capsys, "resume", out)[0] == 0
    assert run(capsys, "train", *options, "--out", undisturbed)[0] == 0
    rows, others = (read_study(folder)[RECORD] for folder in (out, undisturbed))
    pd.testing.assert_frame_equal(rows, others, check_exact=True)


@pytest.mark.parametrize("place", ["s3://bucket/x", "gs://bucket/x", "s3:/bucket/x"])
@pytest.mark.parametrize("command", [["train"], ["search", "lipgrow", "--trials", "1"]])
def test_a_study_at_an_address_is_refused_before_anything_is_done(
    capsys, tmp_path, monkeypatch, command, place
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *command, "--dataset", "digits", "--out", place)
    assert (code, err.count("\n")) == (2, 1)
    assert f"output folder {place!r} is an address" in err
    assert f"give one (growsearch search --copy-to {place} keeps a copy of it there)" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_bit_that_changes_in_a_table_is_noticed(folder):
    path, whole = folder / "trials" / "00001.parquet", read_study(folder)
    content, rest = path.read_bytes(), whole[whole["trial_id"] != "00001"].reset_index(drop=True)
    noticed = 0
    for bit in np.random.default_rng(0).integers(len(content) * 8, size=60):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        found = read_study(folder)
        noticed += found.equals(rest)
        assert found.equals(rest) or found.equals(whole)  # of the checksum's own mark, say
    assert noticed > 55


def test_a_table_with_a_checksum_is_read_by_any_reader_and_one_without_is_read_too(folder):
    path, whole = folder / "trials" / "00001.parquet", read_study(folder)
    table = pq.read_table(path)
    assert table["val_loss"].to_pylist() == [1.0, 1.0]
    pq.write_table(table.replace_schema_metadata({}), path)  # as older versions have it
    assert read_study(folder).equals(whole)
    assert len(Ledger.read(folder).trials["00001"].history) == 1


def test_a_table_of_another_study_is_named(folder, tmp_path, caplog, capsys):
    other = create_study(tmp_path / "other", searched=[])
    write_trial(other, "00001", TrialConfig(lr=0.9, epochs=2), [record(1), record(2)])
    shutil.copy(other / "trials" / "00001.parquet", folder / "trials")
    assert set(read_study(folder)["trial_id"]) == {"00000"}
    assert "it is of another study, whose id in study.json is" in caplog.text
    assert read_info(other)["id"] in caplog.text
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "it is of another study" in err


def test_a_gap_in_a_tables_epochs_is_named(folder, capsys):
    path = folder / "trials" / "00001.parquet"
    pq.write_table(pq.read_table(path)[1:], path)
    code, _, err = run(capsys, "resume", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "its epochs are not 1, 2, 3 and so on" in err
