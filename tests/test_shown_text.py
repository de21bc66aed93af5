"""Names and other text from a study are shown as they are, in the terminal and in the report."""

import io
import json
import shutil

import pytest
from conftest import first_quick, record, run
from rich.table import Table

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
