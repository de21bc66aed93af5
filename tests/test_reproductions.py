"""Definitions of the papers' tables and figures, and what a study says about them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, first_quick, record

from growsearch.cli import main
from growsearch.reproductions.catalogue import definition, names
from growsearch.reproductions.comparison import compare
from growsearch.reproductions.definition import SCALES, Claim, Scale, identity
from growsearch.reproductions.drawing import Against, Curves, Points
from growsearch.reproductions.figures import draw
from growsearch.reproductions.outcomes import QUANTITIES
from growsearch.reproductions.running import Places, first_epochs, plan, reproduce, train
from growsearch.reproductions.statistics import Correlation, Difference, MoreCorrelated
from growsearch.study.equal_cost import epoch_seconds
from growsearch.study.folder import create_study
from growsearch.study.recording import record_study
from growsearch.study.results import read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.study.verdicts import Verdict
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

NAMES = names()

# the papers' tables, written as their facts are: (found net) accuracy (delta)
LIPGROW_TABLE2 = """
vanilla 14: 91.57 91.57 .18 | 67.39 67.50 .18
vanilla 20: 92.50 92.22 .27 | 68.68 69.75 .26
vanilla 50: 93.23 93.59 .76 | 70.86 71.40 .76
vanilla 74: 93.25 93.76 1.15 | 72.61 73.16 1.15
LipGrow 50: 92.89 92.99 .33 | 70.63 71.70 .41
LipGrow 74: 93.53 93.46 .54 | 72.47 72.75 .54
"""
LIPGROW_TABLE2_DEVIATIONS = """
vanilla 14: .10 .25 | .31 .74
vanilla 20: .26 .62 | .45 .13
vanilla 50: .24 .30 | .60 .58
vanilla 74: .15 .26 | .38 .40
LipGrow 50: .26 .33 .02 | .26 .67 .03
LipGrow 74: .31 .69 .06 | .18 .59 .01
"""
AUTOGROW = {
    "autogrow-table2": """
Basic3ResNet 3-3-3 to 5-5-5: 92.71 (-.77), 92.82 (-.66)
Basic3ResNet 5-5-5 to 9-9-9: 93.64 (-.27), 93.53 (-.38)
Basic4ResNet 1-1-1-1 to 2-2-2-2: 94.96 (-.37), 95.17 (-.16)""",
    "autogrow-table3": """
CIFAR-10: 2-3-6 91.77 (-1.06), 3-4-3 92.21 (-.59), 2-2-4 92.23 (.16), 3-4-4 92.60 (-.41),
 3-4-4 92.93 (-.08), 2-4-3 93.12 (.55)
CIFAR-100: 4-3-4 70.04 (-.65), 3-3-3 69.85 (-.65), 3-2-4 70.22 (.35), 3-3-3 70.00 (-.50),
 4-4-3 70.39 (.36), 3-4-3 70.66 (.91)""",
    "autogrow-table4": """
CIFAR-10: 6-5-3 92.95, 7-7-7 93.26, 19-19-19 93.46, 23-22-22 93.98, 42-42-42 94.27, 77-76-76 94.30
CIFAR-100: 8-5-7 72.07, 8-11-10 72.93, 18-18-18 73.64, 23-23-23 73.70, 54-53-53 74.72,
 68-68-68 74.51""",
    "autogrow-table5": """
CIFAR-10: 31-30-30 93.57, 37-37-36 93.79, 28-28-28 93.82, 42-42-42 94.27
CIFAR-100: 26-25-25 73.45, 27-27-27 73.92, 41-41-41 74.31, 54-53-53 74.72""",
    "autogrow-table6": """
Basic3ResNet: 42-42-42 94.27, 46-46-46 94.16
Basic4ResNet: 22-22-22-22 95.49, 23-22-22-22 95.62""",
    "autogrow-table9": """
Basic3ResNet, CIFAR-10: 42-42-42 94.27, 32-31-31 93.54, 17-17-17 91.34, 21-12-7 88.18
Basic4ResNet, CIFAR-100: 17-51-16-16 79.47, 17-17-16-16 77.26, 12-12-12-11 72.91, 6-6-6-6 62.53
Plain3Net, MNIST: 20-20-20 99.66, 12-12-12 99.54, 12-11-11 99.46, 10-9-9 99.33
Plain4Net, SVHN: 12-12-12-11 97.08, 9-9-9-9 96.71, 8-8-8-8 96.37, 5-5-5-5 95.68""",
    "autogrow-figure6": """
Basic3ResNet: 42-42-42 94.27, 6-5-3 92.95
Basic4ResNet: 22-22-22-22 95.49""",
}
ROWS = {  # in the order of the tables' rows, as the paper prints them
    "autogrow-table2": ["ZeroInit", "AdamInit"],
    "autogrow-table3": [
        "staircase ZeroInit", "staircase AdamInit", "constant ZeroInit", "constant AdamInit",
        "constant UniInit", "constant GauInit",
    ],
    "autogrow-table4": ["K = J/2", "K = J/5", "K = J/10", "K = J/20", "K = 3J/100", "K = J/100"],
    "autogrow-table5": ["ZeroInit", "AdamInit", "UniInit", "GauInit"],
    "autogrow-table6": ["shallowest seed", "deeper seed"],
    "autogrow-table9": ["100 %", "75 %", "50 %", "25 %"],
    "autogrow-figure6": ["AutoGrow, small K", "AutoGrow, large K"],
}  # fmt: skip


def numbers_of(text: str) -> list[list[float]]:
    return [[float(number) for number in part.split()] for part in text.split("|")]


def test_lipgrows_table_2_has_the_papers_numbers():
    numbers = definition("lipgrow-table2").numbers
    parts = zip(
        LIPGROW_TABLE2.strip().splitlines(), LIPGROW_TABLE2_DEVIATIONS.strip().splitlines(),
        strict=True,
    )  # fmt: skip
    for line, deviations in parts:
        (row, means), (same, spreads) = line.split(": "), deviations.split(": ")
        assert row == same
        for group, mean, spread in zip(
            ("CIFAR-10", "CIFAR-100"), numbers_of(means), numbers_of(spreads), strict=True
        ):
            found = numbers[group][row.replace(" ", " ResNet-")]
            assert found["val_accuracy"] == (mean[0], spread[0])
            assert found["test_accuracy"] == (mean[1], spread[1])
            ppe = mean[2] * 1e6 if row.startswith("vanilla") else (mean[2] * 1e6, spread[2] * 1e6)
            assert found["ppe"] == pytest.approx(ppe)
    assert sum(map(len, numbers.values())) == 12


@pytest.mark.parametrize("name", AUTOGROW)
def test_autogrows_tables_have_the_papers_numbers(name):
    numbers = definition(name).numbers
    lines = AUTOGROW[name].replace("\n ", " ").strip().splitlines()
    assert len(lines) == len(numbers)
    for line in lines:
        group, _, found = line.partition(": ")
        cells = re.findall(r"(?:([\d-]+-\d+) )?(\d\d\.\d\d)(?: \((-?\d?\.\d+)\))?", found)
        assert len(cells) == len(numbers[group])
        for row, (network, accuracy, delta) in zip(ROWS[name], cells, strict=False):
            expected = {"val_accuracy": float(accuracy)}
            expected |= {"network": network} if network else {}
            expected |= {"delta": float(delta)} if delta else {}
            assert numbers[group][row] == expected


class OfPaper:
    """The paper's own numbers in place of ours, the same for each seed."""

    def __init__(self, numbers) -> None:
        self.numbers, self.rows = numbers, tuple(numbers)

    def value(self, row, seed, quantity) -> float:
        if quantity == "blocks":
            return sum(Architecture(self.numbers[row]["network"]).blocks)
        number = self.numbers[row][quantity]
        return number[0] if isinstance(number, tuple) else number

    def mean(self, row, quantity, without) -> float:
        return self.value(row, 0, quantity)


@pytest.mark.parametrize("name", [n for n in NAMES if n in AUTOGROW or n == "lipgrow-table2"])
def test_the_papers_own_numbers_have_the_claimed_sign(name):
    found = definition(name)
    held = [
        claim.statistic.of(OfPaper(numbers), 0) > claim.above
        for claim in found.claims
        for group, numbers in found.numbers.items()
        if claim.applies(group, numbers)
    ]
    assert all(held)
    assert held or name == "autogrow-figure6"  # whose networks from scratch are only drawn


def test_a_depth_that_the_epochs_cut_short_is_no_depth_that_was_found():
    """One trial of all images still grew when 20 of its 100 epochs were left, to fine-tune in."""
    study = read_study(ROOT / "analysis/studies/reproduced/autogrow-table9-small")
    (found,) = compare(
        "autogrow-table9", definition("autogrow-table9"), "small", study
    ).found.groups.values()
    whole = [found.of["100 %", seed]["network"] for seed in found.seeds]
    assert whole == ["10-10-9", "10-10-22", "10-10-10", "11-11-10"]
    assert found.values("100 %", "blocks") == [29, 30, 32]
    assert study.loc[study["architecture"] == "10-10-22", "epoch"].max() == 100
    assert study.groupby("trial_id")["epoch"].max().eq(100).sum() == 1
    assert len(found.values("25 %", "blocks")) == 4


def test_a_correlation_is_weaker_if_it_is_nearer_to_0_whatever_its_sign():
    values = OfPaper(
        {f"{name} {x}": {"x": x, "y": y} for name, ys in (("a", (1, 3, 2)), ("b", (3, 2, 1)))
         for x, y in enumerate(ys)}
    )  # fmt: skip
    values.rows = tuple(values.numbers)
    one, other = (Correlation("y", "x", f"{name} *") for name in "ab")
    assert one.of(values, 0) == pytest.approx(0.5)
    assert other.of(values, 0) == pytest.approx(-1)
    assert MoreCorrelated(one, other).of(values, 0) == pytest.approx(-0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_whole(name):
    found = definition(name)
    assert found.place.startswith(("LipGrow, ", "AutoGrow, "))
    assert set(found.quantities) <= set(QUANTITIES)
    least = 2 if name.startswith("autogrow") else 3
    for scale in (found.small, found.paper):
        assert len(scale.seeds) >= max(least, 5 if name in ("lipgrow-figure4", "lipgrow-figure5")
                                       else 0)  # fmt: skip
        assert scale.note
        for group, rows in scale.groups.items():
            assert any(claim.applies(group, rows) for claim in found.claims)
    for claim in found.claims:
        assert any(claim.applies(*group) for group in found.paper.groups.items())
    for rows in found.numbers.values():
        named = {row for ours in found.paper.groups.values() for row in ours}
        assert set(rows) <= named
        assert {quantity for cells in rows.values() for quantity in cells} <= set(found.quantities)


@pytest.mark.parametrize("name", first_quick(NAMES, 5))
@pytest.mark.parametrize("scale_name", SCALES)
def test_a_plan_has_a_trial_for_each_row_and_seed(name, scale_name):
    scale = definition(name).scale(scale_name)
    rows = sum(len(rows) for rows in scale.groups.values())
    planned = plan(scale)
    configs = [config for *_, config in scale.trials()]
    assert planned.trials == rows * len(scale.seeds) == len({identity(c) for c in configs})
    apart = planned.nominal - sum(config.epochs for config in configs)
    assert apart >= 0  # epochs that only train new blocks
    assert planned.fewest <= planned.most <= planned.nominal
    assert {c.dataset.name for c in configs} == (
        {"digits"} if scale_name == "small" else {c.dataset.name for c in configs} - {"digits"}
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_search_of_the_spaces_has_just_these_trials(name):
    from growsearch.tuning.search_space import draw_trials

    for scale_name in SCALES:
        scale = definition(name).scale(scale_name)
        drawn = draw_trials(scale.spaces(), None, 0)
        assert drawn == [config for *_, config in scale.trials()]


def test_at_paper_scale_trials_have_the_papers_settings():
    lipgrow = {c.policy.name: c for *_, c in definition("lipgrow-table2").paper.trials()}
    for config in lipgrow.values():
        assert (config.epochs, config.batch_size, config.lr, config.weight_decay) == (
            164, 128, 0.5, 2e-4
        )  # fmt: skip
    grows = lipgrow["lipschitz"].policy
    assert (grows.rtol, grows.window, grows.reserve) == (1.4, 10, 30)
    for name in (n for n in NAMES if n.startswith("autogrow-table")):
        for *_, config in definition(name).paper.trials():
            lr = 0.01 if config.network.name.startswith("plain") else 0.1
            assert (config.batch_size, config.lr, config.weight_decay) == (128, lr, 5e-4)
            if config.policy.name == "periodic":
                assert (config.policy.patience, config.policy.finetune_epochs) == (100, 200)


@pytest.mark.parametrize("name", first_quick(NAMES[::-1], slow=2))
def test_at_paper_scale_an_epoch_can_be_trained(name):
    """On images of noise: the loss is near that of guessing, and the network has its parameters."""
    scale = definition(name).paper
    trained = list(first_epochs(scale))
    assert [group for group, *_ in trained] == list(scale.groups)
    for group, row, first in trained:
        assert first.architecture == str(scale.groups[group][row].get("architecture")) or (
            set(first.architecture) == {"1", "-"}  # AutoGrow's seed
        )
        assert 1 < first.train_loss < 10


TINY = {"dataset": "digits", "train_size": 60, "epochs": 2, "lr": 0.05, "policy": "none"}
GROWS = {**TINY, "policy": "fixed", "growth_epochs": [1], "lr_schedule": "staircase"}
TINY_SCALE = Scale(
    groups={
        "digits": {
            "ZeroInit": {**GROWS, "architecture": "1-1-1", "initializer": "zero"},
            "other": {**TINY, "architecture": "1-1-1"},
        }
    },
    seeds=(0, 1),
    note="Tiny.",
)
TINY_DEFINITION = replace(
    definition("autogrow-table2"),
    small=TINY_SCALE,
    numbers={"CIFAR-10": {"ZeroInit": {"val_accuracy": (92.71, 0.5), "delta": -0.77}}},
    claims=(Claim("growth helps", Difference("val_accuracy", "ZeroInit", "other"), above=-100),),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The tiny definition's trials and their networks from scratch, trained without Ray."""
    folder = create_study(tmp_path_factory.mktemp("tiny") / "study", command="search", searched=[])
    scratch = [
        TrialConfig(**TINY, architecture="2-2-2", lr_schedule="staircase", seed=seed).replaced(
            epochs=1
        )
        for seed in TINY_SCALE.seeds
    ]
    configs = [config for *_, config in TINY_SCALE.trials()]
    for number, config in enumerate(configs + scratch):
        records = list(Trainer(config))
        write_trial(folder, f"{number:05}", config, records)
    return folder


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(tmp_path, "tiny", TINY_DEFINITION, "small")


def test_a_study_is_put_beside_the_paper(study, places):
    comparison = reproduce(places, str(study))
    trials = summarize(read_study(study)).set_index("trial_id")
    grown = trials.loc[["00000", "00001"], "val_accuracy"]
    plain = trials.loc[["00002", "00003"], "val_accuracy"]
    scratch = trials.loc[["00004", "00005"], "val_accuracy"]
    ours = comparison.to_dict()["ours"]["digits"]["ZeroInit"]
    assert ours["val_accuracy"]["mean"] == pytest.approx(grown.mean())
    assert ours["val_accuracy"]["std"] == pytest.approx(grown.std())
    delta = grown.to_numpy() - scratch.to_numpy()
    assert ours["delta"]["mean"] == pytest.approx(delta.mean())
    (claim,) = comparison.claims
    assert claim.judged.mean == pytest.approx((grown.to_numpy() - plain.to_numpy()).mean())
    assert claim.judged.seeds == 2
    text = (places.results / "table.md").read_text()
    assert f"| 92.71 ± 0.50 | {grown.mean():.2f} ± {grown.std():.2f} | 2 |" in text
    assert comparison.sentence in text
    assert comparison.missing is None
    assert json.loads((places.results / "result.json").read_text()) == comparison.to_dict()
    assert (places.results / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_recorded_study_gives_the_same(study, places, tmp_path):
    file = record_study(study, tmp_path / "recorded")
    assert [path.name for path in file.parent.iterdir()] == ["all.parquet"]
    recorded = tmp_path / "recorded"
    pd.testing.assert_frame_equal(read_study(recorded), read_study(study))
    assert reproduce(places, str(recorded)).to_dict() == reproduce(places, str(study)).to_dict()
    record_study(study, recorded)  # again, in place of the old one
    pd.testing.assert_frame_equal(read_study(recorded), read_study(study))


def test_a_study_is_recorded_by_a_command(study, tmp_path, capsys):
    assert main(["record", str(study), str(tmp_path / "copy")]) == 0
    assert capsys.readouterr().out.startswith(f"recorded {study} in {tmp_path / 'copy'}, 0.")
    pd.testing.assert_frame_equal(read_study(tmp_path / "copy"), read_study(study))


def test_a_study_that_was_not_recorded_is_not_replaced(study, tmp_path):
    with pytest.raises(InputError, match="holds another study"):
        record_study(study, study)


def test_trials_without_an_outcome_are_said(study, places, tmp_path):
    part = create_study(tmp_path / "part", command="search", searched=[])
    for *_, seed, config in TINY_SCALE.trials():
        if seed == 0:
            write_trial(part, f"{config.digest}", config, list(Trainer(config)))
    comparison = reproduce(places, str(part))
    assert comparison.missing == "2 of 4 trials have an outcome."
    assert comparison.verdict is Verdict.CANNOT_TELL
    *_, config = list(TINY_SCALE.trials())[-1]
    write_trial(part, f"{config.digest}", config, [record(1, status="stopped")])
    missing = reproduce(places, str(part)).missing
    assert missing == "2 of 4 trials have an outcome; 1 stopped, diverged or failed."
    with pytest.raises(InputError, match="none of the 30 trials"):
        compare("lipgrow-table2", definition("lipgrow-table2"), "small", read_study(part))


def test_a_study_that_has_a_trial_twice_is_refused(study, tmp_path):
    twice = create_study(tmp_path / "twice", command="search", searched=[])
    *_, config = next(TINY_SCALE.trials())
    for name in ("one", "two"):
        write_trial(twice, name, config, list(Trainer(config)))
    with pytest.raises(InputError, match=r"two trials of seed 0 of 'ZeroInit', digits; .* is two"):
        compare("tiny", TINY_DEFINITION, "small", read_study(twice))


@pytest.mark.parametrize(
    "drawing",
    [
        Points("val_accuracy"),
        Against("val_accuracy", "ppe", starred=True),
        Against("test_error", "step_size", joined=True),
    ],
)
def test_a_figure_has_the_means_over_seeds(study, drawing):
    epochs, drawn = read_study(study), replace(TINY_DEFINITION, drawing=drawing)
    (axes,) = draw(compare("tiny", drawn, "small", epochs), epochs).axes
    trials = summarize(epochs).iloc[:4].assign(test_error=lambda t: 100 - t["test_accuracy"])
    rows = [["00000", "00001"], ["00002", "00003"]]
    steps = {"2-2-2": 1 / 2, "1-1-1": 1.0}
    trials["step_size"] = trials["architecture"].map(steps)
    expected = []
    for place, ids in enumerate(rows):
        mean = trials[trials["trial_id"].isin(ids)].mean(numeric_only=True)
        x = place if isinstance(drawing, Points) else mean[drawing.x]
        expected.append((x, mean[drawing.quantity]))
    found = [tuple(dot) for dots in axes.collections for dot in dots.get_offsets().tolist()]
    for point in expected:
        assert any(dot == pytest.approx(point) for dot in found)


def test_a_row_that_is_joined_to_none_has_its_whole_name_in_the_legend(tmp_path):
    places = Places(tmp_path, "autogrow-figure6", definition("autogrow-figure6"), "small")
    epochs = read_study(places.recorded)
    (axes,) = draw(compare(places.name, places.definition, "small", epochs), epochs).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "AutoGrow, small K", "AutoGrow, large K", "from scratch"
    ]  # fmt: skip


def test_a_figure_over_wall_time_has_a_curve_for_each_row(study):
    epochs, drawn = read_study(study), replace(TINY_DEFINITION, drawing=Curves())
    (axes,) = draw(compare("tiny", drawn, "small", epochs), epochs).axes
    assert [line.get_label() for line in axes.lines] == [
        "ZeroInit, validation", "ZeroInit, training", "other, validation", "other, training"
    ]  # fmt: skip
    last = epochs[epochs["trial_id"].isin(["00002", "00003"]) & (epochs["epoch"] == 2)]
    other = axes.lines[2]
    assert other.get_ydata()[-1] == pytest.approx((100 - last["val_accuracy"]).mean())
    shallow = epochs[epochs["architecture"] == "1-1-1"]["train_seconds"].min()
    assert list(other.get_xdata()) == pytest.approx([shallow, 2 * shallow])


def test_a_trial_is_known_wherever_its_data_are_and_however_it_was_computed():
    one = TrialConfig(**TINY)
    assert identity(one) == identity(one.replaced(precision="bfloat16", data_dir="/data"))
    assert identity(one) != identity(one.replaced(lr=0.06))


def test_seconds_of_training_are_those_of_a_networks_fastest_epoch(study):
    epochs = read_study(study)
    deep = epochs["architecture"] == "2-2-2"
    assert set(epoch_seconds(epochs)[deep]) == {epochs["train_seconds"][deep].min()}


def test_definitions_are_listed_without_training(capsys):
    assert main(["reproduce", "--list"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == NAMES
    assert "LipGrow, Figure 5" in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lipgrow-tabel2"], "did you mean 'lipgrow-table2'? (or choose from autogrow-figure6, "),
        (["zzz"], "no table or figure 'zzz' to reproduce; choose from autogrow-figure6, "),
        ([], "name a table or figure to reproduce: autogrow-figure6, "),
        (["lipgrow-rtol", "--scale", "paper"], "train it: growsearch reproduce lipgrow-rtol "
         "--scale paper --train"),
        (["lipgrow-rtol", "--max-concurrent", "1"], "--max-concurrent is of training; give "
         "--train"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments, message, capsys, tmp_path):
    assert main(["reproduce", *arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_plan_is_printed_at_paper_scale(capsys):
    assert main(["reproduce", "autogrow-table2", "--scale", "paper", "--plan"]) == 0
    printed = capsys.readouterr().out
    assert "18 trials of at most 7,200 epochs" in printed
    assert "a trial from scratch for each network" in printed


RECORDED = sorted((ROOT / "analysis/studies/reproduced").iterdir())


@pytest.mark.parametrize("folder", first_quick(RECORDED, 5), ids=lambda folder: folder.name)
def test_the_shipped_tables_are_those_of_the_recorded_epochs(folder, tmp_path):
    name, _, scale = folder.name.rpartition("-")
    comparison = reproduce(Places(tmp_path, name, definition(name), scale))
    assert comparison.missing is None
    table = ROOT / "docs/results/reproduced" / f"{folder.name}.md"
    assert table.read_text() == comparison.to_markdown()


def test_one_epoch_is_printed_for_each_group(capsys):
    assert main(["reproduce", "lipgrow-rtol", "--scale", "paper", "--one-epoch"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in printed] == ["CIFAR-10", "CIFAR-100"]
    # the papers' counts: 97216 n - 19174 parameters for 10 classes, - 13324 for 100 (n = 2)
    assert "2-2-2, 175,258 parameters" in printed[0]
    assert "2-2-2, 181,108 parameters" in printed[1]


def test_a_folder_of_data_that_a_begun_study_does_not_take_is_said(places, monkeypatch, caplog):
    create_study(places.trained, searched=[])
    monkeypatch.setattr("growsearch.tuning.study.Study.resume", lambda self, **options: None)
    train(places)
    assert caplog.messages == []
    train(places, data_dir="/data")
    (said,) = caplog.messages
    assert said.startswith(f"data_dir=/data is not used: study {places.trained} goes on")


@pytest.mark.long
def test_from_training_to_the_table_and_again_from_recorded_epochs(ray, places, tmp_path):
    train(places, max_concurrent=2)
    first = reproduce(places)
    assert first.missing is None
    assert not pd.isna(first.to_dict()["ours"]["digits"]["ZeroInit"]["delta"]["mean"])
    train(places)  # nothing is left to train
    recorded = tmp_path / "recorded"
    record_study(places.trained, recorded)
    assert reproduce(places, str(recorded)).to_dict() == first.to_dict()
    # another folder of studies, the same store: every epoch is recalled
    other = Places(tmp_path / "other", "tiny", TINY_DEFINITION, "small")
    train(other, max_concurrent=2, store=str(tmp_path / "epochs"))
    assert read_study(other.trained)["reused"].all()
    assert reproduce(other).to_dict()["ours"] == first.to_dict()["ours"]
