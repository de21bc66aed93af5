"""Names and other text from a study are shown as they are, in the terminal and in the report."""

import io
import json
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import first_quick, record, run
from rich.table import Table

from growsearch.cli.search import _agreed
from growsearch.study.console import PlainConsole, printable
from growsearch.study.folder import create_study
from growsearch.study.report import write_report
from growsearch.study.results import write_trial
from growsearch.trial.config import TrialConfig

NAMES = ["t[b]c", "t[/b]c", "[/x]", ":smile:", "[link=file:///etc]x", "[1/2]"]


def shown(thing) -> str:
    console = PlainConsole(file=io.StringIO(), width=200)
    console.print(thing, highlight=False, soft_wrap=True)
    return console.file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_shows_markup_as_text_alone_and_in_tables(name):
    assert shown(f"report {name}") == f"report {name}\n"
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    assert shown(table).count(name) == 3


def test_what_a_terminal_would_obey_is_escaped():
    clear = "a\x1b[2Jb\x07\r\x9b\u202e"
    assert printable(clear) == r"a\x1b[2Jb\x07\r\x9b\u202e"
    assert shown(clear) == printable(clear) + "\n"
    assert printable("Größe 好 ★\n\t") == "Größe 好 ★\n\t"


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "x" * 100_000])
def test_an_error_repeats_what_was_given_on_one_short_line(capsys, text):
    code, _, err = run(capsys, "report", text)
    assert code == 2
    assert err.count("\n") == 1
    assert err.strip().isprintable()
    assert len(err) < 3000


def study(tmp_path, name="study"):
    folder = create_study(tmp_path / name, searched=["lr"])
    done = record(1, status="completed")
    write_trial(folder, "00000", TrialConfig(lr=0.1), [done])
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "{}"), ("record", "{}", "{}2"), ("fetch", "{}", "{}3"),
        ("store", "ls", "{}4"), ("decode", "{}", "{}5"), ("doctor", "--out", "{}6"),
        ("train", "--epochs", "{}"), ("train", "{}"), ("search", "{}.py", "--out", "{}7"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_sends_the_terminal_what_a_name_would_make_it_obey(
    tmp_path, capsys, monkeypatch, arguments
):
    name = "q\x1b[31m"
    shutil.move(study(tmp_path), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # no cluster is there
    _, out, err = run(capsys, *(argument.format(name) for argument in arguments))
    assert "\x1b" not in out + err
    assert r"q\x1b[31m" in out + err


def test_what_resume_asks_shows_names_as_they_are(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert _agreed("run q\x1b[31m?")
    assert capsys.readouterr().err == "growsearch resume: run q\\x1b[31m? [y/N] "


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-1-1", "@SUM(1)", "\t=1"]


def test_no_text_of_front_csv_is_computed_by_a_spreadsheet(tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr"])
    for number, name in enumerate(FORMULAS):
        last = record(1, ppe=float(number), val_accuracy=50.0 + number, status="completed")
        write_trial(folder, str(number), TrialConfig(lr=0.1), [last])
        table = pq.read_table(folder / "trials" / f"{number}.parquet")
        table = table.set_column(0, table.schema.field("trial_id"), pa.array([name]))
        pq.write_table(
            table.append_column("=1+1", pa.array(["-5"])), folder / f"trials/{number}.parquet"
        )
    front = pd.read_csv(write_report(folder).table, dtype=str, keep_default_na=False)
    assert front["trial_id"].tolist() == [f"'{name}" for name in FORMULAS]
    assert front["'=1+1"].tolist() == ["-5"] * len(FORMULAS)
    assert front["ppe"].tolist() == [f"{number}.0" for number in range(len(FORMULAS))]


def test_a_report_prints_the_paths_of_a_folder_that_is_named_like_markup(tmp_path, capsys):
    shutil.move(study(tmp_path), tmp_path / "t[/b]c")
    code, out, _ = run(capsys, "report", tmp_path / "t[/b]c")
    assert code == 0
    assert f"{tmp_path}/t[/b]c/report.html" in out


@pytest.mark.parametrize("name", first_quick(["{{script}}", "{{data}}", "{{title}}"], 1))
def test_a_study_that_is_named_like_a_place_of_the_page_is_only_named(tmp_path, name):
    usual = write_report(study(tmp_path)).page.read_text()
    page = write_report(study(tmp_path, name)).page.read_text()
    assert f"<h1>{name}: " in page
    assert page.count("<script>") == usual.count("<script>")
    assert abs(len(page) - len(usual)) < 200


def test_dates_and_states_that_are_none_do_not_stop_the_pages_script(tmp_path):
    """The page asks before it uses either; what it is given is what the study says."""
    folder = study(tmp_path)
    info = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(info | {"created": "yesterday"}))
    page = write_report(folder).page.read_text()
    assert '"created":"yesterday"' in page
    assert "isNaN(made)" in page
    assert "/^[a-z]+$/.test(t.status)" in page
