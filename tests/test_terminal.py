"""What the command line and Python show: short texts, and lines for what a user got wrong."""

import math
import re
import traceback

import numpy as np
import pandas as pd
import pytest
from conftest import record, run
from rich.console import Console

import growsearch
from growsearch import Dataset, InputError, TrialConfig, load_network
from growsearch.study.folder import create_study
from growsearch.study.results import read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.study.terminal import found_table, front_table, parameters, trial_summary
from growsearch.trial.errors import counted
from growsearch.trial.history import History


@pytest.mark.parametrize(
    ("number", "shown"),
    [(58, "58"), (437, "437"), (2307, "2.3 k"), (99_000, "99.0 k"), (175_000, "0.175 M")],
)
def test_parameters_have_a_unit_that_fits(number, shown):
    assert parameters(number) == shown


def test_one_of_a_thing_is_not_many():
    assert (counted(1, "trial"), counted(2, "trial")) == ("1 trial", "2 trials")
    assert "after 1 epoch," in trial_summary(History([record(1, status="completed")]))


def test_trials_of_one_configuration_share_a_row_of_the_front(tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr"])
    for name, lr in (("00000", 0.1), ("00001", 0.2), ("00002", 0.1)):
        last = record(1, ppe=100.0 + lr, val_accuracy=50 + lr, status="completed")
        write_trial(folder, name, TrialConfig(lr=lr), [last])
    console = Console(width=160)
    with console.capture() as seen:
        console.print(front_table(summarize(read_study(folder)), ["lr"]))
    rows = [line.split("  ")[0] for line in seen.get().splitlines() if line.startswith(" 0")]
    assert [row.strip() for row in rows] == ["00000, 00002", "00001"]


def test_the_front_is_listed_with_the_cost_that_it_is_of(tmp_path):
    folder = create_study(tmp_path / "study", searched=[])
    last = record(1, train_flops=1.1324e11, status="completed")
    write_trial(folder, "00000", TrialConfig(), [last])
    console = Console(width=160)
    with console.capture() as seen:
        trials = summarize(read_study(folder))
        console.print(front_table(trials, [], "val_loss", "train_flops"))
    assert "train flops" in seen.get() and "113.2 G" in seen.get() and "PPE" not in seen.get()


def test_losses_are_shown_with_the_digits_in_which_they_differ(tmp_path):
    folder = create_study(tmp_path / "study", searched=[])
    for ppe, loss in ((100.0, 3.25e-6), (200.0, 3.125e-6)):
        last = record(1, ppe=ppe, val_loss=loss, val_accuracy=None, status="completed")
        write_trial(folder, f"{ppe}", TrialConfig(lr=ppe), [last])
    console = Console(width=160)
    with console.capture() as seen:
        console.print(front_table(summarize(read_study(folder)), [], "val_loss"))
    assert "3.25e-06" in seen.get() and "3.125e-06" in seen.get()
    assert "validation loss 3.125e-06" in trial_summary(History([last]))


def test_a_difference_that_is_not_known_is_a_dash():
    row = {
        "trial_id": "00000", "policy": "periodic", "initializer": "zero", "interval": 1.0,
        "start": "1-1-1", "found": "2-2-2", "epochs": 3.0, "ppe": 100.0, "val_accuracy": 90.0,
        "test_accuracy": math.nan, "val_delta": 1.5, "test_delta": math.nan,
    }  # fmt: skip
    console = Console(width=160)
    with console.capture() as seen:
        console.print(found_table(pd.DataFrame([row])))
    assert seen.get().split()[-4:] == ["90.00", "+1.50", "-", "-"]


def test_80_columns_have_every_number_of_a_front_of_many_options(tmp_path, monkeypatch, capsys):
    options = {"rtol": 1.0067, "window": 3, "reserve": 5, "initializer": "adam", "lr": 0.05}
    folder = create_study(tmp_path / "study", searched=list(options))
    last = record(1, ppe=473_099.0, val_accuracy=98.76, test_accuracy=97.65, status="completed")
    write_trial(folder, "00042", TrialConfig(epochs=20, **options), [last])
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")  # which has 80 columns, says rich
    code, out, _ = run(capsys, "report", folder)
    assert code == 0
    shown = out.split("report ")[0]
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80
    words = re.sub(r"\s+", " ", shown)
    for value in ("00042", "0.473 M", "98.76", "97.65", "1.007", "adam", "0.05"):
        assert value in words


def test_the_line_of_an_epoch_fits_80_columns_below_its_headings(tmp_path, capsys):
    given = ("--dataset", "digits", "--train-size", "60", "--epochs", "2", "--lr", "0.1")
    code, out, _ = run(capsys, "train", *given, "--out", tmp_path / "trial")
    assert code == 0
    lines = out.splitlines()
    heading = next(line for line in lines if line.startswith("epoch "))
    first = lines[lines.index(heading) + 1]
    assert len(heading) <= 80 and len(first) == len(heading)


def test_a_finished_trial_that_is_resumed_shows_its_results_and_no_empty_table(tmp_path, capsys):
    flags = ["--policy", "none", "--epochs", "1", "--train-size", "60", "--compile", "off"]
    code, out, _ = run(capsys, "train", *flags, "--out", tmp_path / "one")
    assert code == 0 and "epoch  network" in out
    code, out, _ = run(capsys, "resume", tmp_path / "one")
    assert code == 0 and "completed after 1 epoch," in out and "epoch  network" not in out


def test_a_trial_that_fails_in_its_first_epoch_shows_no_table(tmp_path, capsys, own_registry):
    plugin = tmp_path / "plain.py"
    plugin.write_text("""
from dataclasses import dataclass
from torch import optim
from growsearch import InputError, Optimizer, register

class Broken(optim.SGD):
    def step(self, closure=None):
        raise InputError("no step")

@register("optimizer", "broken")
@dataclass(frozen=True, kw_only=True)
class Never(Optimizer):
    '''Takes no step.'''
    def build(self, parameters, lr, weight_decay):
        return Broken(parameters, lr=lr)
""")
    flags = ["--optimizer", "broken", "--policy", "none", "--train-size", "60", "--compile", "off"]
    code, out, err = run(
        capsys, "train", "--plugin", plugin, *flags, "--epochs", "1", "--out", tmp_path / "one"
    )
    assert code == 2 and "no step" in err and "epoch  network" not in out


def test_a_data_set_is_shown_by_what_it_has():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    shown = repr(Dataset.from_arrays(images, np.arange(60) % 3, val=0.1, test=0.2))
    assert re.fullmatch(
        r"Dataset\(train=\d+, val=6, test=12, classes=3, image_shape=\(1, 8, 8\)\)", shown
    )


def test_a_model_file_that_is_not_there_is_one_error_without_a_chain(tmp_path):
    with pytest.raises(InputError, match="there is no file") as error:
        load_network(tmp_path / "model.safetensors")
    assert "During handling" not in "".join(traceback.format_exception(error.value))
    assert error.value.__cause__ is None


def test_a_search_in_python_tells_mistakes_in_words_of_its_caller(tmp_path):
    with pytest.raises(InputError, match="no option 'trial'; did you mean 'trials'"):
        growsearch.search({"epochs": 1}, trial=1, out=tmp_path / "study")
    with pytest.raises(InputError) as error:
        growsearch.search({"epoch": 1}, trials=1, out=tmp_path / "study")
    assert str(error.value).startswith("the search space: a trial has no field 'epoch'")
    assert "space.py" not in "".join(traceback.format_exception(error.value)).splitlines()[-1]
    assert not (tmp_path / "study").exists()
