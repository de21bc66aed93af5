"""What a signal does to a command, and what an address of no cluster does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import RECORD, driver, run, until_remembered

from growsearch.machine.ending import ended_by_signals, interrupts_kept, own_sigterm_kept
from growsearch.study.folder import create_study
from growsearch.study.results import read_study
from growsearch.trial.errors import InputError
from growsearch.tuning.cluster import check_cluster

SPACE = """
from ray import tune

param_space = {
    "policy": "fixed", "growth_epochs": [2], "epochs": 5, "train_size": 300,
    "lr": tune.grid_search([0.1, 0.05, 0.02]),
}
"""
NODELESS = """
import os, re, signal, time
from pathlib import Path

import ray
from ray import tune

from growsearch.trial.errors import InputError
from growsearch.tuning.own_node import OwnNode


class Nodeless(tune.Callback):
    def setup(self, **info):
        for place in Path("/proc").glob("[0-9]*/stat"):
            pid, name, rest = re.split(r" [(]|[)] ", place.read_text(), maxsplit=2)
            if name == "raylet" and int(rest.split()[1]) == os.getpid():
                os.kill(int(pid), signal.SIGTERM)
        while any(node["Alive"] for node in ray.nodes()):
            time.sleep(0.1)


ray.init(include_dashboard=False, log_to_driver=False)
run = tune.RunConfig(storage_path=os.environ["RUN"], callbacks=[Nodeless(), OwnNode("STUDY")])
try:
    tune.Tuner(lambda config: {"a": 1}, run_config=run).fit()
except InputError as error:
    print(error)
"""
LOSES = """
import signal
from dataclasses import dataclass

from growsearch import Policy, register


@register("policy", "never")
@dataclass(frozen=True, kw_only=True)
class Never(Policy):
    '''Never grow.'''

    def decide(self, trial, history):
        return None


class Lost:
    def __del__(self):
        signal.raise_signal(signal.SIGHUP)


Lost()
"""


pytestmark = pytest.mark.usefixtures("own_handlers")
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_process_acts_like_ctrl_c_and_is_remembered(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ended_by_signals() as ending:
        signal.raise_signal(number)
    assert ending.exit_code == CODES[number]
    assert ending.name == f"interrupted by {number.name}"
    assert signal.getsignal(number) is before


def test_a_signal_reaches_what_handles_ctrl_c_at_that_moment():
    heard = []
    with ended_by_signals() as ending:
        with interrupts_kept():
            signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (heard, ending.exit_code) == ([signal.SIGINT], 143)


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals() as ending:
            signal.raise_signal(signal.SIGHUP)
        assert ending.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_library_that_handles_sigterm_does_not_replace_our_handler():
    with ended_by_signals():
        ours = signal.getsignal(signal.SIGTERM)
        with own_sigterm_kept():
            signal.signal(signal.SIGTERM, lambda *given: os._exit(1))
        assert signal.getsignal(signal.SIGTERM) is ours


def test_sigterm_that_a_library_takes_for_a_wish_to_exit_is_our_own_ending():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_signals() as ending, own_sigterm_kept():
        sys.exit(signal.SIGTERM)  # what Ray's handler does
    assert ending.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(SystemExit), ended_by_signals() as ending, own_sigterm_kept():
        sys.exit(1)
    assert ending.number is None


def command_line(pid) -> str:
    with suppress(OSError):  # it just ended
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.mark.slow
def test_sigterm_while_ray_starts_ends_a_search_as_at_any_other_time(tmp_path):
    """ray.init sets a handler of its own."""
    (tmp_path / "space.py").write_text(SPACE)
    command = ["search", tmp_path / "space.py", "--out", tmp_path / "one"]
    process = driver(*command, stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not any("gcs_server" in command_line(child) for child in children.read_text().split()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.decode().splitlines()[-1] == "growsearch search: interrupted by SIGTERM"
    assert "Traceback" not in said.decode()


def test_a_signal_whose_interrupt_python_loses_keeps_the_exit_code(tmp_path):
    """As in a destructor, whose exceptions are only printed: the command then works."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(LOSES)
    command = [sys.executable, "-m", "growsearch", "list", "policy", "--plugin", str(plugin)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 129
    assert ended.stderr.splitlines()[-1] == "growsearch list: interrupted by SIGHUP"


def test_what_does_not_end_after_a_signal_is_ended():
    program = (
        "import os, signal, time\n"
        "from growsearch.machine.ending import ended_by_signals\n"
        "with ended_by_signals(within=0.1):\n"
        "    signal.signal(signal.SIGINT, lambda *given: None)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    time.sleep(60)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 143
    assert ended.stderr == "growsearch: not over 0.1 s after the signal, so cut short\n"


@pytest.mark.parametrize("number", list(CODES))
def test_train_says_which_signal_ended_it_and_goes_on_from_its_last_epoch(
    capsys, tmp_path, monkeypatch, number
):
    from growsearch.tasks.images.dataset import Dataset

    batches = Dataset.training_batches

    def ended(self, batch_size, seed, epoch, share):
        if epoch == 2:
            signal.raise_signal(number)
        return batches(self, batch_size, seed, epoch, share)

    arguments = ["--dataset", "digits", "--train-size", "100", "--epochs", "2", "--policy", "none"]
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "training_batches", ended)
        code, out, err = run(capsys, "train", *arguments, "--out", tmp_path / "one")
    assert code == CODES[number]
    assert "running after 1 epoch" in out
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert err == f"growsearch train: interrupted{by}\n"
    assert run(capsys, "resume", tmp_path / "one")[0] == 0
    assert read_study(tmp_path / "one")["epoch"].tolist() == [1, 2]


EPOCHS = ["--dataset", "digits", "--train-size", "100", "--policy", "none", "--json"]


def interrupted(folder, epochs, *arguments) -> tuple[int, dict, str]:
    """Code, document and errors of a command that gets SIGINT once its trial has more epochs."""
    command = [sys.executable, "-m", "growsearch", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 600
    while not any(len(pq.read_table(f)) > epochs for f in (folder / "trials").glob("*.parquet")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out, (process.returncode, err)
    return process.returncode, json.loads(out), err


def test_a_signal_within_text_that_is_executed_keeps_the_exit_code(tmp_path):
    """As namedtuples and dataclasses execute it while packages are imported."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text("exec('import signal; signal.raise_signal(signal.SIGTERM)')\n")
    command = [sys.executable, "-m", "growsearch", "train", "--plugin", str(plugin)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 143
    assert ended.stderr == "growsearch train: interrupted by SIGTERM\n"


@pytest.mark.long
def test_an_interrupted_train_prints_the_document_of_its_epochs_so_far(capsys, tmp_path):
    arguments = ["train", *EPOCHS, "--epochs", 5000, "--out", tmp_path / "one"]
    code, document, err = interrupted(tmp_path / "one", 1, *arguments)
    assert code == 130 and err.splitlines()[-1] == "growsearch train: interrupted"
    assert document["status"] == "interrupted" and document["reason"] is None
    study = read_study(tmp_path / "one")
    assert [row["epoch"] for row in document["records"]] == study["epoch"].tolist()
    assert [row["val_loss"] for row in document["records"]] == study["val_loss"].tolist()
    assert document["trial"] == study["trial_id"][0]
    before = document["records"]
    resumed = ["resume", tmp_path / "one", "--json"]
    code, more, err = interrupted(tmp_path / "one", len(before), *resumed)
    assert code == 130 and err.splitlines()[-1] == "growsearch resume: interrupted"
    assert more["status"] == "interrupted"
    assert [row["key"] for row in more["records"][: len(before)]] == [row["key"] for row in before]


@pytest.mark.parametrize("held", [False, True])
def test_a_train_that_is_interrupted_before_its_first_epoch_prints_an_empty_document(
    capsys, tmp_path, monkeypatch, held
):
    from growsearch.cli import train
    from growsearch.tasks.images.dataset import Dataset

    def ended(*given, **more):
        signal.raise_signal(signal.SIGINT)

    if held:  # before the folder, which is another study's, is refused
        create_study(tmp_path / "one", command="train", searched=[])
        monkeypatch.setattr(train, "Trainer", ended)
    else:
        monkeypatch.setattr(Dataset, "training_batches", ended)
    code, out, err = run(capsys, "train", *EPOCHS, "--epochs", 2, "--out", tmp_path / "one")
    assert code == 130 and err.splitlines()[-1] == "growsearch train: interrupted"
    assert json.loads(out) == {
        "study": str(tmp_path / "one"), "trial": None, "status": "interrupted", "reason": None,
        "records": [],
    }  # fmt: skip


def ended_search(folder, *numbers, pause=0.0) -> tuple[int, str]:
    """Exit code and errors of the search in folder/one that gets these signals, `pause` s apart.

    They are sent to all processes of its group, as `timeout` and a closed terminal do.
    """
    (folder / "space.py").write_text(SPACE)
    with (folder / "errors").open("w") as errors:
        command = ["search", folder / "space.py", "--out", folder / "one"]
        process = driver(*command, stderr=errors, group=True)
        until_remembered(folder / "one/epochs", 3, process)
        for number in numbers:
            if process.poll() is None:
                os.killpg(process.pid, number)
                time.sleep(pause)
        code = process.wait(60)
    return code, (folder / "errors").read_text()


def check_it_resumes_to_the_undisturbed_rows(folder, capsys):
    assert run(capsys, "resume", folder / "one")[0] == 0
    assert run(capsys, "search", folder / "space.py", "--out", folder / "other")[0] == 0
    mine, undisturbed = (read_study(folder / place)[RECORD] for place in ("one", "other"))
    pd.testing.assert_frame_equal(mine, undisturbed, check_exact=True)


@pytest.mark.long
@pytest.mark.parametrize("number", list(CODES))
def test_a_search_that_a_signal_ends_has_a_report_and_resumes_to_the_undisturbed_rows(
    tmp_path, capsys, number
):
    code, said = ended_search(tmp_path, number)
    assert code == CODES[number], said
    assert f"go on with growsearch resume {tmp_path / 'one'}" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert (tmp_path / "one/report.html").exists()
    check_it_resumes_to_the_undisturbed_rows(tmp_path, capsys)


@pytest.mark.long
@pytest.mark.parametrize("pause", [0.0, 0.3, 1.5])
def test_ctrl_c_three_times_says_how_to_go_on_and_loses_nothing(tmp_path, capsys, pause):
    code, said = ended_search(tmp_path, *[signal.SIGINT] * 3, pause=pause)
    assert code == CODES[signal.SIGINT], said
    assert f"go on with growsearch resume {tmp_path / 'one'}" in said
    assert "Traceback" not in said
    check_it_resumes_to_the_undisturbed_rows(tmp_path, capsys)


@pytest.mark.slow
def test_a_search_whose_node_of_ray_ends_before_its_first_trial_ends(tmp_path, own_ray):
    """Tune waits for ever."""
    ended = subprocess.run(
        [sys.executable, "-c", NODELESS], env=own_ray | {"RUN": str(tmp_path)},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1:] == [
        "Ray's node on this machine has ended, so no trial can start, and all epochs are kept; go "
        "on with growsearch resume STUDY"
    ]


@pytest.mark.parametrize(
    "address",
    ["x", "127.0.0.1", ":", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:99999", "ray://", "\n:1",
     "ray://127.0.0.1:10001"],
)  # fmt: skip
def test_an_address_that_is_of_no_cluster_is_one_line(address):
    with pytest.raises(InputError) as error:
        check_cluster(address)
    assert "RAY_ADDRESS=" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cluster_that_does_not_answer_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="does not answer"):
            check_cluster(f"127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.slow
def test_an_open_port_that_is_not_rays_is_one_line_within_seconds():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(InputError) as error:
            check_cluster(address)
    assert f"RAY_ADDRESS={address!r} is no cluster that can be used (nothing of Ray" in str(error)
    assert time.monotonic() - started < 60  # of which Ray's import takes some


@pytest.mark.slow
def test_the_cluster_that_runs_is_found(ray, monkeypatch):
    """Also by a process that is not one of its own: ray.init has made a token for this user."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    check_cluster(ray.get_runtime_context().gcs_address)


@pytest.mark.slow
def test_a_cluster_that_gets_no_token_is_refused_at_once_with_the_variable_that_gives_it(
    ray, monkeypatch
):
    """ray.init gives none to an explicit address, though this user has one, and tries for long."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(InputError, match=r"token is missing.*; set RAY_AUTH_MODE=token"):
        check_cluster(ray.get_runtime_context().gcs_address)


@pytest.mark.slow
def test_a_user_without_a_token_is_told_so(ray, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match=r"no authentication token was found.*RAY_AUTH_TOKEN"):
        check_cluster(ray.get_runtime_context().gcs_address)


@pytest.mark.slow
def test_a_cluster_that_asks_for_another_token_is_one_line(ray, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(InputError, match="is no cluster that can be used") as error:
        check_cluster(ray.get_runtime_context().gcs_address)
    assert "\n" not in str(error.value)
    assert "token" in str(error.value)
