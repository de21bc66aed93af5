"""Trials that differ in their epochs share all that comes before the learning rate's decay."""

import random
import time
from dataclasses import replace

import pytest
import torch
from conftest import RECORD, driver, plain, record, run
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.epochs.store import STATES, EpochStore
from growsearch.searches.horizons import longer, own_rates
from growsearch.searches.ledger import Ledger, SearchTrial
from growsearch.searches.plan import plan_search
from growsearch.searches.sharing import growth_order
from growsearch.searches.waiting import Awaited
from growsearch.study.epoch_tree import count_epochs
from growsearch.study.folder import read_info
from growsearch.study.results import read_study
from growsearch.study.study import StoredStudy
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.plugins import load_plugins
from growsearch.trial.status import Status

COUNTED = '''
"""A tiny task that writes a line for each epoch that it trains to its end."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from growsearch import Role, Task, generator, option, register


class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(depth))
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x).tanh()
        return self.last(x)


@register("task", "counted")
@dataclass(frozen=True, kw_only=True)
class Counted(Task):
    """Three classes of points; `count` is the file of the lines."""

    stacks = ("blocks",)
    proposals = {"policy": "none", "lr": 0.1, "initializer": "copy"}
    count: str = option("", "file to write to", role=Role.RECORD)

    def build(self, architecture):
        return Net(architecture.blocks[0])

    def steps(self):
        return 3

    def data_digest(self):  # the default one reads batches
        return "points"

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, "points") if split == "train" else generator(0, 0, split)
        for _ in range(3):
            x = torch.randn(8, 4, generator=draw)
            yield x, x[:, :3].argmax(1)
        if split == "train" and self.count:
            with Path(self.count).open("a") as file:
                file.write(f"{epoch}\\n")
'''
HORIZONS = (20, 40, 60, 80)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The file of a tiny task, which is loaded."""
    path = tmp_path_factory.mktemp("task") / "counted.py"
    path.write_text(COUNTED)
    load_plugins([str(path)])
    return path


@pytest.fixture
def count(tmp_path):
    """The file of the lines, and a function that tells how many epochs were trained."""
    path = tmp_path / "trained.txt"
    path.touch()
    return path, lambda: len(path.read_text().split())


def wsd(epochs, **fields):
    return TrialConfig(**{"policy": "none", "lr_schedule": "wsd", "epochs": epochs, **fields})


def tiny(epochs, **fields):
    return wsd(epochs, task="counted", architecture="1", **fields)


def distinct(configs):
    """By brute force, of trials that never grow: (epoch,) in the trunk, (epoch, decay) after it."""
    nodes = set()
    for config in configs:
        length = config.decay * config.epochs if config.decay < 1 else config.decay
        begin = config.epochs - round(length, 9)
        for epoch in range(config.epochs):
            ends = (begin, config.epochs) if epoch + 1 > begin else ()
            nodes.add((epoch, *ends))
    return len(nodes)


def test_horizons_20_to_80_with_a_tenth_of_decay_are_planned_with_92_epochs():
    plan = plan_search([wsd(epochs) for epochs in HORIZONS])
    assert (plan.nominal, plan.fewest, plan.most) == (200, 92, 92)
    # 72 of the longest trunk, and each decay
    assert plan.most == 72 + 2 + 4 + 6 + 8


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(3, 40), st.sampled_from([0.1, 0.15, 0.3, 0.5, 1.0, 2.0, 2.5])),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_any_plan_of_horizons_and_decays_is_brute_forces_count(drawn):
    configs = [wsd(epochs, decay=decay) for epochs, decay in drawn]
    plan = plan_search(configs)
    assert plan.fewest == plan.most == distinct(configs)


def test_the_trunk_is_that_of_a_constant_learning_rate():
    constant = TrialConfig(policy="none", lr_schedule="constant", epochs=40)
    assert plan_search([constant, *map(wsd, HORIZONS)]).most == 92
    assert plan_search([wsd(40, warmup=2), wsd(80, warmup=2)]).most == 72 + 4 + 8
    assert plan_search([wsd(40, warmup=2), wsd(80, warmup=1)]).most == 40 + 80


def test_what_parts_first_starts_first_whatever_it_is():
    fixed = {"policy": "fixed", "growth_epochs": 5}
    expected = [
        wsd(20, **fixed | {"growth_epochs": 2}),
        wsd(40, **fixed | {"growth_epochs": (5, 10)}),
        wsd(20, **fixed),  # decays after 18
        wsd(40, **fixed | {"growth_epochs": (5, 30)}),
        wsd(40, **fixed),
    ]
    shuffled = random.Random(0).sample(expected, len(expected))
    assert sorted(shuffled, key=growth_order) == expected


def trained_in_order(configs, store, count):
    """Trials one after the other over one store, as a search with one actor runs them."""
    found = {}
    for config in sorted(configs, key=growth_order):
        trainer = Trainer(config.replaced(count=str(count)), store=EpochStore(store))
        found[config.epochs, config.policy.name] = (
            list(trainer),
            trainer.state.network.state_dict(),
        )
    return found


def assert_same(one, other):
    (records, weights), (expected, others) = one, other
    assert [replace(r, reused=False) for r in records] == expected
    assert all(torch.equal(weights[name], others[name]) for name in weights | others)


def test_each_epoch_is_trained_once_and_each_trial_has_the_bits_that_it_has_alone(
    task, count, tmp_path
):
    path, trained = count
    configs = [tiny(epochs, warmup=1.5) for epochs in reversed(HORIZONS)]
    found = trained_in_order(configs, str(tmp_path / "store"), path)
    assert trained() == 92
    for config in configs:
        alone = Trainer(config)
        assert_same(found[config.epochs, "none"], (list(alone), alone.state.network.state_dict()))


@pytest.mark.parametrize("initializer", ["copy", "default"])
def test_growths_before_a_decay_are_shared_too(task, count, tmp_path, initializer):
    """The second one is where the decay of the shortest horizon begins."""
    path, trained = count
    grown = {"policy": "fixed", "growth_epochs": (4, 9), "initializer": initializer}
    configs = [tiny(epochs, **grown) for epochs in (10, 20, 30)]
    trained_in_order(configs, str(tmp_path / "store"), path)
    assert trained() == plan_search(configs).most == 27 + 1 + 2 + 3


def test_trials_that_grow_and_trials_that_do_not_share_their_trunks(task, count, tmp_path):
    path, trained = count
    fixed = {"policy": "fixed", "growth_epochs": 0.8}
    configs = [tiny(n, **options) for n in (30, 20, 10) for options in (fixed, {})]
    trained_in_order(configs, str(tmp_path / "store"), path)
    # the trunk of 27, three decays, and what grew after 8, 16 and 24
    assert trained() == plan_search(configs).most == 27 + (1 + 2 + 3) + (2 + 4 + 6)


def test_a_driver_follows_the_steps_of_another_searchs_warm_up_without_the_data(task, tmp_path):
    theirs, ours = (EpochStore(str(tmp_path / "store"), owner) for owner in ("theirs", "ours"))
    config = tiny(8, warmup=1.5, decay=3.5, policy="fixed", growth_epochs=2, compile="off",
                  precision="float32")  # fmt: skip
    trainer, waiting = Trainer(config, store=theirs), Trainer(config, store=ours)
    assert waiting.awaited is None
    waiting.branch.release()
    awaited = Awaited(config, History(), waiting.next_key, waiting.steps)
    for epochs in range(1, 8):
        next(trainer)
        assert awaited.update(ours)  # the next epoch is claimed
        assert [r.key for r in awaited.history] == trainer.branch.keys[:epochs]
    list(trainer)
    assert not awaited.update(ours) and len(awaited.history) == 8


def test_a_decay_that_begins_within_an_epoch_parts_before_it(task, count, tmp_path):
    path, trained = count
    configs = [tiny(epochs, decay=2.5) for epochs in (6, 9)]
    trained_in_order(configs, str(tmp_path / "store"), path)
    assert trained() == distinct(configs) == 6 + 3 + 3


def test_the_store_keeps_the_state_before_the_decay_and_the_last_one(task, tmp_path):
    store = EpochStore(str(tmp_path / "store"))
    keys = [r.key for r in Trainer(tiny(10, decay=3), store=store)]
    assert [k + 1 for k, key in enumerate(keys) if store.has(STATES, key)] == [7, 10]


SPACE = """
from ray import tune

param_space = {{
    "task": "counted", "count": {count!r}, "architecture": "1", "policy": "none",
    "lr_schedule": "wsd", "epochs": tune.grid_search([{horizons}]),
}}
"""


def space(folder, count, horizons):
    path = folder / "space.py"
    listed = ", ".join(map(str, horizons))
    path.write_text(SPACE.format(count=str(count), horizons=listed))
    return path


def check_alone(folder):
    """Each trial of the study has the records that it has alone."""
    for _, rows in read_study(folder).groupby("trial_id"):
        config = StoredStudy(folder).config(rows["trial_id"].iloc[0])
        alone = list(Trainer(config.replaced(count="")))
        for name in RECORD:
            expected = [plain(getattr(r, name)) for r in alone]
            found = [None if v != v else plain(v) for v in rows[name]]
            assert found == expected, name


@pytest.mark.long
@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(("at_once", "horizons"), [(1, HORIZONS[::-1]), (2, (40, 80, 20, 60))])
def test_a_search_trains_each_epoch_once_in_any_order_and_so_does_a_longer_horizon(
    task, count, tmp_path, capsys, at_once, horizons
):
    path, trained = count
    file, out = space(tmp_path, path, horizons), tmp_path / "study"
    options = ["--plugin", task, "--max-concurrent", at_once, "--out", out]
    code, printed, _ = run(capsys, "search", file, *options)
    counts = count_epochs(read_study(out))
    assert (code, trained(), counts.paid, counts.distinct) == (0, 92, 92, 92)
    assert "epochs   92 trained of 200" in printed
    check_alone(out)
    code, printed, err = run(capsys, "resume", out, "--extend-horizon", 160)
    assert (code, err) == (0, "")
    assert trained() == 92 + 160 - 72
    assert "epochs" in read_info(out)["searched"]
    check_alone(out)


@pytest.mark.slow
@pytest.mark.long
def test_a_search_that_is_killed_and_resumed_trains_at_most_what_the_kill_interrupted(
    task, count, tmp_path, capsys, ray
):
    path, trained = count
    out = tmp_path / "study"
    file = space(tmp_path, path, HORIZONS[::-1])
    process = driver("search", file, "--plugin", task, "--max-concurrent", 2, "--out", out)
    while trained() < 30 and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert run(capsys, "resume", out)[0] == 0
    assert 92 <= trained() <= 92 + 2
    assert count_epochs(read_study(out)).distinct == 92
    check_alone(out)


def ended(config, name="00000", status=Status.COMPLETED, **changes):
    return SearchTrial(name, config, status=status, **changes)


def test_a_longer_horizon_is_that_of_each_configuration_once_from_its_longest_trial():
    trials = [
        ended(wsd(20), "00000"),
        ended(wsd(40), "00001"),
        ended(wsd(20, seed=1), "00002"),
        ended(wsd(20, seed=2), "00003", Status.STOPPED),
    ]
    assert longer(trials, [80]) == {wsd(80): "00001", wsd(80, seed=1): "00002"}
    assert longer(trials, [30]) == {wsd(30, seed=1): "00002"}
    assert longer(trials, [80, 60]).keys() == {
        wsd(n, **seed) for n in (60, 80) for seed in ({}, {"seed": 1})
    }


def test_shares_move_with_the_horizon_and_growth_epochs_stay_also_from_the_ledger(tmp_path):
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    share = wsd(20, policy="fixed", growth_epochs="0.2 0.5")
    ledger.add(share)
    ledger.add(wsd(20, policy="fixed", growth_epochs=5, seed=1))
    ledger.add(wsd(20, policy="hand-tuned", seed=2))
    for trials in (ledger.trials.values(), Ledger.read(tmp_path).trials.values()):
        grown = [config.growth_epochs for config in longer(trials, [164])]
        assert grown == [(33, 82), (5,), (60, 110)]
    read = Ledger.read(tmp_path).trials["00000"].config
    assert read == share and read.to_flat()["growth_epochs"] == "4 10"


def test_a_ledger_of_an_older_growsearch_has_epochs_in_numbers(tmp_path):
    (tmp_path / "trials").mkdir()
    Ledger(tmp_path).add(wsd(20, policy="fixed", growth_epochs=0.5))
    log = tmp_path / "search.jsonl"
    log.write_text(log.read_text().partition(', "given"')[0] + "}\n")
    trials = Ledger.read(tmp_path).trials.values()
    assert [config.growth_epochs for config in longer(trials, [40])] == [(10,)]


@pytest.mark.parametrize(
    ("trials", "named"),
    [
        ([ended(wsd(80))], ["extend_horizon=40", "up to 80 epochs", "more"]),
        ([ended(wsd(20), status=Status.FAILED)], ["extend_horizon=40", "no trial"]),
    ],
)
def test_a_horizon_that_adds_nothing_is_one_clear_line(trials, named):
    with pytest.raises(InputError) as caught:
        longer(trials, [40])
    assert all(text in str(caught.value) for text in named) and "\n" not in str(caught.value)


def known(config):
    return History(record(epoch, architecture="2-2-2") for epoch in range(1, config.epochs + 1))


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("wsd", True), ("constant", True), ("cosine", False), ("linear", False), ("step", True)],
)
def test_schedules_whose_rates_depend_on_the_horizon_are_told_from_those_that_share(
    schedule, shares
):
    trial = ended(TrialConfig(policy="none", epochs=20, lr_schedule=schedule))
    new = longer([trial], [40])
    own = own_rates(new, {"00000": trial}, {"00000": known(trial.config)})
    assert bool(own) != shares
