import re

import pandas as pd
import pytest
from conftest import RECORD, ROOT, first_quick, run

from growsearch.study.folder import read_info
from growsearch.study.results import read_study
from growsearch.trial.trial_options import every_option

QUICK = ["--epochs=3", "--train-size=100", "--lr=0.1", "--policy=fixed", "--growth-epochs=2"]
SPACE = str(ROOT / "search_spaces/lipgrow.py")


def test_train_shows_each_epoch_marks_growth_and_closes_with_a_summary(capsys, tmp_path):
    code, out, _ = run(capsys, "train", *QUICK, "--out", tmp_path / "one")
    assert code == 0
    assert re.findall(r"^ +(\d)  (\S+)", out, re.M)[:3] == [
        ("1", "2-2-2"), ("2", "2-2-2"), ("3", "4-4-4")
    ]  # fmt: skip
    assert re.search(r"^ +2  2-2-2 .*\n.*grows to 4-4-4: scheduled\n +3  4-4-4", out, re.M)
    assert "completed after 3 epochs" in out
    assert "2-2-2 → 4-4-4 (growths after epochs: 2)" in out
    rows = read_study(tmp_path / "one")
    assert rows["epoch"].tolist() == [1, 2, 3]
    assert rows["config/growth_epochs"].tolist() == ["2"] * 3


AUTOGROW = [
    "--policy=periodic", "--interval=1", "--patience=2", "--finetune-epochs=2", "--epochs=8",
    "--train-size=100", "--max-architecture=2-2-1",
]  # fmt: skip


def test_train_tells_when_autogrow_grows_and_when_it_fine_tunes(capsys, tmp_path):
    code, out, _ = run(capsys, "train", *AUTOGROW, "--save-every=2", "--out", tmp_path / "one")
    assert code == 0
    assert "grows to 2-1-1: an epoch since the last" in out
    assert "fine-tunes: max_architecture is reached" in out
    assert "completed after 5 epochs (2 fine-tuning)" in out
    assert "1-1-1 → 2-1-1 → 2-2-1 (growths after epochs: 1, 2)" in out
    states = sorted(path.name for path in (tmp_path / "one/states").iterdir())
    assert states == ["00002.safetensors", "00004.safetensors", "00005.safetensors"]


def test_a_plain_network_is_told_what_its_initializer_means(capsys, tmp_path):
    options = [*AUTOGROW, "--network=plain3net", "--initializer=adam"]
    code, out, _ = run(capsys, "train", *options, "--out", tmp_path / "one")
    assert code == 0
    assert out.startswith("note: initializer 'adam' treats the last batch normalization")
    assert "initializing" not in out


@pytest.mark.slow
def test_a_store_is_listed_verified_and_collected(capsys, tmp_path):
    place, options = tmp_path / "store", ["--growth-epochs", "1", "2", "--epochs=3"]
    options += ["--policy=fixed", "--train-size=100", "--lr=0.1", "--store", place]
    run(capsys, "train", *options, "--keep-states=all", "--out", tmp_path / "one")
    code, out, _ = run(capsys, "store", "ls", place)
    assert code == 0
    assert re.findall(r"^(\w+) +(\d+) ", out, re.M) == [("records", "5"), ("states", "3")]
    assert run(capsys, "store", "verify", place)[0] == 0
    size = sum(path.stat().st_size for path in (place / "states").glob("*/*"))
    code, out, _ = run(capsys, "store", "gc", place, "--state-megabytes", (size - 1) / 1e6)
    assert code == 0 and out.startswith("removed 1 state,")
    assert re.search(r"^states +2 ", run(capsys, "store", "ls", place)[1], re.M)
    damaged = next((place / "records").glob("*/*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, out, _ = run(capsys, "store", "verify", place)
    assert code == 1
    assert f"damaged  records/{damaged.parent.name}/{damaged.name}" in out
    code, _, err = run(capsys, "store", "ls", tmp_path / "one")
    assert code == 2 and "is not an epoch store" in err
    code, out, _ = run(capsys, "train", *options, "--out", tmp_path / "two")
    assert code == 0
    expected = read_study(tmp_path / "one")["val_loss"].tolist()
    assert read_study(tmp_path / "two")["val_loss"].tolist() == expected


def test_the_plan_of_a_grid_is_exact_and_comes_before_anything_runs(capsys):
    code, out, _ = run(capsys, "plan", "growth_epochs_grid")
    assert code == 0
    assert out == "28 trials of 1,120 epochs in all\n588 distinct: 1.90 times fewer with --store\n"


def test_what_train_leaves_goes_on_in_python(capsys, tmp_path):
    from growsearch import Trainer

    run(capsys, "train", *QUICK, "--out", tmp_path / "one")
    trainer = Trainer.load(tmp_path / "one" / "state.safetensors")
    assert trainer.finished
    assert str(trainer.state.architecture) == "4-4-4"
    assert [r.val_loss for r in trainer.history] == read_study(tmp_path / "one")[
        "val_loss"
    ].tolist()


def test_report_of_one_trial_names_its_three_files(capsys, tmp_path):
    run(capsys, "train", *QUICK, "--out", tmp_path / "one")
    code, out, _ = run(capsys, "report", tmp_path / "one")
    assert code == 0
    for name in ("report.html", "front.png", "front.csv"):
        assert str(tmp_path / "one" / name) in out
        assert (tmp_path / "one" / name).stat().st_size > 0


def test_train_with_store_none_stores_nowhere_as_a_search_does(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--dataset", "digits", "--train-size", "60", "--epochs", "1", "--policy", "none"]
    options = [*small, "--store", "none"]
    assert run(capsys, "train", *options, "--out", "one")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    code, _, err = run(capsys, "train", *options, "--keep-states", "all")
    assert (code, "keep_states=all is for the epochs of a store; give --store" in err) == (2, True)


def test_train_has_an_option_for_each_field_of_a_trial(capsys):
    code, out, _ = run(capsys, "train", "--help")
    assert code == 0
    for name in every_option():
        assert f"--{name.replace('_', '-')} " in out
    assert "convergent|fixed|hand-tuned|lipschitz|lipschitz-subnetworks" in out
    assert "(default: 164; AutoGrow: 5000; language: 20; " in " ".join(out.split())
    assert "(default: 1.4)" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("train --dataset digts", "'digts'; did you mean 'digits'"),
        ("train --architecture 3-x-3", "'3-x-3'"),
        ("train --architecture 0-1-1", "'0-1-1'"),
        ("train --architecture 1-1-1", "start from 2-2-2"),
        ("train --rtol 0", "rtol must be greater than 0, but got 0.0"),
        ("train --rtol -1", "rtol must be greater than 0, but got -1.0"),
        ("train --rtol much", "invalid float value: 'much'"),
        ("train --epochs 0", "epochs must be at least 1, but got 0"),
        ("train --save-every 0", "save_every=0"),
        ("train --policy periodic --interval 5 --patience 4", "patience=4 (J) is less"),
        ("train --policy periodic --train-fraction 1.5", "at most 1, but got 1.5"),
        ("train --policy none --rtol 1.2", "belongs to policy 'lipschitz'"),
        ("train --train-size 2000 --policy none", "at most 1197"),
        ("train --dataset fashion-mnist --data-dir nowhere", "'nowhere' is not a folder"),
        ("train --colour red", "unrecognized arguments: --colour red"),
        ("report nowhere", "'nowhere' is not a study"),
        ("search nowhere.py --trials 1", "'nowhere.py' is not a file"),
        ("search lipgrw --trials 1", "'lipgrw' is not a file, and no built-in search space"),
        ("plan lipgrw", "give a path or one of autogrow, autogrow_ablation"),
        (f"search {SPACE}", "set --trials"),
        (f"search {SPACE} --trials 0", "trials=0"),
        (f"search {SPACE} --trials 2 --dataset digts", "'digts'; did you mean 'digits'"),
        (f"search {SPACE} --trials 2 --train-size 2000", "at most 1197"),
        (f"search {SPACE} --trials 2 --max-concurrent 0", "max_concurrent=0"),
        (f"search {SPACE} --trials 2 --cpus-per-trial 0", "cpus_per_trial=0"),
        (f"search {SPACE} --trials 2 --gpus-per-trial -1", "gpus_per_trial=-1"),
        (f"search {SPACE} --trials 2 --gpus-per-trial nan", "gpus_per_trial=nan"),
        (f"search {SPACE} --trials 2 --search-seed -1", "search_seed must be at least 0"),
        ("train --seed 99999999999999999999", "seed must be less than 2**63"),
        ("train --data-dir nowhere", "data_dir 'nowhere' must be left out"),
        ("", "the following arguments are required: command"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(
    capsys, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.chdir(tmp_path)
    out = ["--out", "runs/one"] if arguments.startswith(("train", "search")) else []
    code, printed, err = run(capsys, *arguments.split(), *out)
    assert code == 2
    assert err.count("\n") == 1
    assert "error: " in err
    assert named in err
    first = "study    runs/one: loading Ray and the data\n"
    assert printed in (["", first] if arguments.startswith("search") else [""])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", first_quick([True, False], 1))
def test_a_trial_that_was_interrupted_goes_on_in_its_folder(capsys, tmp_path, monkeypatch, store):
    """The resumed trial is bit-exact, also from another working folder."""
    from growsearch.tasks.images.dataset import Dataset

    monkeypatch.chdir(tmp_path)
    arguments = [*QUICK, "--epochs=4", "--save-every=2"] + ["--store=epochs"] * store
    run(capsys, "train", *arguments[:-1] if store else arguments, "--out", "undisturbed")
    batches = Dataset.training_batches

    def interrupted(self, batch_size, seed, epoch, share):
        if epoch == 3:
            raise KeyboardInterrupt
        return batches(self, batch_size, seed, epoch, share)

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "training_batches", interrupted)
        code, out, _ = run(capsys, "train", *arguments, "--out", "one")
    assert code == 130
    assert "to go on       growsearch resume one" in out
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, _ = run(capsys, "resume", "../one")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["3", "4"]
    assert "completed after 4 epochs" in out
    assert "to go on" not in out
    one, undisturbed = (read_study(f"../{name}")[RECORD] for name in ("one", "undisturbed"))
    pd.testing.assert_frame_equal(one, undisturbed, check_exact=True)
    kept = sorted(path.name for path in (tmp_path / "one/states").iterdir())
    assert kept == ["00002.safetensors", "00004.safetensors"]
    assert (tmp_path / "epochs").exists() == store
    assert not list((tmp_path / "elsewhere").iterdir())
    code, out, _ = run(capsys, "resume", "../one")
    assert (code, "completed after 4 epochs" in out) == (0, True)


def test_what_cannot_go_on_is_said(capsys, tmp_path):
    run(capsys, "train", *QUICK, "--out", tmp_path / "one")
    code, _, err = run(capsys, "resume", tmp_path / "one", "--extend", 3)
    assert (code, err.count("\n")) == (2, 1)
    assert "extend=3 is of a search, and" in err
    (tmp_path / "one" / "state.safetensors").unlink()
    code, _, err = run(capsys, "resume", tmp_path / "one")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no epoch yet to go on from" in err


@pytest.mark.parametrize(
    "command", first_quick([["train", *QUICK], ["search", SPACE, "--trials", "1"]], 1)
)
def test_an_output_folder_that_holds_a_study_is_left_as_it_is(capsys, tmp_path, command):
    out = tmp_path / "one"
    run(capsys, "train", *QUICK, "--out", out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    code, _, err = run(capsys, *command, "--out", out)
    assert code == 2
    assert err.count("\n") == 1
    assert "holds another study; nothing was changed" in err
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_an_interrupted_trial_keeps_its_epochs_and_goes_on_as_if_it_had_not_been(
    capsys, tmp_path, monkeypatch
):
    """The signal comes in the third epoch, after one training step."""
    from growsearch.tasks.images.dataset import Dataset
    from growsearch.trainer import Trainer

    run(capsys, "train", *QUICK, "--out", tmp_path / "undisturbed")
    batches = Dataset.training_batches

    def interrupted(self, batch_size, seed, epoch, share):
        for number, batch in enumerate(batches(self, 30, seed, epoch, share)):
            if epoch == 3 and number == 2:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(Dataset, "training_batches", interrupted)
    arguments = [*QUICK, "--batch-size", "30"]
    code, out, err = run(capsys, "train", *arguments, "--out", tmp_path / "one")
    assert code == 130
    assert "running after 2 epochs" in out
    assert err == "growsearch train: interrupted\n"
    assert read_study(tmp_path / "one")["epoch"].tolist() == [1, 2]
    assert read_info(tmp_path / "one")["command"] == "train"
    monkeypatch.undo()
    trainer = Trainer.load(tmp_path / "one" / "state.safetensors")
    assert list(trainer) == list(Trainer(trainer.config))[2:]


def test_a_trainer_that_was_interrupted_in_an_epoch_does_not_save_half_trained_weights(
    tmp_path, monkeypatch
):
    from growsearch import InputError, Trainer, TrialConfig
    from growsearch.training import epoch as training

    trainer = Trainer(TrialConfig(policy="none", epochs=2, train_size=100))
    next(trainer)
    monkeypatch.setattr(training, "evaluate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        next(trainer)
    for do in (lambda: trainer.save(tmp_path / "state.safetensors"), lambda: next(trainer)):
        with pytest.raises(InputError, match=r"epoch 2 was interrupted.*Trainer\.load"):
            do()
