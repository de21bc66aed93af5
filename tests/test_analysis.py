"""What the scripts in analysis/ print, for hand-made trials whose losses are known."""

import runpy
import subprocess
import sys

import pytest
from conftest import ROOT, record

from growsearch.study.folder import create_study
from growsearch.study.results import read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.trial.config import TrialConfig


@pytest.fixture
def folder(tmp_path):
    return create_study(tmp_path / "study", command="search", searched=[])


def trial(folder, name, loss, status="completed", grows=False, **options):
    """A trial of two epochs of a GPT; the test loss is a tenth above the validation loss."""
    policy = {"policy": "none"}
    if grows:
        policy = {"policy": "fixed", "growth_epochs": (1,), "growth_architectures": ("4",)}
    config = TrialConfig(
        task="language", epochs=2, lr_schedule="cosine",
        **policy, **{"architecture": "1" if grows else "4"} | options,
    )  # fmt: skip
    records = [
        record(
            epoch, architecture="4" if grows and epoch == 2 else config.architecture, val_loss=loss,
            grew=grows and epoch == 1, grown_val_loss=loss if grows and epoch == 1 else None,
            metrics={"test_loss": loss + 0.1}, key=f"{name} {epoch}",
            status=status if epoch == 2 else "running",
        )
        for epoch in (1, 2)
    ]  # fmt: skip
    write_trial(folder, name, config, records)


def printed(script, folder, capsys, monkeypatch):
    folders = folder if isinstance(folder, tuple) else (folder,)
    monkeypatch.setattr("sys.argv", [script, *map(str, folders)])
    runpy.run_path(str(ROOT / "analysis" / script), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_depth_compares_completed_trials_of_seeds_that_have_both(folder, capsys, monkeypatch):
    """By hand: differences -0.2 and -0.1, and t = 12.706 for one degree of freedom."""
    for seed, shallow, deep in ((0, 2.0, 1.8), (1, 2.2, 2.1), (2, 5.0, None)):
        trial(folder, f"s{seed}", shallow, architecture="1", seed=seed)
        if deep is not None:
            trial(folder, f"d{seed}", deep, seed=seed)
    trial(folder, "d2", 9.0, status="stopped", seed=2)
    *_, validation, test = printed("depth.py", folder, capsys, monkeypatch)
    assert validation == (
        "| cosine | validation | 2 | 1: 2.1000 ± 0.1414; 4: 1.9500 ± 0.2121 | -0.1500 ± 0.6353 |"
    )
    assert test == (
        "| cosine | test | 2 | 1: 2.2000 ± 0.1414; 4: 2.0500 ± 0.2121 | -0.1500 ± 0.6353 |"
    )


def test_static_losses_are_those_of_completed_trials(folder, capsys, monkeypatch):
    for seed, loss, status in ((0, 2.0, "completed"), (1, 2.2, "completed"), (2, 9.0, "stopped")):
        trial(folder, f"s{seed}", loss, status=status, seed=seed)
    trial(folder, "g0", 2.1, grows=True, seed=0)
    lines = printed("late_growth.py", folder, capsys, monkeypatch)
    assert "| cosine | 4 | 2 | 2 | 2.1000 ± 0.1414 |" in lines


def test_horizons_compares_with_static_networks_of_the_same_and_of_any_depth(
    tmp_path, capsys, monkeypatch
):
    """By hand: all cost the same FLOPs, so the differences are those of the losses; t = 12.706."""
    folder, shallow = (
        create_study(tmp_path / name, command="search", searched=[]) for name in ("deep", "shallow")
    )
    for seed, loss in ((0, 2.0), (1, 2.2)):
        trial(folder, f"s{seed}", loss, seed=seed)
        trial(folder, f"g{seed}", loss - 0.1 * (1 + seed), grows=True, seed=seed)
        trial(shallow, f"o{seed}", loss - 0.3, architecture="1", seed=seed)
        trial(shallow, f"t{seed}", loss - 0.2, architecture="2", seed=seed, status="stopped")
    lines = printed("horizons.py", (folder, shallow), capsys, monkeypatch)
    assert "| all | 8 | 8 | 100% |" in lines  # the shallow ones are not of the trunk
    (grown,) = [line for line in lines if "| 2 | grows" in line]
    assert grown.endswith(f"{'| -0.1500 ± 0.6353 ' * 2}{'| +0.1500 ± 0.6353 ' * 2}|")
    (static,) = [line for line in lines if "never grows, depth" in line]
    assert static.startswith("| 2 | never grows, depth 1 | 2 | 1.8000 ± 0.1414 ")


def test_fresh_seeds_compares_seeds_that_have_both_networks(folder, capsys, monkeypatch):
    """By hand: differences -0.2 and -0.1, and t = 12.706; the other rate costs as many FLOPs."""
    for seed, grown, static in ((3, 1.8, 2.0), (4, 2.1, 2.2), (5, 9.0, None)):
        trial(folder, f"g{seed}", grown, grows=True, seed=seed, lr=0.1)
        if static is not None:
            trial(folder, f"s{seed}", static, seed=seed, lr=0.1)
            trial(folder, f"o{seed}", 0.1, seed=seed, lr=0.2)
    *_, row = printed("fresh_seeds.py", folder, capsys, monkeypatch)
    number = "cannot tell: -0.1500 nats (-0.7853 to +0.4853)"
    assert row == f"| cosine 0.1, after 1 of 2 | 4 for 2 | 100.0% | {number} | {number} | 2 |"


def test_learning_rates_stand_apart_in_the_table_and_in_the_figure(folder, capsys, monkeypatch):
    for rate, loss in ((0.1, 2.0), (0.2, 1.5)):
        for seed in (0, 1):
            trial(folder, f"s{rate}{seed}", loss + 0.2 * seed, seed=seed, lr=rate)
            trial(folder, f"g{rate}{seed}", loss - 0.1, seed=seed, lr=rate, grows=True)
    lines = printed("horizons.py", folder, capsys, monkeypatch)
    assert [line for line in lines if line.startswith("At")] == [
        "At a learning rate of 0.2:", "At a learning rate of 0.1:",
    ]  # fmt: skip
    grown = [line.split(" | ")[5] for line in lines if "| 2 | grows" in line]
    assert grown == ["-0.2000 ± 1.2706"] * 2  # of each rate alone
    drawn = runpy.run_path(str(ROOT / "analysis/horizons.py"))["draw"]
    trials = summarize(read_study(folder)).assign(
        kind=lambda t: (
            t["config/policy"].map({"none": "never grows"}).fillna("grows after epoch 10")
        )
    )
    panels = drawn(trials).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["lr 0.2", "lr 0.1"]
    for axes, loss in zip(panels, (1.5, 2.0), strict=True):  # the test loss is a tenth above
        (line,), (points,) = axes.lines, axes.collections
        assert line.get_ydata() == pytest.approx([loss + 0.2])
        assert points.get_offsets()[:, 1].tolist() == pytest.approx([loss])


def refused(script, folder, capsys, monkeypatch):
    """What a script says, in one line, before it ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        printed(script, folder, capsys, monkeypatch)
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    return said


def test_a_reader_that_has_gone_ends_a_script(folder):
    trial(folder, "s0", 2.0)
    command = [sys.executable, str(ROOT / "analysis/depth.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()  # as head does when it has read enough
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.parametrize(
    "script", ["depth", "fresh_seeds", "horizons", "late_growth", "referee", "trigger"]
)
def test_a_folder_that_is_no_study_is_one_line(script, capsys, monkeypatch):
    said = refused(f"{script}.py", "missing", capsys, monkeypatch)
    assert said.startswith(f"{script}.py: error: ")
    assert "'missing' is not a study" in said


def test_a_study_that_is_given_twice_is_refused(folder, capsys, monkeypatch):
    trial(folder, "s0", 2.0)
    said = refused("horizons.py", (folder, folder), capsys, monkeypatch)
    assert f"study {str(folder)!r} is given twice; give each study once" in said
