"""The server of a live report: what it answers, what it refuses, and when it reads the study."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from conftest import run
from growing_study import copied

from growsearch.study import live as live_module
from growsearch.study.live import LiveStudy
from growsearch.study.live_server import LiveServer
from growsearch.study.report import write_report


@pytest.fixture
def folder(tmp_path):
    copied(tmp_path / "study", 2, age=100)
    return tmp_path / "study"


@pytest.fixture
def served(folder):
    study = LiveStudy(folder)
    study.look()
    server = LiveServer(study)
    with server.serving():
        yield server


def answer(server, path: str, method: str = "GET", host: str | None = None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    found = connection.getresponse()
    body = found.read().decode()
    connection.close()
    return found, body


def shown_trials(server) -> list[str]:
    return json.loads(answer(server, "/data")[1])["trials"]["trial_id"]


def test_the_page_has_the_study_and_the_script_that_follows_it(served, folder):
    found, page = answer(served, "/")
    assert found.status == 200 and found.headers["Content-Type"].startswith("text/html")
    assert "takeUpdate" in page and served.study.shown.data in page
    write_report(folder)
    assert "takeUpdate" not in (folder / "report.html").read_text()


def test_nothing_may_be_kept_and_the_page_may_run_its_own_scripts_alone(served):
    for path in ("/", "/state", "/data", "/nothing"):
        headers = answer(served, path)[0].headers
        assert headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "path", ["/study.json", "/../study.json", "/trials/", "/data/", "/?", "/%2e%2e/study.json"]
)
def test_other_paths_are_not_there(served, path):
    assert answer(served, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_refused(served, method):
    assert answer(served, "/", method)[0].status == 501


def test_names_that_lead_here_from_elsewhere_are_refused(served):
    port = served.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        found, body = answer(served, "/data", host=host)
        assert found.status == 403 and "trial" not in body
    assert answer(served, "/data", host=f"localhost:{port}")[0].status == 200
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(b"GET /data HTTP/1.0\r\n\r\n")  # without a name
        assert b" 403 " in raw.recv(100)


@pytest.mark.parametrize(
    ("error", "lines"), [(ConnectionResetError(), False), (ValueError("x"), True)]
)
def test_a_page_that_is_closed_while_it_is_answered_writes_nothing(served, capsys, error, lines):
    try:
        raise error
    except type(error):
        served.handle_error(None, ("127.0.0.1", 1))
    assert bool(capsys.readouterr().err) == lines


def test_it_listens_on_this_machine_alone(served):
    assert served.server_address[0] == "127.0.0.1"


def test_data_are_gathered_again_only_when_files_of_the_study_have_changed(served, folder):
    study = served.study
    before = json.loads(answer(served, "/state")[1])
    assert not study.look() and study.gathered == 1
    (folder / "notes.txt").write_text("not of the study")
    assert not study.look() and study.gathered == 1
    assert json.loads(answer(served, "/state")[1]) == before
    names = copied(folder, 5)
    assert study.look() and study.gathered == 2
    after = json.loads(answer(served, "/state")[1])
    assert after["version"] != before["version"] and after["ended"] == 5
    assert shown_trials(served) == names
    assert json.loads(answer(served, "/data")[1])["live"] == after


@pytest.mark.slow
def test_a_study_is_finished_when_all_its_trials_have_ended_and_it_stays_as_it_is(folder):
    study = LiveStudy(folder)
    study.look()
    assert study.shown.state.state == "going"  # study.json tells of twelve trials
    copied(folder, 12)
    study.look()
    assert study.shown.state.state == "going"  # the search may still add one
    copied(folder, 12, age=live_module.QUIET + 1)
    study.look()
    assert study.shown.state.state == "finished"


def test_trials_that_have_joined_without_an_epoch_keep_a_study_going(folder):
    copied(folder, 12, age=100)
    log = folder / "search.jsonl"
    log.write_text('{"trial": "late", "config": {}}\n')
    os.utime(log, (1, 1))
    study = LiveStudy(folder)
    study.look()
    assert study.shown.state.state == "going"
    log.write_text('{"trial": "late", "config": {}}\n{"trial": "late", "status": "failed"}\n')
    os.utime(log, (2, 2))
    study.look()
    assert study.shown.state.state == "finished"


def test_a_study_without_a_trial_waits_for_the_first(tmp_path):
    folder = tmp_path / "new"
    copied(folder, 0)
    study = LiveStudy(folder)
    study.look()
    assert study.shown.state.state == "waiting"
    copied(folder, 1)
    assert study.look() and study.shown.state.state == "going"


def test_a_study_that_cannot_be_read_any_more_stays_shown_with_the_problem(served, folder):
    data = answer(served, "/data")[1]
    shutil.move(folder / "trials", folder / "away")
    served.study.look()
    state = json.loads(answer(served, "/state")[1])
    assert "has no folder 'trials'" in state["problem"]
    assert answer(served, "/data")[1] == data
    shutil.move(folder / "away", folder / "trials")
    served.study.look()
    assert json.loads(answer(served, "/state")[1])["problem"] is None


def test_mistakes_are_one_line(capsys, tmp_path, folder):
    code, out, err = run(capsys, "report", folder, "--watch", "--json")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--watch" in err
    code, out, err = run(capsys, "report", folder, "--port", 8000)
    assert (code, out, err.count("\n")) == (2, "", 1) and "--watch" in err
    code, _, err = run(capsys, "report", folder, "--watch", "--port", 70000)
    assert (code, err.count("\n")) == (2, 1) and "70000" in err
    code, _, err = run(capsys, "report", tmp_path / "nothing", "--watch")
    assert (code, err.count("\n")) == (2, 1) and "not a study" in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run(capsys, "report", folder, "--watch", "--port", port)
    assert (code, err.count("\n")) == (2, 1) and str(port) in err


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_ends_it_with_one_line(folder, number, code):
    command = [sys.executable, "-m", "growsearch", "report", str(folder), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
    with urllib.request.urlopen(url + "state", timeout=30) as state:
        assert json.load(state)["ended"] == 2
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.startswith("growsearch report: interrupted") and err.count("\n") == 1
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=30)
    assert not (folder / "report.html").exists()


def left(folder, budget: str, **statuses: str):
    """What the page is told of a search with the budget; the log has these trials as well."""
    info = json.loads((folder / "study.json").read_text())
    info["settings"] = {**info.get("settings", {}), "budget": budget}
    (folder / "study.json").write_text(json.dumps(info))
    lines = [json.dumps({"trial": name, "status": status}) for name, status in statuses.items()]
    (folder / "search.jsonl").write_text("".join(f"{line}\n" for line in lines))
    study = LiveStudy(folder)
    study.look()
    return study.shown.state.left


@pytest.mark.slow
def test_a_search_that_its_budget_ended_says_so_and_not_that_it_runs(folder):
    paid = write_report(folder).epochs.paid
    assert paid > 0
    said = left(folder, "trials=2", late="waiting", later="waiting")
    assert said == (
        "The search has ended: its budget of trials=2 is spent. 2 trials have not ended"
    )
    assert "spent" not in (left(folder, "trials=9", late="waiting") or "")
    assert "1 trial has not ended" in left(folder, "param_epochs=1", late="paused")
    assert left(folder, "param_epochs=1e30", late="paused") is None
    assert left(folder, "trials=1", late="running") is None  # it goes on, or was interrupted
    assert left(folder, "seconds=nothing", late="paused") is None
    assert "budget of tokens=1 is spent" in left(folder, "tokens=1", late="paused")
    assert left(folder, "tokens=1e30", late="paused") is None
    assert left(folder, "trials=2") is None  # all have ended
    left(folder, "trials=2", late="waiting")
    page = write_report(folder).page.read_text()
    assert "its budget of trials=2 is spent. 1 trial has not ended." in page
