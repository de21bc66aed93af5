"""Verdicts on contested claims, from hand-made trials whose losses are known."""

import math
import runpy
from itertools import product

import pandas as pd
import pytest
from conftest import ROOT, record

from growsearch.study.claims import (
    CLAIMS,
    beside_one_jump,
    best_of_others,
    difference,
    mean,
    spread,
    verdicts,
)
from growsearch.study.folder import create_study
from growsearch.study.referee import (
    DOUBLINGS,
    FACTORS,
    ONE_JUMP,
    ONE_MORE,
    schedules,
    static_networks,
)
from growsearch.study.results import read_study, write_trial
from growsearch.study.verdicts import Verdict
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

EPOCHS = 10
FLOPS = {n: float(n) for n in range(1, 5)}
JUMP, DOUBLED, STEPS = {5: 4}, {2: 2, 5: 4}, {2: 2, 4: 3, 6: 4}


def architecture(blocks: int) -> str:
    return "-".join([str(blocks)] * 3)


def trial(
    folder, loss, seed=0, growths=None, depth=4, epochs=EPOCHS, schedule="wsd", start=1, **options
):  # fmt: skip
    """A trial that grows as `growths` say, {epoch: blocks}, or never, and ends at the loss."""
    config = TrialConfig(policy="none", architecture=architecture(depth), epochs=epochs,
                         seed=seed, lr_schedule=schedule)  # fmt: skip
    if growths:
        config = TrialConfig(
            policy="fixed", architecture=architecture(start), growth_epochs=tuple(growths),
            growth_architectures=tuple(map(architecture, growths.values())), epochs=epochs,
            seed=seed, lr_schedule=schedule,
            **{"initializer": "zero", "momentum_on_growth": "carry"} | options,
        )  # fmt: skip
    name = f"{len(list((folder / 'trials').glob('*.parquet'))):05}"
    records, flops, blocks = [], 0.0, start if growths else depth
    for epoch in range(1, epochs + 1):
        flops += FLOPS[blocks]
        grew = bool(growths) and epoch in growths
        records.append(
            record(
                epoch, architecture=architecture(blocks), train_flops=flops, grew=grew,
                train_seconds=2 * FLOPS[blocks],
                val_loss=loss if epoch == epochs else 5.0, grown_val_loss=5.0 if grew else None,
                status="completed" if epoch == epochs else "running", key=f"{name} {epoch}",
            )
        )  # fmt: skip
        blocks = growths[epoch] if grew else blocks
    write_trial(folder, name, config, records)


@pytest.fixture
def folder(tmp_path):
    return create_study(tmp_path / "study", command="search", searched=[])


def add_static(folder, seeds=(0, 1, 2)):
    """The deepest networks' loss is linear in the logarithm of the horizon."""
    for seed, schedule in product(seeds, ("cosine", "wsd")):
        for epochs in (5, 10):
            trial(folder, 4 - math.log(epochs), seed, epochs=epochs, schedule=schedule)


def test_a_schedule_is_compared_with_the_best_static_network_that_it_could_have_bought(folder):
    add_static(folder, seeds=(0,))
    trial(folder, 1.9, growths=JUMP)
    trial(folder, 1.8, growths=DOUBLED)
    trial(folder, 1.7, growths=STEPS)
    table = schedules(read_study(folder)).set_index("pattern")
    assert set(table.index) == {ONE_JUMP, DOUBLINGS, ONE_MORE}
    jump = table.loc[ONE_JUMP]
    assert (jump["start"], jump["share"], jump["flops"]) == ("1", 0.5, 25 / 40)
    assert jump["at_steps"] == pytest.approx(1.9 - (4 - math.log(10)))
    # four blocks for 25 FLOPs train 6.25 epochs
    assert jump["at_flops"] == pytest.approx(1.9 - (4 - math.log(6.25)))
    assert jump["at_whole"] == jump["at_steps"]
    trial(folder, 0.5, depth=2, epochs=10)  # 20 FLOPs: better, and cheaper than all three
    table = schedules(read_study(folder)).set_index("pattern")
    assert table["at_flops"].to_dict() == pytest.approx(
        {ONE_JUMP: 1.9 - 0.5, DOUBLINGS: 1.8 - 0.5, ONE_MORE: 1.7 - 0.5}
    )
    # nothing static for 40 FLOPs is better than that of two blocks
    assert table["at_whole"].to_dict() == pytest.approx(table["at_flops"].to_dict())
    # the records say that a FLOP takes two seconds
    assert table["at_seconds"].to_dict() == pytest.approx(table["at_flops"].to_dict())
    assert table["seconds"].to_dict() == pytest.approx(table["flops"].to_dict())


def test_the_loss_of_any_static_network_is_interpolated_between_its_horizons(folder):
    add_static(folder, seeds=(0,))
    for epochs, loss in ((20, 0.9), (35, 0.6)):
        trial(folder, loss, depth=1, epochs=epochs)
    trial(folder, 1.9, growths=JUMP)  # 25 FLOPs, as one block for 25 epochs
    (row,) = schedules(read_study(folder)).to_dict("records")
    part = math.log(25 / 20) / math.log(35 / 20)
    assert row["at_flops"] == pytest.approx(1.9 - (0.9 - 0.3 * part))
    assert row["at_whole"] == pytest.approx(1.9 - 0.6)  # of all for at most 40 FLOPs


def test_an_effect_is_the_difference_where_all_else_is_equal(folder):
    """The loss is a sum of an effect of each factor, so that each difference is known."""
    add_static(folder)
    effect = {"default": 0.0, "zero": 0.03, "carry": 0.0, "reset": 0.1, "wsd": 0.0, "cosine": 0.4}
    ways = product((0, 1, 2), ("default", "zero"), ("carry", "reset"), ("wsd", "cosine"))
    for seed, initializer, state, schedule in ways:
        if (seed, initializer, state) == (2, "zero", "reset"):
            continue  # a pair that is not whole is not compared
        loss = 1 + seed + effect[initializer] + effect[state] + effect[schedule]
        trial(folder, loss, seed, JUMP, schedule=schedule, initializer=initializer,
              momentum_on_growth=state)  # fmt: skip
    table = schedules(read_study(folder))
    numbers, runs = difference("initializer", "default", "zero", column="val_loss")(table)
    assert numbers.to_dict() == pytest.approx({0: -0.03, 1: -0.03, 2: -0.03})
    assert runs == 2 * (2 * 2 * 2 + 2)
    numbers, runs = difference("state", "carry", "reset", "val_loss", initializer="default")(table)
    assert numbers.to_dict() == pytest.approx({0: -0.1, 1: -0.1, 2: -0.1})
    assert runs == 2 * 6
    numbers, _ = difference("placement", "between", "end")(table)
    assert numbers.empty
    numbers, runs = mean("val_loss", lr_schedule="cosine", state="reset", seed=(0, 1))(table)
    assert numbers.to_dict() == pytest.approx({0: 1.515, 1: 2.515})
    assert runs == 4


def test_patterns_are_compared_at_equal_flops(folder):
    add_static(folder)
    for seed in (0, 1, 2):
        for epoch in (3, 5, 7):  # 31, 25 and 19 FLOPs
            trial(folder, 3 - math.log(epoch + 4 * (10 - epoch)), seed, {epoch: 4})
        # 2 + 6 + 20 FLOPs; 0.01 lower than a jump for as many
        trial(folder, 0.99 * (3 - math.log(28)), seed, DOUBLED)
        trial(folder, 0.5, seed, {1: 2, 2: 4})  # 35 FLOPs: no jump costs so much
    numbers, runs = beside_one_jump(DOUBLINGS)(schedules(read_study(folder)))
    assert numbers.to_dict() == pytest.approx({0: -1.0, 1: -1.0, 2: -1.0})
    assert runs == 3


def test_the_best_schedule_is_chosen_by_other_seeds_than_it_is_judged_by(folder):
    add_static(folder)
    for seed in (0, 1, 2):
        for epoch in (4, 5, 6):
            lucky = epoch - 4 == seed  # each schedule has one seed in which it is far better
            trial(folder, 1.0 if lucky else 2.0 + epoch / 100, seed, {epoch: 4})
    numbers, runs = best_of_others("val_loss", (0.0, 1.0))(schedules(read_study(folder)))
    assert runs == 9
    # by the other two seeds, a schedule without luck in its own seed has luck in another
    assert numbers.to_dict() == pytest.approx({0: 2.05, 1: 2.04, 2: 2.04})


def test_a_schedule_that_validation_chose_is_judged_by_the_test_data():
    """Of two schedules, the other seeds' validation losses choose; the test losses are known."""
    rows = [
        {
            "seed": seed, "growth_epochs": name, "flops": 0.5, "at_steps": validation,
            "test_at_steps": test + seed, **dict.fromkeys(set(FACTORS) - {"growth_epochs"}, "-"),
        }
        for seed in (0, 1, 2)
        for name, validation, test in (("4", -0.2, 0.1), ("6", -0.1, -0.3))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    chosen, runs = best_of_others("at_steps", (0.0, 1.0))(table, "test_")
    assert (chosen.to_dict(), runs) == (pytest.approx({0: 0.1, 1: 1.1, 2: 2.1}), 6)
    chosen, _ = best_of_others("at_steps", (0.0, 1.0))(table)
    assert chosen.to_dict() == pytest.approx({0: -0.2, 1: -0.2, 2: -0.2})
    without = table.drop(columns="test_at_steps")
    assert best_of_others("at_steps", (0.0, 1.0))(without, "test_")[1] == 0


def test_a_seed_without_a_test_loss_has_no_number():
    rows = [
        {
            "seed": seed, "growth_epochs": name, "flops": 0.5, "at_steps": validation,
            "test_at_steps": test + seed if seed < 2 else math.nan,
            **dict.fromkeys(set(FACTORS) - {"growth_epochs"}, "-"),
        }
        for seed in (0, 1, 2)
        for name, validation, test in (("4", -0.2, 0.1), ("6", -0.1, -0.3))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    best = best_of_others("at_steps", (0.0, 1.0))
    assert best(table, "test_")[0].to_dict() == pytest.approx({0: 0.1, 1: 1.1})
    assert best(table.assign(test_at_steps=math.nan), "test_")[1] == 0


def test_the_test_loss_stands_beside_that_of_static_networks(folder):
    """By the same rules as the validation loss, of which it is twice here."""
    add_static(folder, seeds=(0,))
    trial(folder, 1.9, growths=JUMP)
    study = read_study(folder)
    assert "test_at_flops" not in schedules(study)
    table = schedules(study.assign(**{"metric/test_loss": 2 * study["val_loss"]}))
    for name in ("at_steps", "at_flops", "at_whole"):
        assert table[f"test_{name}"].iloc[0] == pytest.approx(2 * table[name].iloc[0])


def test_the_spread_over_schedules_is_a_standard_deviation_for_each_seed():
    losses = {"doublings": (1.0, 1.2, 1.4), "one jump": (1.0, 1.1, 1.2)}
    rows = [
        {"seed": seed, "pattern": pattern, "at_flops": loss * (1 + seed), "start": "1"}
        for seed, (pattern, values) in product((0, 1), losses.items())
        for loss in values
    ]
    numbers, runs = spread("pattern", DOUBLINGS, ONE_JUMP, "at_flops", start="1")(
        pd.DataFrame(rows)
    )
    assert (numbers.to_dict(), runs) == (pytest.approx({0: 0.1, 1: 0.2}), 12)


def test_a_claim_agrees_if_its_whole_interval_is_on_its_side(folder):
    add_static(folder)
    for seed, state in product((0, 1, 2), ("carry", "reset")):
        loss = 2.0 + (0.1 + 0.01 * seed if state == "reset" else 0.0)
        trial(folder, loss, seed, JUMP, momentum_on_growth=state)
    found = {v.claim.says: v for v in verdicts(schedules(read_study(folder)))}
    assert set(found) < {claim.says for claim in CLAIMS}
    carried = next(v for says, v in found.items() if "carried" in says)
    (judged,) = carried.judged.values()  # no test loss is recorded
    assert (judged.verdict, carried.runs) == (Verdict.AGREES, 6)
    assert judged.mean == pytest.approx(-0.11)


def test_each_claim_is_judged_by_both_losses(folder):
    """The test loss is twice the validation loss, so differences are, and percentages are not."""
    add_static(folder)
    for seed, (initializer, loss) in product((0, 1, 2), (("zero", 1.8), ("default", 2.0))):
        for epoch in (3, 5, 7, 8):
            trial(folder, loss - 0.01 * seed * epoch, seed, {epoch: 4}, initializer=initializer)
        trial(folder, loss - 0.1, seed, DOUBLED, initializer=initializer)
        trial(folder, loss - 0.2, seed, {3: 2, 7: 4}, initializer=initializer)
    study = read_study(folder)
    judged = verdicts(schedules(study.assign(**{"metric/test_loss": 2 * study["val_loss"]})))
    alone = {v.claim.says: v for v in verdicts(schedules(study))}
    assert {says.split()[0] for says in alone} == {"One", "Doublings", "zero", "The"}
    for found in judged:
        test, validation = found.judged["test"], found.judged["validation"]
        factor = 1 if found.claim.unit == "%" else 2
        assert test.mean == pytest.approx(factor * validation.mean)
        assert test.low == pytest.approx(factor * validation.low)
        assert {"validation": validation} == alone.pop(found.claim.says).judged
    assert not alone


def test_a_study_without_static_networks_is_said_in_one_line(folder):
    trial(folder, 2.0, growths=JUMP)
    with pytest.raises(InputError, match="no completed static trial"):
        schedules(read_study(folder))
    trial(folder, 2.0, epochs=5)
    with pytest.raises(InputError, match=r"trial 00000 has no static one .* 10 epochs"):
        schedules(read_study(folder))


def test_a_study_in_which_no_schedule_grows_is_said_in_one_line(folder, capsys, monkeypatch):
    add_static(folder, seeds=(0,))
    monkeypatch.setattr("sys.argv", ["referee.py", str(folder)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "analysis/referee.py"), run_name="__main__")
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "no completed trial that grows by a schedule (policy fixed) to 4-4-4" in said


def test_a_trial_that_decides_itself_when_to_grow_is_no_schedule(folder):
    add_static(folder, seeds=(0,))
    trial(folder, 1.9, growths=JUMP)
    alone = schedules(read_study(folder))
    config = TrialConfig(
        policy="lipschitz", architecture=architecture(2), epochs=EPOCHS, lr_schedule="wsd"
    )
    records = [
        record(
            epoch, architecture=architecture(2 if epoch <= 5 else 4), grew=epoch == 5,
            grown_val_loss=5.0 if epoch == 5 else None, key=f"lipschitz {epoch}",
            status="completed" if epoch == EPOCHS else "running", train_seconds=99.0,
        )
        for epoch in range(1, EPOCHS + 1)
    ]  # fmt: skip
    write_trial(folder, "decides", config, records)
    pd.testing.assert_frame_equal(schedules(read_study(folder)), alone)


def test_clones_which_have_no_place_are_schedules_like_others(folder):
    """Their new blocks come behind the one that they are of, whatever others' placement is."""
    add_static(folder)
    for seed in (0, 1, 2):
        trial(folder, 2.0, seed, JUMP, start=2, initializer="copy")
        for state, loss in (("carry", 1.5), ("reset", 1.6)):
            trial(folder, loss, seed, JUMP, start=2, initializer="clone", momentum_on_growth=state)
    table = schedules(read_study(folder))
    assert not table[list(FACTORS)].isna().any(axis=None)
    numbers, runs = best_of_others("val_loss", (0.0, 1.0))(table)
    assert (numbers.to_dict(), runs) == ({0: 1.5, 1: 1.5, 2: 1.5}, 9)
    numbers, runs = difference("state", "carry", "reset", "val_loss")(table)
    assert (numbers.to_dict(), runs) == (pytest.approx({0: -0.1, 1: -0.1, 2: -0.1}), 6)
    numbers, runs = difference("lr_schedule", "wsd", "cosine")(table)
    assert runs == 0


def test_the_figure_has_a_line_for_each_static_depth_and_a_point_for_each_schedule(folder):
    """Means over seeds; what is far above the static networks is counted, and not drawn."""
    add_static(folder)
    for seed in (0, 1, 2):
        trial(folder, 2.0, seed, depth=2, schedule="wsd")
        trial(folder, 1.5 + 0.3 * seed, seed, JUMP, initializer="zero")
        trial(folder, 1.7, seed, JUMP, start=2, initializer="clone")
        trial(folder, 9.0, seed, {9: 4}, initializer="default")
    study = read_study(folder)
    table = schedules(study)
    static = static_networks(study, table)
    assert sorted(static["flops"].unique()) == [0.5, 1.0]
    draw = runpy.run_path(str(ROOT / "analysis/referee.py"))["draw"]
    (axes,) = draw(table, static).axes
    lines = {line.get_label(): line.get_xydata().ravel().tolist() for line in axes.lines}
    assert lines == {
        f"static, {architecture(2)}": pytest.approx([50, 2.0]),
        f"static, {architecture(4)}": pytest.approx([50, 4 - math.log(5), 100, 4 - math.log(10)]),
    }
    points = {p.get_label(): p.get_offsets().ravel().tolist() for p in axes.collections}
    assert points == {
        "grows, zero": pytest.approx([62.5, 1.8]),  # 5 + 5 * 4 of 40 FLOPs
        "grows, clone": pytest.approx([75, 1.7]),  # 5 * 2 + 5 * 4
        "grows, default": pytest.approx([32.5, 9.0]),
    }
    assert axes.get_title(loc="left") == "wsd (1 more above)"
    assert axes.get_ylim()[1] < 3
